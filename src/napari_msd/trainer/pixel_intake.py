"""Pixels on their way into the trainer: put together, checked, remarked upon."""

from __future__ import annotations

from collections.abc import Iterator

from napari_msd.core.errors import ImageError
from napari_msd.core.space import Slab
from napari_msd.inference import channels_first
from napari_msd.trainer.arrays import Pixels
from napari_msd.trainer.events import Notice
from napari_msd.trainer.pixel_checks import PixelChecks
from napari_msd.trainer.pixel_parts import PixelAssembly
from napari_msd.trainer.requests import PixelsPart
from napari_msd.training import Trainer


class PixelIntake:
    """The pixels of one epoch.

    Parameters
    ----------
    trainer
        Gets them.
    """

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer
        self._assembly = PixelAssembly()
        # of a model whose normalisation is not used nothing is to be expected
        self._checks = PixelChecks(trainer.known_grey_values)

    def add(self, part: PixelsPart) -> Pixels | None:
        """Take a part; returns the pixels of the slab with the last one."""
        return self._assembly.add(part)

    def take(self, part: PixelsPart, pixels: Pixels) -> Iterator[Notice]:
        """Give the trainer the slab or block that `part` completed; what is remarkable about it.

        Raises
        ------
        ImageError
            If it cannot be used.
        """
        box, shape = part.box, pixels.shape
        leading = box.ndim - self._trainer.annotation.convolved
        if shape[: box.ndim] != box.shape:
            expected, found = (" x ".join(map(str, s[leading:])) for s in (box.shape, shape))
            raise ImageError(f"It is {found} pixels large, not {expected} as the image is.")
        pixels = pixels.reshape(shape[leading:])
        self._trainer.set_pixels(box, pixels)
        slab = Slab.of(box, box.ndim - leading)
        here = self._trainer.slabs[slab]
        sample = None if here.missing() else here.sample()
        return self._checks.remarks(slab, channels_first(pixels, box.ndim - leading), sample)
