"""What the viewer's side keeps of an epoch, so that a new trainer can go on with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from napari_msd.core.box import Box, SourceId
from napari_msd.core.settings import Settings
from napari_msd.core.space import Space
from napari_msd.document import Annotation, Painted
from napari_msd.trainer.protocol import ReadPixels
from napari_msd.trainer.requests import (
    Open,
    Request,
    SetLive,
    SetStrokes,
    SetUncertainty,
    SetView,
)

STROKE_BYTES = 4 << 20
"""Of the strokes in one request, so that the trainer acts on others in between."""


@dataclass
class EpochState:
    """One epoch, from its opening to now.

    `number` is the epoch's; `model` is the newest kept weights as a
    model file's bytes. See `Trainer.open` for the others.
    """

    number: int
    settings: Settings
    spaces: Mapping[SourceId, Space]
    read: ReadPixels
    model: bytes | None = None
    fit_normalisation: bool = False
    strokes: Annotation = field(default_factory=Annotation)
    view: Box | None = None
    live: bool = False
    uncertainty: bool = False

    def opening(self) -> Open:
        """The request that opens it."""
        return Open(self.settings, dict(self.spaces), self.model, self.fit_normalisation)

    def keep(self, model: bytes) -> None:
        """The trainer sent its kept network: what it measured of the image is in there, too."""
        self.model = model
        self.fit_normalisation = False

    def resuming(self) -> Iterator[Request]:
        """Every request that brings a new trainer to where the epoch stands."""
        yield self.opening()
        yield from stroke_requests(Painted(*chunk) for chunk in self.strokes.chunks())
        if self.view is not None:
            yield SetView(self.view)
        if self.uncertainty:
            yield SetUncertainty(True)
        if self.live:
            yield SetLive(True)


def stroke_requests(blocks: Iterable[Painted]) -> Iterator[SetStrokes]:
    """Blocks in requests of about `STROKE_BYTES` at most."""
    batch: list[Painted] = []
    size = 0
    for block in blocks:
        if batch and size + block.values.size > STROKE_BYTES:
            yield SetStrokes(tuple(batch))
            batch, size = [], 0
        batch.append(block)
        size += block.values.size
    if batch:
        yield SetStrokes(tuple(batch))


@dataclass(frozen=True)
class PixelsRequest:
    """Pixels that the trainer wants in an epoch; `ahead`: not yet, but soon."""

    epoch: EpochState
    box: Box
    ahead: bool = False
    scale: int = 1
