"""A part of an array of chunks that is read only when it is needed as NumPy array.

To show a plane of an image with levels, napari first cuts out what is visible of all planes, then
picks one of them: an array that reads at once would read hundreds of planes for one.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_msd.core.box import Box

if TYPE_CHECKING:
    from napari_msd.document.chunked import ChunkedLabels


class LazyPart:
    """All of an array of chunks, or a box of it.

    Slices of it are parts again; an integer among them gives a NumPy array.

    Parameters
    ----------
    array
        What it is a part of.
    box
        Which; all of it by default.
    """

    dtype: np.dtype[np.uint8] = np.dtype(np.uint8)

    def __init__(self, array: ChunkedLabels, box: Box | None = None) -> None:
        self.array = array
        self._box = Box.whole(0, array.shape) if box is None else box

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis."""
        return self._box.shape

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self._box.ndim

    @property
    def size(self) -> int:
        """Number of pixels."""
        return prod(self.shape)

    @property
    def chunks(self) -> tuple[int, ...]:
        """Shape of a chunk, as zarr names it."""
        return self.array.chunks

    def __getitem__(self, key: Any) -> LazyPart | npt.NDArray[np.uint8]:
        """A part, or the values of a plane."""
        keys = key if isinstance(key, tuple) else (key,)
        if len(keys) > self.ndim or not all(_is_plain(k) for k in keys):
            return np.asarray(np.asarray(self)[key])
        box, picked = self._box, []
        for axis, one in enumerate(keys):
            start, n = self._box.start[axis], self.shape[axis]
            if isinstance(one, slice):
                low, high, _ = one.indices(n)
                box = box.along(axis, start + low, start + max(low, high))
            else:
                at = range(n)[one]
                box = box.along(axis, start + at, start + at + 1)
                picked.append(axis)
        if not picked:
            return LazyPart(self.array, box)
        return np.asarray(self.array.read(box).squeeze(tuple(picked)))

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Any:
        """Its values."""
        if self._box == Box.whole(0, self.array.shape):
            return np.asarray(self.array, dtype)  # says what to do if it is too large
        return self.array.read(self._box).astype(dtype or np.uint8, copy=False)

    def __len__(self) -> int:
        return self.shape[0]


def _is_plain(key: object) -> bool:
    return isinstance(key, int | np.integer) or (isinstance(key, slice) and key.step in (None, 1))
