"""What the controller does with each thing the trainer says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_msd.gui.live_button import LiveState
from napari_msd.worker.messages import (
    Event,
    Finished,
    LookHere,
    ModelKept,
    Notice,
    OverlayBlock,
    Progress,
    TrainerDied,
)

if TYPE_CHECKING:
    from napari_msd.gui.controller import Controller

_STATES = {
    "waiting": LiveState.WAITING,
    "training": LiveState.TRAINING,
    "idle": LiveState.IDLE,
}


def take(controller: Controller, event: Event) -> None:
    """Act on one event; what only has to be shown is the window's business."""
    match event:
        case OverlayBlock():
            if controller.link.opened is not None:  # else of a network just forgotten
                controller.guide.uncertainty.put(event)
                controller.overlay.put(event)
        case LookHere():
            controller.guide.look(event)
        case Progress():
            controller.classes.set_scores(
                event.held_out_iou, event.iou_margin, event.iou_pieces, event.unmeasured
            )
            if controller.live:
                controller.show_live(_STATES[event.state])
        case ModelKept():
            controller.keep(event)
        case Finished(work):
            if work == controller.work:
                controller.end_work()
            controller.overlay.settle()
        case Notice("error", text):
            # the work in hand has stopped on the other side already
            controller.end_work()
            controller.live_off()
            controller.notice.emit("error", text)
        case Notice(level, text):
            controller.notice.emit(level, text)
        case TrainerDied(text, restarting):
            controller.end_work()
            controller.notice.emit("warning" if restarting else "error", text)
            if not restarting:
                controller.link.opened = None  # the next work opens a new one
                controller.live_off()
            elif controller.live:
                controller.show_live(LiveState.STARTING)
