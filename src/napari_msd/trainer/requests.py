"""What the trainer is asked for: one small typed message for each thing.

`napari_msd.trainer.protocol.Trainer` says what they mean.
"""

from __future__ import annotations

from math import prod
from typing import Literal

import msgspec

from napari_msd.core.box import Box, SourceId
from napari_msd.core.settings import Settings
from napari_msd.core.space import Space
from napari_msd.document import Painted
from napari_msd.trainer.arrays import Pixels


class _Request(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """A message to the trainer; its class name is on the wire."""


class Open(_Request, frozen=True):
    """Begin the epoch that this request is the first of.

    `spaces` are the axes of each source; all have the same number of channels and of axes that are
    convolved over.
    """

    settings: Settings
    spaces: dict[SourceId, Space]
    model: bytes | None = None
    fit_normalisation: bool = False


class SetStrokes(_Request, frozen=True):
    """Painted values changed."""

    blocks: tuple[Painted, ...]


class PixelsPart(_Request, frozen=True, eq=False):
    """Part of the pixels of a slab, `box`; parts come in order and cover it.

    `values` are those of the flat array from index `offset` on, `shape` is the whole array's: that
    of the box, and the channels behind, if there are some. With a `scale` above 1 one value stands
    for `scale` x `scale` pixels.

    Raises
    ------
    ValueError
        If the part does not lie within the array.
    """

    box: Box
    shape: tuple[int, ...]
    offset: int
    values: Pixels
    scale: int = 1

    def __post_init__(self) -> None:
        values, size = self.values, prod(self.shape)
        if values.ndim != 1 or not 0 <= self.offset <= size - values.size:
            raise ValueError(f"{values.shape} values at {self.offset} of {self.shape}")


FailedStep = Literal["read", "sent", "used"]


class PixelsUnavailable(_Request, frozen=True):
    """A slab could not be read, or not be sent, and why."""

    box: Box
    step: FailedStep
    why: str
    scale: int = 1


class SetView(_Request, frozen=True):
    """Something else is on screen: the visible part of a slab."""

    box: Box


class SetLive(_Request, frozen=True):
    """Train until switched off; or switch it off."""

    on: bool


class UpdateOnce(_Request, frozen=True):
    """Train for a few seconds."""


class PredictAll(_Request, frozen=True):
    """Segment whole slabs."""

    boxes: tuple[Box, ...]


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
    | PixelsPart
    | PixelsUnavailable
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
