"""What crosses the wall: plain dataclasses, the same on both sides.

A *plane* is one 2-D image of a stack, named by its `PlaneKey`: the indices of
the image's leading axes, ``()`` for a plain 2-D image, ``(7,)`` for slice 7.
Positions and sizes are in pixels of that plane, (Y, X).

Requests go from the viewer to the trainer, events come back. Arrays travel in
shared memory which the viewer owns; the messages only name it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

PlaneKey = tuple[int, ...]
TrainerState = Literal["waiting", "training", "idle"]


@dataclass(frozen=True)
class Region:
    """A rectangle of a plane: rows ``top..bottom-1``, columns ``left..right-1``."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return self.bottom - self.top, self.right - self.left

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index of this rectangle in a (Y, X) array."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    @property
    def empty(self) -> bool:
        """Whether it holds no pixel."""
        return self.bottom <= self.top or self.right <= self.left

    def clip(self, shape: tuple[int, int]) -> Region:
        """The part inside a plane of `shape`."""
        top, bottom = (min(max(v, 0), shape[0]) for v in (self.top, self.bottom))
        left, right = (min(max(v, 0), shape[1]) for v in (self.left, self.right))
        return Region(top, left, max(top, bottom), max(left, right))


# --- events: trainer -> viewer --------------------------------------------------------


@dataclass(frozen=True)
class Ready:
    """The trainer process is up.

    `device` is a short text for the window ("CPU AVX-512, 2 threads"), `reason`
    the sentence behind it (why this one, and why not a faster one).
    """

    device: str
    reason: str
    backend: str
    versions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Progress:
    """How training stands; comes a few times a second while Live, and at every change.

    `loss` is the training loss averaged since the last event, ``None`` before the
    first step. `held_out_iou` maps class value to IoU (0..1) on held-out strokes,
    for the classes that have any; `score` is their mean for the newest weights and
    `best_score` that of the kept ones. `needs` is the sentence to show while
    ``state == "waiting"``. `seconds_left`/`fraction` (0..1) are known for work that
    ends (Update once, Predict all).
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


@dataclass(frozen=True)
class OverlayBlock:
    """A rectangle of a plane's segmentation lies in the overlay slot.

    The viewer's end copies it out and hands the array to the listener as
    `labels`, uint8 of `region.shape`, values of the annotation.
    """

    plane: PlaneKey
    region: Region
    step: int
    labels: Any = None


@dataclass(frozen=True)
class PlaneWanted:
    """The trainer needs the pixels of a plane; answered by the client itself."""

    plane: PlaneKey


@dataclass(frozen=True)
class ModelKept:
    """New best weights: the bytes of a model file (see ``io.model_file``), `step` and `score`."""

    model: bytes
    step: int
    score: float | None


@dataclass(frozen=True)
class Finished:
    """Work that ends has ended: ``update`` (Update once), ``predict`` (Predict all) or ``stop``."""

    work: Literal["update", "predict", "stop"]
    cancelled: bool = False


@dataclass(frozen=True)
class Notice:
    """One sentence for the person. ``error`` means that the work in hand has stopped."""

    level: Literal["info", "warning", "error"]
    text: str


@dataclass(frozen=True)
class TrainerDied:
    """The trainer process ended unasked. `restarting` says whether a new one is on its way."""

    text: str
    restarting: bool


Event = (
    Ready | Progress | OverlayBlock | PlaneWanted | ModelKept | Finished | Notice | TrainerDied
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
