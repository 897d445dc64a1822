"""An image much larger than memory, without a file: its pixels are computed where they are read."""

from __future__ import annotations

from math import prod
from operator import index
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt


class HugeImage:
    """Cells without end, (Z, Y, X): a small picture that is repeated, each time shifted.

    It can be sliced like an array. A part of it is computed when NumPy asks for it, since napari
    first cuts what is visible out of all slices, and then takes one.

    Parameters
    ----------
    picture
        (n, n), uint8; it goes on at its other side.
    along
        Indices along Z, Y and X of the whole image: a range, or one of them.
    """

    def __init__(self, picture: npt.NDArray[np.uint8], along: Sequence[range | int]) -> None:
        self._picture, self._along = picture, tuple(along)
        self.shape = tuple(len(part) for part in along if isinstance(part, range))
        self.dtype = picture.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of pixels."""
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes, if it were in memory."""
        return self.size * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> HugeImage:
        """A part of it, for integers, slices and an ellipsis."""
        keys = iter(_completed(key, self.ndim))
        return HugeImage(
            self._picture,
            [_part(part, next(keys)) if isinstance(part, range) else part for part in self._along],
        )

    def __array__(
        self, dtype: npt.DTypeLike | None = None, copy: bool | None = None
    ) -> npt.NDArray[Any]:
        z, y, x = np.ix_(*(np.atleast_1d(np.asarray(part, np.int32)) for part in self._along))
        side = self._picture.shape[0]
        # pictures beside and below each other, and those of other slices, are shifted
        pixels = self._picture[
            (y + 37 * z + 101 * (x // side)) % side, (x + 53 * z + 151 * (y // side)) % side
        ]
        found: npt.NDArray[Any] = pixels.reshape(self.shape)
        return found if dtype is None else found.astype(dtype, copy=False)


def _part(along: range, key: slice | int) -> range | int:
    if not isinstance(key, slice):
        return along[index(key)]
    ends = [None if end is None else index(end) for end in (key.start, key.stop, key.step)]
    return along[slice(*ends)]


def _completed(key: Any, ndim: int) -> list[Any]:
    """One index for each axis."""
    keys = list(key) if isinstance(key, tuple) else [key]
    missing = ndim - sum(k is not Ellipsis for k in keys)
    if Ellipsis in keys:
        at = keys.index(Ellipsis)
        return keys[:at] + [slice(None)] * missing + keys[at + 1 :]
    return keys + [slice(None)] * missing
