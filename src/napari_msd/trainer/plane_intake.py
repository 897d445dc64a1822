"""Planes on their way into the trainer: put together, checked, remarked upon."""

from __future__ import annotations

from collections.abc import Iterator

from napari_msd.core.errors import ImageError
from napari_msd.trainer.arrays import Pixels
from napari_msd.trainer.events import Notice
from napari_msd.trainer.plane_checks import PlaneChecks
from napari_msd.trainer.plane_parts import PlaneAssembly
from napari_msd.trainer.requests import PlanePart
from napari_msd.training import Trainer


class PlaneIntake:
    """The planes of one epoch.

    Parameters
    ----------
    trainer
        Gets them.
    plane_shape
        (Y, X) that each must have.
    """

    def __init__(self, trainer: Trainer, plane_shape: tuple[int, int]) -> None:
        self._trainer = trainer
        self._plane_shape = plane_shape
        self._assembly = PlaneAssembly()
        # of a model whose normalisation is not used nothing is to be expected
        self._checks = PlaneChecks(trainer.known_grey_values)

    def add(self, part: PlanePart) -> Pixels | None:
        """Take a part; returns the pixels of the plane with the last one."""
        return self._assembly.add(part)

    def take(self, part: PlanePart, pixels: Pixels) -> Iterator[Notice]:
        """Give the trainer the plane that `part` completed; what is remarkable about it.

        Raises
        ------
        ImageError
            If it cannot be used.
        """
        shape = pixels.shape
        if shape[:2] != self._plane_shape:
            expected, found = (" x ".join(map(str, s)) for s in (self._plane_shape, shape))
            raise ImageError(f"It is {found} pixels large, not {expected} as the image is.")
        self._trainer.set_plane(part.plane, pixels)
        return self._checks.remarks(self._trainer.planes[part.plane])
