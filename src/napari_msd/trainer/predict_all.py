"""Predict all: whole planes, tile by tile; a plane that cannot come is left out.

The next planes are asked for before their turn, so that reading, sending, predicting and scheduler
them go on at the same time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from napari_msd.core.planes import PlaneKey
from napari_msd.trainer.events import Event, Notice
from napari_msd.trainer.inference_scheduler import InferenceScheduler
from napari_msd.trainer.limits import planes_ahead
from napari_msd.trainer.tile_order import WholePlanes
from napari_msd.training import Trainer


class WholePlanePrediction:
    """The work on some planes.

    Parameters
    ----------
    planes, plane_shape
        Which, and their (Y, X).
    trainer, scheduler
        Predict, and hand over.
    emit
        Sends events.
    """

    def __init__(
        self,
        planes: Sequence[PlaneKey],
        plane_shape: tuple[int, int],
        trainer: Trainer,
        scheduler: InferenceScheduler,
        emit: Callable[[Event], None],
    ) -> None:
        self._tiles = WholePlanes(planes, plane_shape)
        self._ahead = planes_ahead(plane_shape, trainer.n_channels)
        self._trainer = trainer
        self._scheduler = scheduler
        self._emit = emit

    @property
    def plane(self) -> PlaneKey | None:
        """The plane in hand; None when all are done."""
        return self._tiles.next[0] if self._tiles.next is not None else None

    @property
    def upcoming(self) -> Sequence[PlaneKey]:
        """The plane in hand, and those that are asked for before their turn."""
        return self._tiles.upcoming(self._ahead)

    @property
    def remaining(self) -> tuple[float, float | None]:
        """Fraction done (0..1), and about how many seconds are left."""
        return self._tiles.remaining

    def work(self) -> bool:
        """Predict a tile; False while its plane is on its way, or the viewer takes the last."""
        tile = self._tiles.next
        if tile is None:
            return True
        if failure := self._scheduler.failed.get(tile[0]):
            self._emit(Notice("warning", failure.skipped(tile[0])))
            self._tiles.skip_plane()
            return True
        for number, plane in enumerate(self.upcoming):
            if plane not in self._trainer.planes:
                self._scheduler.want(plane, ahead=number > 0)
        if not self._scheduler.can_send(self._trainer, tile):
            return False
        self._scheduler.send(self._trainer, tile)
        self._tiles.done()
        return True
