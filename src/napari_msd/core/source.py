"""What images are read from and results are written to: arrays, files, layers.

Nothing reads a whole image: every reader and writer is asked for boxes.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from napari_msd.core.box import Box
from napari_msd.core.space import Space


class Source(Protocol):
    """An image of any size, whose boxes can be read on any thread."""

    @property
    def space(self) -> Space:
        """Its axes and channels; `Space.shape` is in the order of the boxes' axes."""

    def read(self, box: Box) -> npt.NDArray[np.generic]:
        """Pixels of a box: of its shape, with the channels behind if there are several.

        Any error of the format's own may be raised: files can be damaged, drives disappear.
        """


@runtime_checkable
class ReducedReader(Protocol):
    """A reader of an image that is stored at several resolutions, or can be read thinned."""

    def __call__(self, box: Box, /) -> npt.NDArray[np.generic]:
        """Pixels of a box, see `Source.read`."""

    def reduced(self, box: Box, scale: int, /) -> npt.NDArray[np.generic]:
        """Pixels of a box where `scale` x `scale` pixels of the last two axes are one.

        `scale` is a power of two. The array has the shape `Box.reduced_shape`, and the channels
        behind if there are several.
        """


class Sink(Protocol):
    """Where values of boxes are written; on one thread at a time."""

    def write(self, box: Box, values: npt.NDArray[np.generic]) -> None:
        """Write the values of a box: of its shape, with the channels behind if there are several.

        Raises
        ------
        ExportError
            One sentence: no room, no permission, the drive is gone.
        """

    def close(self) -> None:
        """Finish: what can be read only when it is complete is readable now.

        Raises
        ------
        ExportError
            As `write`; nothing that was there before is lost.
        """

    def discard(self) -> None:
        """Give up instead of `close`; a file that was there before stays."""
