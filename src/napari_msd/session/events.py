"""How the session handles each event of the trainer."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from napari_msd.session import texts
from napari_msd.session.work_state import LiveState
from napari_msd.trainer.messages import (
    Event,
    Finished,
    LookHere,
    ModelKept,
    Notice,
    OverlayBlock,
    Progress,
    Ready,
    TrainerDied,
)

if TYPE_CHECKING:
    from napari_msd.session.active_learning import ActiveLearning
    from napari_msd.session.classes import ClassTable
    from napari_msd.session.connection import TrainerConnection
    from napari_msd.session.notices import Notices
    from napari_msd.session.ports import Overlay
    from napari_msd.session.weights import Weights
    from napari_msd.session.work_state import WorkState

_log = logging.getLogger(__name__)

_STATES = {
    "waiting": LiveState.WAITING,
    "training": LiveState.TRAINING,
    "idle": LiveState.IDLE,
}


class TrainerEvents:
    """Handles events of the open session; the window handles those that are only displayed.

    Parameters
    ----------
    work, classes, overlay, active_learning, weights, connection, notices
        The parts of the session that events change.
    """

    def __init__(
        self,
        work: WorkState,
        classes: ClassTable,
        overlay: Overlay,
        active_learning: ActiveLearning,
        weights: Weights,
        connection: TrainerConnection,
        notices: Notices,
    ) -> None:
        self._work, self._classes, self._overlay = work, classes, overlay
        self._active_learning, self._weights = active_learning, weights
        self._connection, self._notices = connection, notices
        self.ready: Ready | None = None
        """What the trainer last said of itself and its device."""

    def take(self, event: Event) -> None:
        """Handle one event."""
        work = self._work
        match event:
            case Ready():
                self.ready = event
                _log.info("The trainer is up: %s. %s", event.device, event.reason)
            case OverlayBlock():
                self._active_learning.put(event)
                self._overlay.put(event)
            case LookHere():
                self._active_learning.look(event)
            case Progress():
                self._classes.set_scores(
                    event.held_out_iou, event.iou_margin, event.iou_pieces, event.unmeasured
                )
                if work.live:
                    work.live_is(_STATES[event.state])
            case ModelKept():
                self._weights.keep(event)
            case Finished("stop"):
                work.stopped()
            case Finished(kind, cancelled):
                self._overlay.show_all()
                # cancelled work was ended here already; other work may run by now
                if kind == work.work and not cancelled:
                    work.end_work(finished=True)
            case Notice("error", text):
                # the trainer has already stopped the current work
                work.end_work()
                work.live_off()
                self._notices.error(text)
            case Notice(level, text):
                self._notices.notice.emit(level, text)
            case TrainerDied(text, restarting):
                self._trainer_died(text, restarting=restarting)

    def _trainer_died(self, text: str, *, restarting: bool) -> None:
        work = self._work
        text = texts.work_was_lost(text, work.work)
        work.end_work()
        work.died()
        self._notices.notice.emit("warning" if restarting else "error", text)
        if not restarting:
            self._connection.leave()  # the next task opens a new one
            work.live_off()
        elif work.live:
            work.show_live(LiveState.STARTING)
