"""Connects everything: layers, strokes and view to the trainer, its events to the window.

Two rules decide what it does. A request is sent only to a session that is *open* on the
present image, annotation and settings; `_open` sees to that before any work. And no
input, however bad, ends in more than one sentence in the status label.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from napari_msd.config import PRESETS, Settings
from napari_msd.errors import ImageError, MSDError, StrokesError
from napari_msd.gui import layers as look
from napari_msd.gui.classes import ClassTable
from napari_msd.gui.desk import FRESH, AnnotationDesk
from napari_msd.gui.events import take
from napari_msd.gui.link import TrainerLink
from napari_msd.gui.live_button import LiveState
from napari_msd.gui.overlay import Overlay
from napari_msd.gui.strokes import StrokeWatcher
from napari_msd.gui.view import ViewWatcher
from napari_msd.session import KeptModel

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_msd.gui.preferences import Preferences
    from napari_msd.worker.messages import StrokeBlock, View


class Controller(QObject):
    """The session of one viewer.

    Signals tell the window what to show: `notice` (level, sentence), `hint`,
    `live_state`, `work` (name of work that ends, or ""), and `heard` for all that the
    trainer says.
    """

    notice = Signal(str, str)
    acted = Signal()
    live_state = Signal(object)
    work_changed = Signal()
    settings_changed = Signal()
    heard = Signal(object)

    def __init__(
        self,
        viewer: Any,
        preferences: Preferences,
        make_client: Callable[..., Any] | None = None,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.viewer = viewer
        self.preferences = preferences
        self.classes = ClassTable(self)
        self.classes.reset(dict(FRESH))
        self.view = ViewWatcher(viewer, self)
        self.strokes = StrokeWatcher(self.view, self)
        self.desk = AnnotationDesk(viewer, self.classes, self)
        self.overlay = Overlay(viewer, self.view.shown_plane, self)
        self.link = TrainerLink(make_client, self)
        self.image: Any = None
        self.kept: KeptModel | None = None
        self.base_settings = Settings.from_preset(preferences.preset, device=preferences.device)
        self.live = False
        self.work = ""
        self._state = LiveState.OFF
        self.strokes.changed.connect(self._on_strokes)
        self.strokes.scanned.connect(self._on_scanned)
        self.view.changed.connect(self._on_view)
        self.classes.changed.connect(self._on_classes)
        self.link.heard.connect(self._on_event)
        self.overlay.opacity = preferences.overlay_opacity
        self.overlay.set_rate(preferences.refresh_rate)
        self.link.start()

    def close(self) -> None:
        """End the trainer, let go of all layers; strokes and segmentation stay."""
        self.link.close()
        self.overlay.flush()
        self._connect_data(on=False)
        self.strokes.release()
        self.desk.release()
        self.view.close()
        self.overlay.detach()
        self.image = None
        self.link.opened = None
        self.live, self.work = False, ""

    def set_preferences(self, preferences: Preferences) -> None:
        """Follow a changed taste."""
        self.preferences = preferences
        self.overlay.opacity = preferences.overlay_opacity
        self.overlay.set_rate(preferences.refresh_rate)
        if self.overlay.present:
            self.overlay.layer.opacity = preferences.overlay_opacity

    # --- what is worked on ---------------------------------------------------------------

    @property
    def annotation(self) -> Any:
        """The annotation layer worked on, or ``None``."""
        return self.desk.layer

    @property
    def client(self) -> Any:
        """The trainer's client."""
        return self.link.client

    @property
    def state(self) -> LiveState:
        """What the Live switch shows."""
        return self._state

    def choose(self, image: Any, annotation: Any) -> None:
        """Work on these layers from now on; either may be ``None``."""
        if image is self.image and annotation is self.annotation:
            return
        self._connect_data(on=False)
        lost = self._lost_sentence(image, annotation)
        self.image = image
        if annotation is not self.annotation:
            self.desk.take(annotation)
        self._connect_data(on=True)
        self._begin_anew(lost)

    def _begin_anew(self, lost: str = "") -> None:
        """Layers or their data are others now: look at them, and go on if that is possible."""
        annotation = self.annotation
        if not lost:
            self.acted.emit()
        self.view.watch(annotation if annotation is not None else self.image)
        fits = self.problem() is None
        self.strokes.watch(annotation if fits else None)
        self.classes.set_pixels(self.strokes.snapshot.counts if fits else {})
        if self.overlay.layer is not None:
            self.overlay.flush()
            self.overlay.detach()
        self.link.opened = None
        if self.live and (not fits or lost):
            self.live_off()
            self.client.cancel()
            problem = self.problem()
            said = lost or (str(problem) if problem else "")
            self.notice.emit("warning", f"{said} Live is off.".strip())
        elif self.live:
            self._start_live()
        elif fits:
            self._try(self._open)

    def problem(self, *, need_annotation: bool = True) -> MSDError | None:
        """Why no session can be opened now, as an error whose text is for the person."""
        try:
            if self.image is None:
                raise ImageError("Open an image first, or choose one above.")
            look.check_image(self.image)
            if self.annotation is not None:
                look.check_pair(self.image, self.annotation)
            elif need_annotation:
                raise StrokesError("Press + to make an annotation layer, then paint on it.")
        except MSDError as error:
            return error
        return None

    def set_preset(self, preset: str) -> None:
        """Another network: the next work begins with it, Live at once."""
        if preset in PRESETS and preset != self.base_settings.preset:
            self._set_settings(Settings.from_preset(preset, device=self.base_settings.device))

    def adopt_preset(self, preset: str) -> None:
        """Take over a loaded model's preset; the caller gives its weights right after."""
        self.base_settings = Settings.from_preset(preset, device=self.base_settings.device)
        self.settings_changed.emit()

    def set_device(self, device: str) -> None:
        """Train elsewhere, from the same weights."""
        if device != self.base_settings.device:
            self._set_settings(replace(self.base_settings, device=device))  # type: ignore[arg-type]

    def _set_settings(self, settings: Settings) -> None:
        new_network = settings.preset != self.base_settings.preset
        self.base_settings = settings
        if new_network and self.kept is not None and not self._usable(self.kept):
            self.notice.emit(
                "info",
                f"The {settings.preset} network starts from your strokes; "
                f"choosing {self.kept.preset} again brings the one before back.",
            )
        if self.live:
            self._start_live()

    # --- work ----------------------------------------------------------------------------

    def set_live(self, on: bool) -> None:
        """Train and refresh until off."""
        if on == self.live:
            return
        if on:
            self._try(self._start_live)
        else:
            self.live_off()
            self.client.set_live(False)

    def _start_live(self) -> None:
        try:
            self._open()
        except MSDError:
            self.live_off()
            raise
        self._attach_overlay()
        self.live, self.work = True, ""
        self.client.set_live(True)
        self.show_live(LiveState.STARTING)
        self.work_changed.emit()

    def update_once(self) -> None:
        """Train for a few seconds, refresh, stop."""
        self._try(self._update_once)

    def _update_once(self) -> None:
        self._open()
        if not self.strokes.snapshot.counts:
            raise StrokesError("Paint a few strokes of at least two classes first.")
        self._attach_overlay()
        self._begin_work("update")
        self.client.update_once()

    def predict_all(self) -> None:
        """Segment every plane with the best network."""
        self._try(self._predict_all)

    def _predict_all(self) -> None:
        self._open(need_annotation=False)
        if self.model is None:
            raise MSDError("There is no network yet: press Live to train one, or load a model.")
        self._attach_overlay()
        shown = self.view.shown_plane()
        planes = list(product(*map(range, look.spatial_shape(self.image)[:-2])))
        planes.sort(key=lambda plane: plane != shown)  # what is on screen first
        self._begin_work("predict")
        self.client.predict_all(planes)

    def stop(self) -> None:
        """End all work; best weights and overlay stay."""
        self.acted.emit()
        self.client.cancel()
        self.end_work()
        self.live_off()

    def _attach_overlay(self) -> None:
        self.overlay.attach(self.image, self.annotation, self.classes.colors)
        self._on_classes()

    def _begin_work(self, work: str) -> None:
        self.work = work
        self.work_changed.emit()

    def end_work(self) -> None:
        """Work that ends has ended."""
        self.work = ""
        self.work_changed.emit()

    def live_off(self) -> None:
        """Live is off, whoever ended it."""
        self.live = False
        self.show_live(LiveState.OFF)
        self.work_changed.emit()

    @property
    def model(self) -> bytes | None:
        """The best weights for the present image and preset, as a model file's bytes."""
        return self.kept.model if self.kept is not None and self._usable(self.kept) else None

    def _usable(self, kept: KeptModel) -> bool:
        channels = look.n_channels(self.image) if self.image is not None else kept.n_channels
        return kept.fits(self.base_settings.preset, channels)

    def keep(self, model: bytes) -> None:
        """Newer best weights came from the trainer."""
        opened = self.link.opened
        if opened is not None and self.image is not None:
            self.kept = KeptModel(model, opened.settings.preset, opened.channels, self.image.name)
            self.work_changed.emit()

    def use_model(self, kept: KeptModel | None) -> None:
        """Go on from these weights (``None``: forget the network, keep the strokes)."""
        self.kept = kept
        self.link.opened = None
        if self.live:
            self._try(self._start_live)
        elif self.problem(need_annotation=False) is None:
            self._try(lambda: self._open(need_annotation=False))

    def start_over(self) -> None:
        """Forget the network, keep the strokes; Live goes on from nothing."""
        self.acted.emit()
        self.kept = None
        self.overlay.clear()
        if self.link.opened is not None:
            self.client.forget()
            # late blocks and weights of the forgotten network must not come back
            self.link.opened = None
        if self.live:
            self._try(self._start_live)
        self.work_changed.emit()

    # --- the session behind the wall -----------------------------------------------------

    def _open(self, *, need_annotation: bool = True) -> None:
        """Make sure the trainer's session is on the present image, strokes and settings."""
        problem = self.problem(need_annotation=need_annotation)
        if problem is not None:
            raise problem
        self.strokes.finish()
        opened = self.link.open(self.base_settings, self.image, self.annotation, self.model)
        if opened:
            blocks = self.strokes.snapshot.blocks()
            if blocks:
                self.client.set_strokes(blocks)
            self.client.set_view(self.view.view())

    def _on_strokes(self, blocks: list[StrokeBlock]) -> None:
        if self.link.opened is not None and self.link.opened.annotation is self.annotation:
            self.client.set_strokes(blocks)
        self.classes.set_pixels(self.strokes.snapshot.counts)

    def _on_scanned(self) -> None:
        if self.strokes.snapshot.unusable:
            self.strokes.snapshot.unusable = False
            self.notice.emit(
                "warning",
                "Some painted values are negative or above 255; they are not used as classes.",
            )

    def _on_view(self, view: View) -> None:
        if self.link.opened is not None:
            self.client.set_view(view)

    def _on_classes(self) -> None:
        self.overlay.set_colors(self.classes.colors)
        if self.overlay.present:  # so that napari's own File > Save writes the names too
            self.classes.save_to(self.overlay.layer)

    def _on_event(self, event: Any) -> None:
        take(self, event)
        self.heard.emit(event)

    def show_live(self, state: LiveState) -> None:
        """Show how Live stands."""
        if state is not self._state:
            self._state = state
            self.live_state.emit(state)

    # --- helpers -------------------------------------------------------------------------

    def _try(self, work: Callable[[], None]) -> None:
        """Do what a person asked for; what cannot be done is said in one sentence."""
        self.acted.emit()
        try:
            work()
        except MSDError as error:
            self.notice.emit("error", str(error))
            self.live_state.emit(self._state)  # a pressed switch springs back

    def _lost_sentence(self, image: Any, annotation: Any) -> str:
        present = list(self.viewer.layers)
        for what, old, new in (
            ("image", self.image, image),
            ("annotation", self.annotation, annotation),
        ):
            if old is not None and new is None and old not in present:
                return f"The {what} “{old.name}” was deleted; choose another one above."
        return ""

    def _connect_data(self, *, on: bool) -> None:
        for layer in (self.image, self.annotation):
            if layer is not None:
                data = layer.events.data
                with suppress(ValueError, RuntimeError):
                    data.connect(self._on_data) if on else data.disconnect(self._on_data)

    def _on_data(self, event: Any = None) -> None:
        """The pixels of image or annotation were replaced by others."""
        if event is not None and event.source is self.annotation and self.link.opened is not None:
            same = look.spatial_shape(self.annotation) == self.link.opened.shape
            if same and self.strokes.layer is self.annotation:
                self.strokes.rescan()
                return
        self._begin_anew()
