"""Predict all: whole planes, tile by tile; a plane that is not to be had is left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from napari_msd.core.planes import PlaneKey
from napari_msd.trainer.inference_scheduler import Showing
from napari_msd.trainer.messages import Event, Notice
from napari_msd.trainer.tile_order import WholePlanes
from napari_msd.training import Trainer


class PredictAll:
    """The work on some planes.

    Parameters
    ----------
    planes, plane_shape
        Which, and their (Y, X).
    trainer, showing
        Predict, and hand over.
    emit
        Sends events.
    """

    def __init__(
        self,
        planes: Sequence[PlaneKey],
        plane_shape: tuple[int, int],
        trainer: Trainer,
        showing: Showing,
        emit: Callable[[Event], None],
    ) -> None:
        self._tiles = WholePlanes(planes, plane_shape)
        self._trainer = trainer
        self._showing = showing
        self._emit = emit

    @property
    def plane(self) -> PlaneKey | None:
        """The plane in hand; None when all are done."""
        return self._tiles.next[0] if self._tiles.next is not None else None

    @property
    def remaining(self) -> tuple[float, float | None]:
        """Fraction done (0..1), and about how many seconds are left."""
        return self._tiles.remaining

    def work(self) -> bool:
        """Predict a tile; False while its plane is on its way, or the viewer takes the last."""
        tile = self._tiles.next
        if tile is None:
            return True
        if refusal := self._showing.refused.get(tile[0]):
            self._emit(Notice("warning", refusal.skipped(tile[0])))
            self._tiles.skip_plane()
            return True
        if not self._showing.can_send(self._trainer, tile):
            return False
        self._showing.send(self._trainer, tile)
        self._tiles.done()
        return True
