"""One live session: carries out the user's commands with layers, trainer and weights.

Bad input of any kind leads to one sentence in the status line, and nothing worse.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from psygnal import Signal

from napari_msd.core.errors import MSDError, StrokesError
from napari_msd.session import texts
from napari_msd.session.active_learning import ActiveLearning
from napari_msd.session.connection import TrainerConnection, child_process_trainer
from napari_msd.session.events import TrainerEvents
from napari_msd.session.network_choice import NetworkChoice
from napari_msd.session.notices import Notices
from napari_msd.session.ports import SOURCE
from napari_msd.session.recorder import Recorder
from napari_msd.session.sync import TrainerSync
from napari_msd.session.weights import Weights
from napari_msd.session.work_state import WorkState

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_msd.core.box import Box
    from napari_msd.core.space import Mode
    from napari_msd.session.classes import ClassTable
    from napari_msd.session.connection import CallSoon, MakeTrainer
    from napari_msd.session.memory import SessionMemory
    from napari_msd.session.ports import Viewer
    from napari_msd.trainer.messages import Event, Ready


class Controller(WorkState):
    """The session of one viewer.

    The window shows what its signals report.

    Parameters
    ----------
    viewer
        Layers, view and strokes.
    memory
        What is kept when the panel is closed.
    classes
        The classes of the annotation.
    call_soon
        Runs a function on this session's thread, soon; may be called from any thread.
    make_trainer
        Makes the trainer; by default a child process.
    """

    network_changed = Signal()
    """Figures and curves shown so far belong to another network, image or annotation."""
    heard = Signal(object)
    """Any event of the trainer, after the session has handled it."""

    def __init__(
        self,
        viewer: Viewer,
        memory: SessionMemory,
        classes: ClassTable,
        call_soon: CallSoon,
        make_trainer: MakeTrainer | None = None,
    ) -> None:
        super().__init__()
        self.memory, self.classes = memory, classes
        self.notices = Notices()
        self.chosen, self.strokes, self.screen = viewer.chosen, viewer.strokes, viewer.screen
        self.annotation_tools, self.overlay = viewer.annotation_tools, viewer.overlay
        self._uncertainty = viewer.uncertainty
        self.connection = TrainerConnection(make_trainer or child_process_trainer, call_soon)
        self.network = NetworkChoice(memory, self.chosen)
        self.recorder = Recorder(classes, self.chosen, memory)
        self.sync = TrainerSync(
            self.connection, self.chosen, self.strokes, self.screen, self.network, self.recorder
        )
        self.weights = Weights(
            self.network, self.connection, self.overlay, self.notices, self._continue
        )
        self.active_learning = ActiveLearning(
            viewer, self.sync, self.connection, self.network, self.notices, self.attach_overlay
        )
        self._events = TrainerEvents(
            self,
            classes,
            self.overlay,
            self.active_learning,
            self.weights,
            self.connection,
            self.notices,
        )
        self.chosen.changed.connect(self._reset)
        self.chosen.repainted.connect(self.strokes.rescan)
        self.chosen.pixels_replaced.connect(self.overlay.clear)
        self.overlay.deleted.connect(self._on_segmentation_deleted)
        self.strokes.edited.connect(self.recorder.save_first)
        self.sync.counted.connect(classes.set_pixels)
        self.sync.unusable.connect(self._on_unusable)
        self.weights.kept.connect(self._on_kept)
        self.connection.heard.connect(self._on_event)
        classes.changed.connect(self._on_classes)
        self.connection.start()

    def close(self) -> None:
        """End the trainer and release all layers; strokes, segmentation and networks stay."""
        self.strokes.settle()
        self.connection.close()
        self.overlay.flush()
        self.memory.saving.flush()
        self.memory.choose(self.chosen.image, self.chosen.annotation)
        self.memory.classes = {info.value: (info.name, info.color) for info in self.classes}
        self.memory.hidden = self.classes.hidden
        self._uncertainty.close()
        self.chosen.release()
        self.strokes.release()
        self.annotation_tools.release()
        self.screen.close()
        self.overlay.close()
        self.live, self.work = False, ""

    @property
    def ready(self) -> Ready | None:
        """What the trainer last said of itself and its device; ``None`` before it is up."""
        return self._events.ready

    # --- layers and settings -------------------------------------------------------------

    def _reset(self, lost: str = "") -> None:
        """Check layers or data that changed, and continue with them if possible."""
        if not lost:
            self.notices.acted.emit()
        self.strokes.settle()  # the last stroke on the layer that is left
        image, annotation = self.chosen.image, self.chosen.annotation
        problem = self.chosen.problem()
        self.recorder.leave()
        readable = annotation is self.annotation_tools.layer or self.annotation_tools.take(
            annotation
        )
        self.screen.watch(annotation if problem is None else image)
        self.strokes.watch(self.chosen.fitting)
        self.sync.layers_changed()
        self.overlay.flush()
        self.overlay.detach()
        if image is not None and self.chosen.problem(need_annotation=False) is None:
            self.overlay.find(image, self.classes.overlay_colors)
        self.connection.leave()
        self.network.adopt_loaded()
        self.network_changed.emit()
        self.active_learning.layers_changed()
        if self.live and (problem is not None or lost):
            self._stop_all()
            self.notices.warn(texts.live_is_off(lost or str(problem)))
        elif self.live:
            self.attempt(self._start_live)
        else:
            if self.work:  # it belonged to the previous layers
                self._stop_all()
            if problem is None:
                self.attempt(self.sync.open)
            if lost:
                self.notices.warn(lost)
        if annotation is not None and not readable:
            self.notices.warn(texts.class_names_unreadable(annotation.name))

    def set_preset(self, preset: str) -> None:
        """Change the network: Live uses it at once, other work from its next start."""
        before, name = self.network.kept, self.network.preset
        if not self.network.choose_preset(preset):
            return
        self._settings_changed()
        self.network_changed.emit()
        if before is not None and self.network.kept is None:
            self.notices.info(texts.new_network(preset, name))

    def set_mode(self, mode: Mode) -> None:
        """See planes, planes with their neighbours, or volumes; each has a network of its own."""
        before, name = self.network.kept, self.network.mode
        if not self.network.choose_mode(mode):
            return
        self._settings_changed()
        self.network_changed.emit()
        if before is not None and self.network.kept is None:
            self.notices.info(texts.new_network(texts.MODES[mode], texts.MODES[name]))

    def set_context(self, context: int) -> None:
        """See so many slices on each side, in 2.5-D."""
        if self.network.choose_context(context):
            self._settings_changed()
            self.network_changed.emit()

    def set_device(self, device: str) -> None:
        """Train on another device, from the same weights."""
        if self.network.choose_device(device):
            self._settings_changed()

    def _settings_changed(self) -> None:
        if self.live:
            self.attempt(self._start_live)
        elif not self.work and self.chosen.problem() is None:
            self.attempt(self.sync.open)  # reports at once if the device cannot be used
        self.work_changed.emit()

    # --- work ----------------------------------------------------------------------------

    def set_live(self, on: bool) -> None:
        """Train and refresh until off."""
        if on == self.live:
            return
        if on:
            self.attempt(self._start_live)
        else:
            self.notices.acted.emit()
            self.connection.client.set_live(False)
            self.stop_asked()

    def _start_live(self) -> None:
        try:
            if self.sync.open():
                self.end_work()
            self.attach_overlay()
        except MSDError:
            self._stop_all()
            raise
        self.recorder.save()
        self.connection.client.set_live(True)
        self.live_on()

    def update_once(self) -> None:
        """Train for a few seconds, refresh, stop."""
        self.attempt(self._update_once)

    def _update_once(self) -> None:
        self.sync.open()
        if len(self.strokes.snapshot.annotation.counts) < 2 and not self.strokes.busy:
            raise StrokesError(texts.TWO_CLASSES_NEEDED)
        self.recorder.save()
        self.attach_overlay()
        self.begin_work("update")
        self.connection.client.update_once()

    def predict_all(self) -> None:
        """Segment all of the image with the best network."""
        self.attempt(self._predict_all)

    def predict_boxes(self, boxes: Sequence[Box]) -> None:
        """Segment these parts of the image, each within one slab, with the best network."""
        self.attempt(lambda: self._predict_all(boxes))

    def _predict_all(self, boxes: Sequence[Box] | None = None) -> None:
        if self.sync.open(need_annotation=False) and self.live:
            self.connection.client.set_live(True)
        if self.network.kept is None:
            raise MSDError(texts.PREDICT_ALL_NEEDS_NETWORK)
        self.attach_overlay()
        if boxes is None:
            space = self.network.seen(self.chosen.data.space)
            shown = space.slab_of(self.screen.view())  # what is seen first
            boxes = sorted(space.slabs(SOURCE), key=lambda slab: slab != shown)
        self.begin_work("predict")
        self.connection.client.predict_all(boxes)

    def stop(self) -> None:
        """End all work; keep the best weights and the overlay."""
        self.notices.acted.emit()
        self._stop_all()

    def _stop_all(self) -> None:
        """Ask the trainer to end all work, if any runs."""
        if self.live or self.work:
            self.connection.client.cancel()
            self.end_work()
            self.stop_asked()

    def _continue(self, show: bool) -> None:
        """Continue from changed weights: train if Live is on, else predict the view if `show`."""
        # late blocks and weights of the previous network must not be used
        self.connection.leave()
        self.end_work()
        self._save_versions()
        self.network_changed.emit()
        if self.live:
            self.attempt(self._start_live)
        elif self.chosen.problem(need_annotation=False) is None:  # opening also ends all work
            self.attempt(self._show if show else lambda: self.sync.open(need_annotation=False))
        self.work_changed.emit()

    def show_segmentation(self) -> None:
        """Predict the visible part, if there is a network."""
        if self.network.kept is not None:
            self._continue(show=True)

    def _show(self) -> None:
        self.sync.open(need_annotation=False)
        self.attach_overlay()
        self.connection.client.refresh()

    def attach_overlay(self) -> None:
        """Make sure that the segmentation layer exists."""
        assert self.chosen.image is not None  # a session is open on it
        self.overlay.attach(self.chosen.image, self.chosen.fitting, self.classes.overlay_colors)
        self._on_classes()

    # --- event handlers ------------------------------------------------------------------

    def _on_kept(self) -> None:
        self._save_versions()
        self.work_changed.emit()

    def _save_versions(self) -> None:
        network = self.network
        self.memory.saving.keep_versions(self.chosen.layers, network.kind, network.history)

    def _on_unusable(self) -> None:
        self.notices.warn(texts.VALUES_ARE_NO_CLASSES)

    def _on_segmentation_deleted(self) -> None:
        if self.live or self.work:
            self._stop_all()
            self.notices.info(texts.SEGMENTATION_DELETED)
        self.work_changed.emit()

    def _on_classes(self) -> None:
        self.overlay.set_colors(self.classes.overlay_colors)
        if self.overlay.layer is not None and self.overlay.present:
            self.classes.save_to(self.overlay.layer)  # napari's own File > Save writes them, too

    def _on_event(self, event: Event) -> None:
        self._events.take(event)
        self.heard.emit(event)

    def attempt(self, work: Callable[[], object]) -> None:
        """Run a user's command; report an error as one sentence."""
        self.notices.acted.emit()
        try:
            work()
        except MSDError as error:
            self.notices.error(str(error))
            self.live_state.emit(self.state)  # a pressed switch springs back
