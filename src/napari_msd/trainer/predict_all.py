"""Predict all: whole slabs, tile by tile; a slab that cannot come is left out.

The next slabs are asked for before their turn, so that reading, sending, predicting and showing
them go on at the same time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from napari_msd.core.box import Box
from napari_msd.core.space import Slab
from napari_msd.trainer.events import Event, Notice
from napari_msd.trainer.inference_scheduler import InferenceScheduler
from napari_msd.trainer.limits import slabs_ahead
from napari_msd.trainer.tile_order import WholeSlabs
from napari_msd.training import Trainer


class WholeSlabPrediction:
    """The work on some slabs.

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
        self._tiles = WholeSlabs(boxes)
        largest = max((box.size for box in boxes), default=1)
        self._ahead = slabs_ahead(largest, trainer.data.n_channels)
        self._trainer = trainer
        self._scheduler = scheduler
        self._emit = emit

    @property
    def slab(self) -> Box | None:
        """The slab in hand; None when all are done."""
        return self._tiles.slab

    @property
    def upcoming(self) -> Sequence[Box]:
        """The slab in hand, and those that are asked for before their turn."""
        return self._tiles.upcoming(self._ahead)

    @property
    def remaining(self) -> tuple[float, float | None]:
        """Fraction done (0..1), and about how many seconds are left."""
        return self._tiles.remaining

    def work(self) -> bool:
        """Predict a tile; False while its slab is on its way, or the viewer takes the last."""
        tile, slab = self._tiles.next, self._tiles.slab
        if tile is None or slab is None:
            return True
        key = self._key(slab)
        if failure := self._scheduler.failed.get(key):
            self._emit(Notice("warning", failure.skipped(key)))
            self._tiles.skip_slab()
            return True
        for number, box in enumerate(self.upcoming):
            if self._key(box) not in self._trainer.slabs:
                self._scheduler.want(self._key(box), ahead=number > 0)
        if not self._scheduler.can_send(self._trainer, tile):
            return False
        self._scheduler.send(self._trainer, tile)
        self._tiles.done()
        return True

    def _key(self, box: Box) -> Slab:
        return Slab.of(box, self._trainer.annotation.convolved)
