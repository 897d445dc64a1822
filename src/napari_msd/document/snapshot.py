"""The annotation as the trainer knows it, and what changed since.

napari tells where a brush painted, but not what undo, redo or a script changed. So
whoever suspects a change hands the present values of a box to `AnnotationSnapshot`,
which compares them with what it remembers and answers with the difference, ready to
be sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_msd.core.box import Box
from napari_msd.core.planes import PlaneKey, Region, box_of, plane_and_region
from napari_msd.core.settings import MAX_CLASSES
from napari_msd.document.annotation import Annotation, Labels
from napari_msd.trainer.messages import StrokeBlock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray


@dataclass(frozen=True)
class Painted:
    """Values, uint8 of the shape of `box`, that its pixels have now."""

    box: Box
    values: Labels


class AnnotationSnapshot:
    """What is known of the annotation of one source.

    Parameters
    ----------
    shape
        Of the source; values outside it are not looked at.
    convolved
        How many of its last axes the network convolves over.

    Notes
    -----
    The cost of `compare` follows the size of the box compared, never that of the image.
    """

    def __init__(self, shape: tuple[int, ...], convolved: int = 2) -> None:
        self.shape = shape
        self.annotation = Annotation(convolved)
        self.unusable = False
        """Whether a value that cannot be a class (negative, above 255) was met."""

    def compare(self, box: Box, values: NDArray[np.generic]) -> Painted | None:
        """Take note of the present `values` of a box.

        Parameters
        ----------
        box
            Where; clipped to the source.
        values
            Integers of ``box.shape``. What cannot be a class (negative, above 255)
            counts as not painted and sets `unusable`.

        Returns
        -------
        Painted or None
            The smallest box that holds every changed pixel, with copies of its values, or
            ``None``.
        """
        clipped = box.clip(self.shape)
        if clipped.empty:
            return None
        new = self._to_uint8(values[clipped.within(box).slices])
        changed = self.annotation.write(clipped, new)
        if changed is None:
            return None
        return Painted(changed, new[changed.within(clipped).slices].copy())

    def painted(self) -> Iterator[Painted]:
        """Everything painted: what a new trainer has to be told."""
        for box, values in self.annotation.chunks():
            inside = box.clip(self.shape)
            yield Painted(inside, values[inside.within(box).slices])

    def _to_uint8(self, values: NDArray[np.generic]) -> Labels:
        if values.dtype == np.uint8:
            return values.astype(np.uint8, copy=False)
        if values.dtype == np.bool_:
            return values.astype(np.uint8)
        integers = values.astype(np.int64, copy=False)
        if int(integers.max()) > MAX_CLASSES or int(integers.min()) < 0:
            self.unusable = True
            integers = np.where((integers > MAX_CLASSES) | (integers < 0), 0, integers)
        return integers.astype(np.uint8)


class StrokeSnapshot:
    """`AnnotationSnapshot` for a viewer that speaks of planes and rectangles.

    Parameters
    ----------
    plane_shape
        (Y, X) of every plane; values outside it are not looked at.
    """

    def __init__(self, plane_shape: tuple[int, int]) -> None:
        self.plane_shape = plane_shape
        self._snapshot = AnnotationSnapshot(plane_shape)

    @property
    def unusable(self) -> bool:
        """Whether a value that cannot be a class (negative, above 255) was met."""
        return self._snapshot.unusable

    @unusable.setter
    def unusable(self, unusable: bool) -> None:
        self._snapshot.unusable = unusable

    @property
    def counts(self) -> dict[int, int]:
        """Painted pixels per class value, for those that have any."""
        return self._snapshot.annotation.counts

    @property
    def planes(self) -> list[PlaneKey]:
        """Planes that have strokes."""
        return sorted(slab.index for slab in self._snapshot.annotation.slabs)

    def blocks(self) -> list[StrokeBlock]:
        """Everything painted, block by block: what a new session has to be told."""
        return [
            self._block(Painted(box, values)) for box, values in self._snapshot.annotation.chunks()
        ]

    def where(self, value: int) -> Iterator[tuple[PlaneKey, NDArray[np.intp], NDArray[np.intp]]]:
        """(plane, rows, columns) of the pixels painted with `value`."""
        for slab, pixels in self._snapshot.annotation.where(value):
            yield slab.index, *pixels.T

    def read(self, plane: PlaneKey, region: Region) -> Labels:
        """Remembered values of a rectangle."""
        return self._snapshot.annotation.read(box_of(plane, region)).reshape(region.shape)

    def compare(
        self, plane: PlaneKey, region: Region, values: NDArray[np.generic]
    ) -> StrokeBlock | None:
        """As `AnnotationSnapshot.compare`."""
        box = box_of(plane, region)
        self._snapshot.shape = (*box.stop[:-2], *self.plane_shape)
        found = self._snapshot.compare(box, values.reshape(box.shape))
        return self._block(found) if found is not None else None

    def _block(self, painted: Painted) -> StrokeBlock:
        plane, region = plane_and_region(painted.box)
        inside = region.clip(self.plane_shape)
        values = painted.values.reshape(region.shape)
        part = inside.shift(-region.top, -region.left)
        return StrokeBlock(plane, inside, values[part.slices])
