"""Everything that crosses the process boundary: typed, immutable messages, the same on both sides.

Requests go from the viewer to the trainer, events come back, each in an envelope with a
`Stamp`. Another image, preset, device or version begins another epoch; `Gate` says what is
dropped then.
"""

from __future__ import annotations

from napari_msd.trainer.arrays import Labels, Pixels
from napari_msd.trainer.events import (
    Event,
    Finished,
    Heartbeat,
    LookHere,
    Measured,
    ModelKept,
    Notice,
    OverlayBlock,
    PixelsWanted,
    Progress,
    Ready,
    TrainerDied,
    TrainerState,
)
from napari_msd.trainer.requests import (
    Cancel,
    FailedStep,
    Measure,
    Open,
    OverlayTaken,
    Pause,
    PixelsPart,
    PixelsUnavailable,
    PredictAll,
    Refresh,
    Request,
    SetLive,
    SetStrokes,
    SetUncertainty,
    SetView,
    ShowMe,
    UpdateOnce,
)

__all__ = [
    "Cancel",
    "Event",
    "FailedStep",
    "Finished",
    "Heartbeat",
    "Labels",
    "LookHere",
    "Measure",
    "Measured",
    "ModelKept",
    "Notice",
    "Open",
    "OverlayBlock",
    "OverlayTaken",
    "Pause",
    "Pixels",
    "PixelsPart",
    "PixelsUnavailable",
    "PixelsWanted",
    "PredictAll",
    "Progress",
    "Ready",
    "Refresh",
    "Request",
    "SetLive",
    "SetStrokes",
    "SetUncertainty",
    "SetView",
    "ShowMe",
    "TrainerDied",
    "TrainerState",
    "UpdateOnce",
]
