"""What the trainer is asked for: one small typed message for each thing.

`napari_msd.trainer.protocol.Trainer` says what they mean.
"""

from __future__ import annotations

from math import prod
from typing import Literal

import msgspec

from napari_msd.core.planes import PlaneKey, Region
from napari_msd.core.settings import Settings
from napari_msd.trainer.arrays import Labels, Pixels


class StrokeBlock(msgspec.Struct, frozen=True, eq=False):
    """Painted values of one rectangle of a plane, after a change: 0 = nothing painted.

    `values` is uint8 of `region.shape`.

    Raises
    ------
    ValueError
        If `values` is of another shape.
    """

    plane: PlaneKey
    region: Region
    values: Labels

    def __post_init__(self) -> None:
        if self.values.shape != self.region.shape:
            raise ValueError(f"{self.values.shape} values for a region of {self.region.shape}")


class View(msgspec.Struct, frozen=True):
    """What is on screen: the plane, and its visible rectangle."""

    plane: PlaneKey
    region: Region


class _Request(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """A message to the trainer; its class name is on the wire."""


class Open(_Request, frozen=True):
    """Begin the epoch that this request is the first of."""

    settings: Settings
    plane_shape: tuple[int, int]
    n_channels: int
    model: bytes | None = None
    fit_normalisation: bool = False


class SetStrokes(_Request, frozen=True):
    """Painted values changed."""

    blocks: tuple[StrokeBlock, ...]


class PlanePart(_Request, frozen=True, eq=False):
    """Part of a plane's pixels; parts come in order and cover the plane.

    `values` are those of the flat array from index `offset` on, `shape` is the whole plane's,
    (Y, X) or (Y, X, C).

    Raises
    ------
    ValueError
        If the part does not lie within the plane.
    """

    plane: PlaneKey
    shape: tuple[int, ...]
    offset: int
    values: Pixels

    def __post_init__(self) -> None:
        values, size = self.values, prod(self.shape)
        if values.ndim != 1 or not 0 <= self.offset <= size - values.size:
            raise ValueError(f"{values.shape} values at {self.offset} of {self.shape}")


FailedStep = Literal["read", "sent", "used"]


class PlaneUnavailable(_Request, frozen=True):
    """A plane could not be read, or not be sent, and why."""

    plane: PlaneKey
    step: FailedStep
    why: str


class SetView(_Request, frozen=True):
    """Something else is on screen."""

    view: View


class SetLive(_Request, frozen=True):
    """Train until switched off; or switch it off."""

    on: bool


class UpdateOnce(_Request, frozen=True):
    """Train for a few seconds."""


class PredictAll(_Request, frozen=True):
    """Segment whole planes."""

    planes: tuple[PlaneKey, ...]


class SetUncertainty(_Request, frozen=True):
    """Send uncertainty with every block, or no longer."""

    on: bool


class Refresh(_Request, frozen=True):
    """Predict the view once, although nothing is being learned."""


class ShowMe(_Request, frozen=True):
    """Find where labels would teach most."""


class Measure(_Request, frozen=True):
    """Compare models (bytes of model files)."""

    models: tuple[bytes, ...]
    request: int = 0


class Cancel(_Request, frozen=True):
    """End whatever is under way."""


class Pause(_Request, frozen=True):
    """Drop the work in hand without an answer: a request was lost on its way."""


class OverlayTaken(_Request, frozen=True):
    """The listener has an `OverlayBlock`: another one may be sent."""


Request = (
    Open
    | SetStrokes
    | PlanePart
    | PlaneUnavailable
    | SetView
    | SetLive
    | UpdateOnce
    | PredictAll
    | SetUncertainty
    | Refresh
    | ShowMe
    | Measure
    | Cancel
    | Pause
    | OverlayTaken
)
