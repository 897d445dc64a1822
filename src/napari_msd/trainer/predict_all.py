"""Predict all: whole boxes, tile by tile; what cannot be read is named and left out.

Pixels of the next tiles are asked for before their turn, so that reading, sending, predicting and
showing them go on at the same time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from napari_msd.core.box import Box
from napari_msd.core.space import Slab
from napari_msd.trainer.events import Event, Notice
from napari_msd.trainer.inference_scheduler import InferenceScheduler
from napari_msd.trainer.limits import AHEAD_BYTES, MOST_AHEAD
from napari_msd.trainer.tile_order import BoxTiles
from napari_msd.training import Trainer


class BoxesPrediction:
    """The work on some boxes.

    Parameters
    ----------
    boxes
        Which.
    trainer, scheduler
        Predict, and hand over.
    emit
        Sends events.
    """

    def __init__(
        self,
        boxes: Sequence[Box],
        trainer: Trainer,
        scheduler: InferenceScheduler,
        emit: Callable[[Event], None],
    ) -> None:
        self._convolved = trainer.data.given.convolved
        self._tiles = BoxTiles(boxes, self._convolved)
        self._trainer = trainer
        self._scheduler = scheduler
        self._emit = emit
        self._skipped: Slab | None = None
        """The last slab of which it was said that a part is left out."""

    @property
    def tile(self) -> Box | None:
        """The tile in hand; None when all are done."""
        return self._tiles.next

    @property
    def slab(self) -> Slab | None:
        """Where the tile in hand lies."""
        tile = self.tile
        return Slab.of(tile, self._convolved) if tile is not None else None

    @property
    def upcoming(self) -> list[Box]:
        """The tile in hand, and those whose pixels are asked for before their turn."""
        values = self._trainer.data.given.values
        tiles: list[Box] = []
        wanted: set[Box] = set()  # tiles side by side need the same blocks
        for tile in self._tiles.upcoming(MOST_AHEAD):
            wanted.update(self._scheduler.blocks_of(self._trainer, tile))
            size = 4 * values * sum(block.size for block in wanted)
            if len(tiles) > 1 and size > AHEAD_BYTES:
                break
            tiles.append(tile)
        return tiles

    @property
    def remaining(self) -> tuple[float, float | None]:
        """Fraction done (0..1), and about how many seconds are left."""
        return self._tiles.remaining

    def work(self) -> bool:
        """Predict a tile; False while its pixels are on their way, or the viewer takes the last."""
        tile = self._tiles.next
        if tile is None:
            return True
        if failure := self._scheduler.failure(self._trainer, tile):
            slab = Slab.of(tile, self._convolved)
            if slab != self._skipped:
                self._emit(Notice("warning", failure.skipped(slab, self._convolved)))
                self._skipped = slab
            self._tiles.done()
            return True
        for number, upcoming in enumerate(self.upcoming):
            self._scheduler.want_all(self._trainer, upcoming, ahead=number > 0)
        if not self._scheduler.can_send(self._trainer, tile):
            return False
        self._scheduler.send(self._trainer, tile)
        self._tiles.done()
        return True
