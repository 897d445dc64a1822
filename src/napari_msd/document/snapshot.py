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
from napari_msd.core.settings import MAX_CLASSES
from napari_msd.document.annotation import Annotation, Labels

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Painted:
    """Values, uint8 of the shape of `box`, that its pixels have now: 0 = nothing painted.

    Raises
    ------
    ValueError
        If `values` is of another shape.
    """

    box: Box
    values: Labels

    def __post_init__(self) -> None:
        if self.values.shape != self.box.shape:
            raise ValueError(f"{self.values.shape} values for a box of {self.box.shape}")


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
