"""How sure the network is of each slice of a stack, from the blocks that were predicted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_msd.core.box import Box
    from napari_msd.core.space import Space
    from napari_msd.document.annotation import Annotation

_Index = tuple[int, ...]


@dataclass(frozen=True)
class Slices:
    """What is known of the slices along one axis.

    Parameters
    ----------
    confidence
        Of each slice, 0..1; ``None`` if nothing of it is predicted.
    strokes
        Numbers of the slices that have strokes.
    current
        Number of the slice on screen.
    """

    confidence: tuple[float | None, ...]
    strokes: frozenset[int]
    current: int


class SliceConfidence:
    """Means of confidence (0..1) over each slice, the newest blocks counting in full.

    Slices lie along the third axis from the end. The cost of a block does not depend on how many
    there were before.
    """

    def __init__(self) -> None:
        self._slices: dict[_Index, tuple[float, int]] = {}
        """By index along all but the last two axes: mean, and pixels that it stands for."""

    def note(self, box: Box, confidence: float, space: Space) -> None:
        """A block was predicted.

        Parameters
        ----------
        box
            Of one slice, or of several.
        confidence
            Its mean, 0..1.
        space
            Of the image.
        """
        whole = space.shape[-2] * space.shape[-1]
        size = box.shape[-2] * box.shape[-1]
        for index in _indices(box):
            mean, known = self._slices.get(index, (0.0, 0))
            # a block that comes again takes the place of a part of what was known
            known = min(known, whole - size) + size
            self._slices[index] = mean + (confidence - mean) * size / max(1, known), known

    def forget(self) -> None:
        """Another image or network."""
        self._slices.clear()

    def along(self, space: Space, shown: _Index, annotation: Annotation) -> Slices:
        """What is known of the slices through the place on screen.

        Parameters
        ----------
        space
            Of the image: three axes or more.
        shown
            Index of the place on screen, along all axes.
        annotation
            The strokes, by planes.
        """
        first, current = shown[:-3], shown[-3]
        known = (self._slices.get((*first, i)) for i in range(space.shape[-3]))
        strokes = frozenset(slab.index[-1] for slab in annotation.slabs if slab.index[:-1] == first)
        return Slices(tuple(None if k is None else k[0] for k in known), strokes, current)


def _indices(box: Box) -> list[_Index]:
    """Indices of the slices of a box."""
    leading = box.start[:-3]
    return [(*leading, i) for i in range(box.start[-3], box.stop[-3])]
