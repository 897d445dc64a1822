"""What the trainer says: one small typed message for each thing."""

from __future__ import annotations

from typing import Literal

import msgspec

from napari_msd.core.box import Box
from napari_msd.trainer.arrays import Labels

TrainerState = Literal["waiting", "training", "idle"]


class _Event(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """A message from the trainer; its class name is on the wire."""


class Ready(_Event, frozen=True):
    """The trainer is up.

    `device` is a short text for the window ("CPU AVX-512, 2 threads"), `reason`
    the sentence behind it (why this one, and why not a faster one). `pid` is the number
    of its process.
    """

    device: str
    reason: str
    backend: str
    pid: int
    versions: dict[str, str] = msgspec.field(default_factory=dict)


class Progress(_Event, frozen=True):
    """How training stands; comes a few times a second while Live, and at every change.

    `loss` is the training loss averaged since the last event, ``None`` before the
    first step. `held_out_iou` maps class value to IoU (0..1) on held-out strokes,
    for the classes that have any; it is known to within `iou_margin` (95 %), from
    `iou_pieces` pieces of strokes. `unmeasured` gives the number of pieces of each class that has
    too few for a validation split. `score` is the mean IoU for the newest weights and
    `best_score` that of the kept ones. `needs` is the sentence to show
    while ``state == "waiting"``, `warning` one to be noticed for as long as it comes.
    `seconds_left`/`fraction` (0..1) are known for work that
    ends (Update once, Predict all). `starved` says that training gets less than a tenth of
    the processor time it needs.
    """

    state: TrainerState
    step: int = 0
    loss: float | None = None
    held_out_iou: dict[int, float] = msgspec.field(default_factory=dict)
    score: float | None = None
    best_score: float | None = None
    steps_per_second: float = 0.0
    needs: str = ""
    fraction: float | None = None
    seconds_left: float | None = None
    iou_margin: dict[int, float] = msgspec.field(default_factory=dict)
    iou_pieces: dict[int, int] = msgspec.field(default_factory=dict)
    unmeasured: dict[int, int] = msgspec.field(default_factory=dict)
    warning: str = ""
    starved: bool = False


class OverlayBlock(_Event, frozen=True, eq=False):
    """The segmentation of a box.

    `labels` are uint8 of `box.shape`, values of the annotation; `uncertainty`, if it was asked
    for, is uint8 of the same shape, 0 (sure) to 255 (a guess). `network` is the id of the network
    that predicted them after training step `step`, see `ModelKept`. With a `scale` above 1 it is a
    first answer at a fraction of the resolution: one value for `scale` x `scale` pixels.
    `confidence` (0..1) is the mean probability of what was predicted.

    Raises
    ------
    ValueError
        If an array is of another shape than the box.
    """

    box: Box
    step: int
    labels: Labels
    uncertainty: Labels | None = None
    network: str = ""
    scale: int = 1
    confidence: float | None = None

    @property
    def labels_of_all_pixels(self) -> Labels:
        """Labels of the shape of the box, those of a first answer repeated."""
        if self.scale == 1:
            return self.labels
        rows, columns = self.box.shape[-2:]
        wide = self.labels.repeat(self.scale, axis=-2).repeat(self.scale, axis=-1)
        return wide[..., :rows, :columns]

    def __post_init__(self) -> None:
        shape = self.box.reduced_shape(max(1, self.scale))
        for values in (self.labels, self.uncertainty):
            if values is not None and values.shape != shape:
                raise ValueError(f"{values.shape} values for a box of {self.box.shape}")


class LookHere(_Event, frozen=True):
    """Where labels would teach most; `uncertainty` (0..1) is the mean in `box`."""

    box: Box
    uncertainty: float


class PixelsWanted(_Event, frozen=True):
    """The trainer needs pixels; answered by the client itself.

    `box` is a slab, or a part of one. `ahead`: not yet, but soon; all that is needed now comes
    first. With a `scale` above 1, means of `scale` x `scale` pixels are wanted.
    """

    box: Box
    ahead: bool = False
    scale: int = 1


class ModelKept(_Event, frozen=True):
    """New best weights: the bytes of a model file (see ``images.model_file``), `step` and `score`.

    They were learned from `painted` pixels in `pieces` pieces of strokes; `revision` is another
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


class Measured(_Event, frozen=True):
    """How models do on the strokes that are held out now; answers `Trainer.measure`.

    `scores` maps a model's index in the list to its mean IoU (0..1); ``None`` if nothing is
    held out, or the model's file is broken or made for other images. `request` is the number
    that was given with the question.
    """

    scores: dict[int, float | None]
    request: int = 0


class Finished(_Event, frozen=True):
    """Work has ended: ``update`` (Update once), ``predict`` (Predict all) or ``stop``.

    Every `Trainer.cancel` and every switching off of Live is answered by exactly one
    ``stop``, even if nothing was under way. It is the last event of that cancellation:
    ``predict`` and ``update`` of the work that it ended, with `cancelled`, come before it.
    It comes although another epoch began meanwhile.
    """

    work: Literal["update", "predict", "stop"]
    cancelled: bool = False


class Notice(_Event, frozen=True):
    """One sentence for the person. ``error`` means that the work in hand has stopped."""

    level: Literal["info", "warning", "error"]
    text: str


class TrainerDied(_Event, frozen=True):
    """The trainer ended unasked, or hung and was ended.

    `text` says in plain words what happened, `restarting` whether a new one is on its way.
    It stands for every answer that was still to come.
    """

    text: str
    restarting: bool


class Heartbeat(_Event, frozen=True):
    """The trainer's process lives; answered for by the client itself.

    `turn` counts the turns of its loop, `cpu_seconds` the processor time it has used.
    """

    turn: int
    cpu_seconds: float


Event = (
    Ready
    | Progress
    | OverlayBlock
    | LookHere
    | PixelsWanted
    | ModelKept
    | Measured
    | Finished
    | Notice
    | TrainerDied
    | Heartbeat
)
