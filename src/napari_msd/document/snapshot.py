"""The strokes as the trainer knows them, and what changed since.

napari tells where a brush painted, but not what undo, redo or a script changed. So
whoever suspects a change hands the present values of a rectangle to `StrokeSnapshot`,
which compares them with what it remembers and answers with the difference, ready to
be sent. Only blocks that hold strokes are stored: the memory follows the strokes,
never the image.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_msd.core.planes import PlaneKey, Region
from napari_msd.core.settings import MAX_CLASSES
from napari_msd.trainer.messages import StrokeBlock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

BLOCK = 128
"""Side of a stored block in pixels: small enough that one brush step touches few bytes."""

_Index = tuple[int, int]


class StrokeSnapshot:
    """Sparse, block-wise memory of painted values.

    Parameters
    ----------
    plane_shape
        (Y, X) of every plane; values outside it are not looked at.

    Notes
    -----
    The cost of `compare` follows the size of the rectangle compared, never that of
    the image. Counts of painted pixels are kept by difference.
    """

    def __init__(self, plane_shape: tuple[int, int]) -> None:
        self.plane_shape = plane_shape
        self._planes: dict[PlaneKey, dict[_Index, NDArray[np.uint8]]] = {}
        self._counts = np.zeros(MAX_CLASSES + 1, np.int64)
        self.unusable = False
        """Whether a value that cannot be a class (negative, above 255) was met."""

    # --- what is known -----------------------------------------------------------------

    @property
    def counts(self) -> dict[int, int]:
        """Painted pixels per class value, for those that have any."""
        values = np.flatnonzero(self._counts[1:]) + 1
        return {int(v): int(self._counts[v]) for v in values}

    @property
    def planes(self) -> list[PlaneKey]:
        """Planes that have, or had, strokes."""
        return list(self._planes)

    def blocks(self) -> list[StrokeBlock]:
        """Everything painted, block by block: what a new session has to be told."""
        return [
            StrokeBlock(plane, self._block_region(index), block.copy())
            for plane, blocks in self._planes.items()
            for index, block in blocks.items()
            if block.any()
        ]

    def where(self, value: int) -> Iterator[tuple[PlaneKey, NDArray[np.intp], NDArray[np.intp]]]:
        """(plane, rows, columns) of the pixels painted with `value`."""
        for plane, blocks in self._planes.items():
            for index, block in blocks.items():
                rows, columns = np.nonzero(block == value)
                if len(rows):
                    region = self._block_region(index)
                    yield plane, rows + region.top, columns + region.left

    def read(self, plane: PlaneKey, region: Region) -> NDArray[np.uint8]:
        """Remembered values of a rectangle."""
        out = np.zeros(region.shape, np.uint8)
        for index, part in self._overlaps(plane, region):
            block, whole = self._planes[plane][index], self._block_region(index)
            out[_inside(part, region)] = block[_inside(part, whole)]
        return out

    # --- what changed ------------------------------------------------------------------

    def compare(
        self, plane: PlaneKey, region: Region, values: NDArray[np.generic]
    ) -> StrokeBlock | None:
        """Take note of the present `values` of a rectangle.

        Parameters
        ----------
        plane, region
            Where; clipped to the plane.
        values
            Integers of ``region.shape``. What cannot be a class (negative, above 255)
            counts as not painted and sets `unusable`.

        Returns
        -------
        StrokeBlock or None
            The smallest rectangle that holds every changed pixel, or ``None``.
        """
        clipped = region.clip(self.plane_shape)
        if clipped.empty:
            return None
        values = values[_inside(clipped, region)]
        known = plane in self._planes and any(True for _ in self._overlaps(plane, clipped))
        if not known and not values.any():
            return None  # the usual case of a scan: nothing there, nothing known
        new = self._to_uint8(values)
        changed = new != self.read(plane, clipped) if known else new != 0
        rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
        if not len(rows):
            return None
        box = Region(
            clipped.top + int(rows[0]),
            clipped.left + int(columns[0]),
            clipped.top + int(rows[-1]) + 1,
            clipped.left + int(columns[-1]) + 1,
        )
        inner = new[_inside(box, clipped)].copy()  # never a view of the layer
        self._counts += np.bincount(inner.ravel(), minlength=MAX_CLASSES + 1)
        self._counts -= np.bincount(self.read(plane, box).ravel(), minlength=MAX_CLASSES + 1)
        self._store(plane, box, inner)
        return StrokeBlock(plane, box, inner)

    def _to_uint8(self, values: NDArray[np.generic]) -> NDArray[np.uint8]:
        if values.dtype == np.uint8:
            return values.astype(np.uint8, copy=False)
        if values.dtype == np.bool_:
            return values.astype(np.uint8)
        integers = values.astype(np.int64, copy=False)
        if int(integers.max()) > MAX_CLASSES or int(integers.min()) < 0:
            self.unusable = True
            integers = np.where((integers > MAX_CLASSES) | (integers < 0), 0, integers)
        return integers.astype(np.uint8)

    def _store(self, plane: PlaneKey, box: Region, values: NDArray[np.uint8]) -> None:
        blocks = self._planes.setdefault(plane, {})
        for index in _indices(box):
            whole = self._block_region(index)
            part = whole.intersect(box)
            block = blocks.get(index)
            if block is None:
                new = values[_inside(part, box)]
                if not new.any():
                    continue
                block = blocks[index] = np.zeros(whole.shape, np.uint8)
            block[_inside(part, whole)] = values[_inside(part, box)]

    def _overlaps(self, plane: PlaneKey, region: Region) -> Iterator[tuple[_Index, Region]]:
        blocks = self._planes.get(plane, {})
        for index in _indices(region):
            if index in blocks:
                yield index, self._block_region(index).intersect(region)

    def _block_region(self, index: _Index) -> Region:
        top, left = index[0] * BLOCK, index[1] * BLOCK
        return Region(top, left, top + BLOCK, left + BLOCK).clip(self.plane_shape)


def _indices(region: Region) -> Iterator[_Index]:
    for row in range(region.top // BLOCK, (region.bottom - 1) // BLOCK + 1):
        for column in range(region.left // BLOCK, (region.right - 1) // BLOCK + 1):
            yield row, column


def _inside(part: Region, whole: Region) -> tuple[slice, slice]:
    """Index of `part` in an array that covers `whole`."""
    return (
        slice(part.top - whole.top, part.bottom - whole.top),
        slice(part.left - whole.left, part.right - whole.left),
    )
