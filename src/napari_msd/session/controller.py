"""Connects everything: layers, strokes and view to the trainer, its events to the window.

One rule decides what it does: no input, however bad, ends in more than one sentence in the
status label.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from napari_msd.core.errors import MSDError, StrokesError
from napari_msd.session.classes import ClassTable
from napari_msd.session.events import take
from napari_msd.session.feed import Feed
from napari_msd.session.guide import Guide
from napari_msd.session.link import TrainerLink
from napari_msd.session.network_choice import NetworkChoice
from napari_msd.session.work_state import WorkState
from napari_msd.viewer import layers as look
from napari_msd.viewer.annotation_tools import FRESH, AnnotationDesk
from napari_msd.viewer.overlay import Overlay
from napari_msd.viewer.stroke_watcher import StrokeWatcher
from napari_msd.viewer.subject import Subject
from napari_msd.viewer.view_watcher import ViewWatcher
from napari_msd.viewer.viewer_memory import memory_of
from napari_msd.widgets.live_button import LiveState

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_msd.document import Version
    from napari_msd.images.model_file import ModelRecord
    from napari_msd.trainer.messages import ModelKept
    from napari_msd.viewer.preferences import Preferences


class Controller(WorkState):
    """The session of one viewer.

    Its signals tell the window what to show.
    """

    notice = Signal(str, str)
    """Level and sentence."""
    past = Signal(str)
    """A sentence that is true no longer."""
    acted = Signal()
    """The person did something: what was said before is past."""
    network_changed = Signal()
    """Figures and curves that were shown are of another network, image or annotation."""
    heard = Signal(object)
    """Any event of the trainer, after the controller has acted on it."""

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
        self.memory = memory = memory_of(viewer, preferences.preset, preferences.device)
        self.classes = ClassTable(self)
        self.classes.reset(dict(FRESH))
        if memory.classes:
            self.classes.reset(*memory.names_and_colors)
        self.view = ViewWatcher(viewer, self)
        self.strokes = StrokeWatcher(self.view, self)
        self.desk = AnnotationDesk(viewer, self.classes, self)
        self.overlay = Overlay(viewer, self.view, lambda: self.strokes.hand_at_work, self)
        self.link = TrainerLink(make_client, self)
        self.subject = Subject(viewer, self)
        self.network = NetworkChoice(memory, self.subject)
        self.feed = Feed(self.link, self.subject, self.strokes, self.view, self.network, self)
        self.guide = Guide(self)
        self.subject.changed.connect(self._begin_anew)
        self.subject.repainted.connect(self.strokes.rescan)
        self.subject.pixels_replaced.connect(self.overlay.clear)
        self.feed.counted.connect(self.classes.set_pixels)
        self.feed.unusable.connect(self._on_unusable)
        self.classes.changed.connect(self._on_classes)
        self.link.heard.connect(self._on_event)
        self.overlay.deleted.connect(self._on_segmentation_deleted)
        self.overlay.opacity = preferences.overlay_opacity
        self.overlay.set_rate(preferences.refresh_rate)
        self.link.start()

    def close(self) -> None:
        """End the trainer, let go of all layers; strokes, segmentation and networks stay."""
        self.link.close()
        self.overlay.flush()
        self.memory.choose(self.image, self.annotation)
        self.memory.classes = {info.value: (info.name, info.color) for info in self.classes}
        self.guide.close()
        self.subject.release()
        self.strokes.release()
        self.desk.release()
        self.view.close()
        self.overlay.close()
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
    def image(self) -> Any:
        """The image worked on, or ``None``."""
        return self.subject.image

    @property
    def annotation(self) -> Any:
        """The annotation layer worked on, or ``None``."""
        return self.subject.annotation

    @property
    def client(self) -> Any:
        """The trainer's client."""
        return self.link.client

    def _begin_anew(self, lost: str = "") -> None:
        """Layers or their data are others now: look at them, and go on if that is possible."""
        if not lost:
            self.acted.emit()
        annotation, problem = self.annotation, self.subject.problem()
        readable = annotation is self.desk.layer or self.desk.take(annotation)
        self.view.watch(annotation if problem is None else self.image)
        self.strokes.watch(self.subject.fitting)
        self.feed.count()
        self.overlay.flush()
        self.overlay.detach()
        if self.image is not None and self.subject.problem(need_annotation=False) is None:
            self.overlay.find(self.image, self.classes.colors)
        self.link.leave()
        self.network.adopt_loaded()
        self.network_changed.emit()
        self.guide.subject_changed()
        if self.live and (problem is not None or lost):
            self._halt()
            self.notice.emit("warning", f"{lost or problem} Live is off.")
        elif self.live:
            self.attempt(self._start_live)
        else:
            if self.work:  # it was on the layers before
                self._halt()
            if problem is None:
                self.attempt(self.feed.open)
            if lost:
                self.notice.emit("warning", lost)
        if not readable:
            self.notice.emit(
                "warning",
                f"The class names and colours kept in “{annotation.name}” cannot be read; "
                "they are not used.",
            )

    def set_preset(self, preset: str) -> None:
        """Another network: the next work begins with it, Live at once."""
        before, name = self.network.kept, self.network.preset
        if not self.network.choose_preset(preset):
            return
        self._settings_changed()
        self.network_changed.emit()
        if before is not None and self.network.kept is None:
            self.notice.emit(
                "info",
                f"The {preset} network starts from your strokes; "
                f"choosing {name} again brings the one before back.",
            )

    def set_device(self, device: str) -> None:
        """Train elsewhere, from the same weights."""
        if self.network.choose_device(device):
            self._settings_changed()

    def _settings_changed(self) -> None:
        if self.live:
            self.attempt(self._start_live)
        elif not self.work and self.subject.problem() is None:
            self.attempt(self.feed.open)  # tells at once what is wrong with a device
        self.work_changed.emit()

    # --- work ----------------------------------------------------------------------------

    def set_live(self, on: bool) -> None:
        """Train and refresh until off."""
        if on == self.live:
            return
        if on:
            self.attempt(self._start_live)
        else:
            self.acted.emit()
            self.client.set_live(False)
            self.stop_asked()

    def _start_live(self) -> None:
        try:
            if self.feed.open():
                self.end_work()
            self.attach_overlay()
        except MSDError:
            self._halt()
            raise
        self.client.set_live(True)
        self.live_on()

    def update_once(self) -> None:
        """Train for a few seconds, refresh, stop."""
        self.attempt(self._update_once)

    def _update_once(self) -> None:
        self.feed.open()
        if len(self.strokes.snapshot.counts) < 2 and not self.strokes.busy:
            raise StrokesError("Paint a few strokes of at least two classes first.")
        self.attach_overlay()
        self.begin_work("update")
        self.client.update_once()

    def predict_all(self) -> None:
        """Segment every plane with the best network."""
        self.attempt(self._predict_all)

    def _predict_all(self) -> None:
        if self.feed.open(need_annotation=False) and self.live:
            self.client.set_live(True)
        if self.model is None:
            raise MSDError("There is no network yet: press Live to train one, or load a model.")
        self.attach_overlay()
        shown = self.view.shown_plane()
        planes = list(product(*map(range, look.spatial_shape(self.image)[:-2])))
        planes.sort(key=lambda plane: plane != shown)  # what is on screen first
        self.begin_work("predict")
        self.client.predict_all(planes)

    def stop(self) -> None:
        """End all work; best weights and overlay stay."""
        self.acted.emit()
        self._halt()

    def _halt(self) -> None:
        """Ask the trainer to end all work, if there is any."""
        if self.live or self.work:
            self.client.cancel()
            self.end_work()
            self.stop_asked()

    def attach_overlay(self) -> None:
        """Make sure that the segmentation's layer is there."""
        self.overlay.attach(self.image, self.subject.fitting, self.classes.colors)
        self._on_classes()

    # --- weights -------------------------------------------------------------------------

    @property
    def model(self) -> bytes | None:
        """The best weights for the present image and preset, as a model file's bytes."""
        kept = self.network.kept
        return kept.model if kept is not None else None

    def keep(self, kept: ModelKept) -> None:
        """Newer best weights came from the trainer."""
        if self.link.opened is not None:
            self.network.keep(kept, self.link.opened)
            self.work_changed.emit()

    def start_from(self, record: ModelRecord, source: str) -> None:
        """Go on from a saved model."""
        self.network.load(record, source)
        self._use_present()

    def continue_from_another_image(self) -> None:
        """Go on from the network of the image before, with this image's grey values."""
        self.acted.emit()
        kept = self.network.of_another_image
        if kept is None:
            return
        self.network.take(kept)
        self._use_present()
        self.notice.emit(
            "info",
            f"Goes on from the network of “{kept.source}”, with this image's grey values. "
            "Start over begins anew.",
        )

    def go_back(self, version: Version) -> None:
        """Go on from an earlier version of the network; the others stay to be gone back to."""
        self.acted.emit()
        self.network.go_back(version)
        self._use_present()

    def bring_back(self) -> None:
        """Undo `start_over`."""
        self.acted.emit()
        self.network.bring_back()
        self._use_present()

    def _use_present(self) -> None:
        """Show what other weights predict, and train on from them if Live is on."""
        self.link.leave()
        self.end_work()
        self.network_changed.emit()
        if self.live:
            self.attempt(self._start_live)
        elif self.subject.problem(need_annotation=False) is None:
            self.attempt(self._show_present)
        self.work_changed.emit()

    def _show_present(self) -> None:
        self.feed.open(need_annotation=False)
        self.attach_overlay()
        self.client.refresh()

    def start_over(self) -> tuple[bool, Any]:
        """Forget the network, keep the strokes.

        Returns
        -------
        forgotten
            Whether there was a network.
        labels
            What it had predicted, for `Overlay.restore`.
        """
        self.acted.emit()
        forgotten, labels = self.network.forget(), self.overlay.clear()
        # late blocks and weights of the forgotten network must not come back
        self.link.leave()
        self.end_work()
        self.network_changed.emit()
        if self.live:
            self.attempt(self._start_live)
        elif self.subject.problem(need_annotation=False) is None:  # it also ends all work
            self.attempt(lambda: self.feed.open(need_annotation=False))
        self.work_changed.emit()
        return forgotten, labels

    # --- what is heard -------------------------------------------------------------------

    def _on_unusable(self) -> None:
        self.notice.emit(
            "warning",
            "Some painted values are negative or above 255; they are not used as classes.",
        )

    def _on_segmentation_deleted(self) -> None:
        if self.live or self.work:
            self._halt()
            self.notice.emit(
                "info",
                "You deleted the segmentation, so all work has stopped. "
                "Live, Update once or Predict all bring it back.",
            )
        self.work_changed.emit()

    def trainer_died(self, text: str, *, restarting: bool) -> None:
        """The trainer process has ended unasked."""
        if self.work:
            text += " Update once" if self.work == "update" else " Predict all"
            text += " was lost: press it again."
        self.end_work()
        self.died()
        self.notice.emit("warning" if restarting else "error", text)
        if not restarting:
            self.link.leave()  # the next work opens a new one
            self.live_off()
        elif self.live:
            self.show_live(LiveState.STARTING)

    def _on_classes(self) -> None:
        self.overlay.set_colors(self.classes.colors)
        if self.overlay.present:  # so that napari's own File > Save writes the names too
            self.classes.save_to(self.overlay.layer)

    def _on_event(self, event: Any) -> None:
        take(self, event)
        self.heard.emit(event)

    # --- helpers -------------------------------------------------------------------------

    def attempt(self, work: Callable[[], object]) -> None:
        """Do what a person asked for; what cannot be done is said in one sentence."""
        self.acted.emit()
        try:
            work()
        except MSDError as error:
            self.notice.emit("error", str(error))
            self.live_state.emit(self.state)  # a pressed switch springs back
