"""What crosses the process boundary: plain dataclasses, the same on both sides.

Requests go from the viewer to the trainer, events come back. Arrays travel in
shared memory which the viewer owns; the messages only name it.

Every event belongs to the session that was open when it was sent; the listener hears
the session's number with it, 0 for what belongs to no session (`Ready`, `TrainerDied`,
notices about the process itself).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from napari_msd.core.box import Box
from napari_msd.core.planes import PlaneKey, Region, box_of

__all__ = [
    "Event",
    "Finished",
    "LookHere",
    "Measured",
    "ModelKept",
    "Notice",
    "OverlayBlock",
    "PlaneKey",
    "PlaneWanted",
    "Progress",
    "Ready",
    "Region",
    "StrokeBlock",
    "TrainerDied",
    "TrainerState",
    "View",
]

TrainerState = Literal["waiting", "training", "idle"]


# --- events: trainer -> viewer --------------------------------------------------------


@dataclass(frozen=True)
class Ready:
    """The trainer process is up.

    `device` is a short text for the window ("CPU AVX-512, 2 threads"), `reason`
    the sentence behind it (why this one, and why not a faster one). `pid` is the
    process's number.
    """

    device: str
    reason: str
    backend: str
    pid: int
    versions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Progress:
    """How training stands; comes a few times a second while Live, and at every change.

    `loss` is the training loss averaged since the last event, ``None`` before the
    first step. `held_out_iou` maps class value to IoU (0..1) on held-out strokes,
    for the classes that have any; it is known to within `iou_margin` (95 %), from
    `iou_pieces` stretches of strokes. `unmeasured` maps the classes that have too few strokes
    for any to be held out to how many stretches they have. `score` is their mean for
    the newest weights and `best_score` that of the kept ones. `needs` is the sentence to show
    while ``state == "waiting"``, `warning` one to be noticed for as long as it comes.
    `seconds_left`/`fraction` (0..1) are known for work that
    ends (Update once, Predict all). `starved` says that training gets less than a tenth of
    the processor time it needs.
    """

    state: TrainerState
    step: int = 0
    loss: float | None = None
    held_out_iou: dict[int, float] = field(default_factory=dict)
    score: float | None = None
    best_score: float | None = None
    steps_per_second: float = 0.0
    needs: str = ""
    fraction: float | None = None
    seconds_left: float | None = None
    iou_margin: dict[int, float] = field(default_factory=dict)
    iou_pieces: dict[int, int] = field(default_factory=dict)
    unmeasured: dict[int, int] = field(default_factory=dict)
    warning: str = ""
    starved: bool = False


@dataclass(frozen=True)
class OverlayBlock:
    """A rectangle of a plane's segmentation lies in the overlay slot.

    The viewer's end copies it out and hands the array to the listener as
    `labels`, uint8 of `region.shape`, values of the annotation. If `unsure`, the slot also holds
    how uncertain they are: `uncertainty`, uint8 of the same shape, 0 (sure) to 255 (a guess).
    `network` is the id of the network that predicted them, see `ModelKept`.
    """

    plane: PlaneKey
    region: Region
    step: int
    unsure: bool = False
    labels: Any = None
    uncertainty: Any = None
    network: str = ""

    @property
    def box(self) -> Box:
        """Where it lies."""
        return box_of(self.plane, self.region)


@dataclass(frozen=True)
class LookHere:
    """Where labels would teach most; `uncertainty` (0..1) is the mean in `region`."""

    plane: PlaneKey
    region: Region
    uncertainty: float

    @property
    def box(self) -> Box:
        """Where it lies."""
        return box_of(self.plane, self.region)


@dataclass(frozen=True)
class PlaneWanted:
    """The trainer needs the pixels of a plane; answered by the client itself."""

    plane: PlaneKey


@dataclass(frozen=True)
class ModelKept:
    """New best weights: the bytes of a model file (see ``io.model_file``), `step` and `score`.

    They were learned from `painted` pixels in `pieces` stretches of strokes; `revision` is another
    number whenever the strokes were others. `network` is the id that blocks predicted with it
    carry: a short digest of all that decides a prediction. The same weights opened again have
    the same id, as long as the same of their classes are painted.
    """

    model: bytes
    step: int
    score: float | None
    pieces: int = 0
    painted: int = 0
    revision: int = 0
    network: str = ""


@dataclass(frozen=True)
class Measured:
    """How models do on the strokes that are held out now; answers `TrainerClient.measure`.

    `scores` maps a model's index in the list to its mean IoU (0..1); ``None`` if nothing is
    held out, or the model's file is broken or made for other images. `request` is the number
    that was given with the question.
    """

    scores: dict[int, float | None]
    request: int = 0


@dataclass(frozen=True)
class Finished:
    """Work has ended: ``update`` (Update once), ``predict`` (Predict all) or ``stop``.

    Every `TrainerClient.cancel` and every switching off of Live is answered by exactly one
    ``stop``, even if nothing was under way. It is the last event of that cancellation:
    ``predict`` and ``update`` of the work that it ended, with `cancelled`, come before it.
    It is told though another session was opened meanwhile.
    """

    work: Literal["update", "predict", "stop"]
    cancelled: bool = False


@dataclass(frozen=True)
class Notice:
    """One sentence for the person. ``error`` means that the work in hand has stopped."""

    level: Literal["info", "warning", "error"]
    text: str


@dataclass(frozen=True)
class TrainerDied:
    """The trainer process ended unasked, or hung and was ended.

    `text` says in plain words what happened, `restarting` whether a new process is on its way.
    It stands for every answer that was still to come.
    """

    text: str
    restarting: bool


Event = (
    Ready
    | Progress
    | OverlayBlock
    | LookHere
    | PlaneWanted
    | ModelKept
    | Measured
    | Finished
    | Notice
    | TrainerDied
)


# --- requests: viewer -> trainer ------------------------------------------------------


@dataclass(frozen=True)
class StrokeBlock:
    """Painted values of one rectangle of a plane, after a change: 0 = nothing painted.

    `values` is uint8 of `region.shape`.
    """

    plane: PlaneKey
    region: Region
    values: Any


@dataclass(frozen=True)
class View:
    """What is on screen: the plane, and its visible rectangle."""

    plane: PlaneKey
    region: Region
