"""What the controller does with each thing the trainer says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_msd.trainer.messages import (
    Event,
    Finished,
    LookHere,
    ModelKept,
    Notice,
    OverlayBlock,
    Progress,
    TrainerDied,
)
from napari_msd.widgets.live_button import LiveState

if TYPE_CHECKING:
    from napari_msd.session.controller import Controller

_STATES = {
    "waiting": LiveState.WAITING,
    "training": LiveState.TRAINING,
    "idle": LiveState.IDLE,
}


def take(controller: Controller, event: Event) -> None:
    """Act on one event of the present session; what only has to be shown is the window's."""
    match event:
        case OverlayBlock():
            controller.guide.put(event)
            controller.overlay.put(event)
        case LookHere():
            controller.guide.look(event)
        case Progress():
            controller.classes.set_scores(
                event.held_out_iou, event.iou_margin, event.iou_pieces, event.unmeasured
            )
            if controller.live:
                paused = controller.work == "predict"
                controller.show_live(LiveState.PAUSED if paused else _STATES[event.state])
        case ModelKept():
            controller.keep(event)
        case Finished("stop"):
            controller.stopped()
        case Finished(work, cancelled):
            controller.overlay.settle()
            # what was cancelled has been ended here already; other work may run by now
            if work == controller.work and not cancelled:
                controller.end_work(finished=True)
        case Notice("error", text):
            # the work in hand has stopped on the other side already
            controller.end_work()
            controller.live_off()
            controller.notice.emit("error", text)
        case Notice(level, text):
            controller.notice.emit(level, text)
        case TrainerDied(text, restarting):
            controller.trainer_died(text, restarting=restarting)
