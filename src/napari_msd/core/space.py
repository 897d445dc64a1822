"""The named axes of a source, and what the network does along each of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product

from napari_msd.core.box import Box, SourceId


@dataclass(frozen=True, order=True, slots=True)
class Slab:
    """The input that the network treats as one image: all convolved axes at one index.

    Parameters
    ----------
    source
        Number of the source.
    index
        Index along the axes that are not convolved over: ``()`` for a plain 2-D image, ``(7,)``
        for slice 7 of a stack.
    """

    source: SourceId
    index: tuple[int, ...]

    @classmethod
    def of(cls, box: Box, convolved: int) -> Slab:
        """The slab in which `box` starts; its last `convolved` axes are convolved over."""
        return cls(box.source, box.start[: box.ndim - convolved])

    @classmethod
    def all_of(cls, box: Box, convolved: int) -> Iterator[Slab]:
        """Every slab that `box` overlaps, in order."""
        leading = slice(box.ndim - convolved)
        for index in product(*map(range, box.start[leading], box.stop[leading])):
            yield cls(box.source, index)

    def box(self, start: Sequence[int], stop: Sequence[int]) -> Box:
        """The part of the slab from `start` to `stop` along the convolved axes."""
        after = (i + 1 for i in self.index)
        return Box(self.source, (*self.index, *start), (*after, *stop))


@dataclass(frozen=True)
class Space:
    """Axes of a source, without channels.

    Parameters
    ----------
    axes
        One letter per axis, in the order of the array: Y and X, and T, Z or others before them.
    shape
        Length of each of these axes, in pixels.
    convolved
        Number of last axes that the network convolves over: 2 (Y and X) or 3 (Z, Y and X).
    n_channels
        Values per pixel.
    context
        Number of neighbouring slices on each side used as further channels (2.5-D); 0 for none.
    pixel_size, units
        Of each axis; ``None`` if unknown.

    Raises
    ------
    ValueError
        If the numbers of axes differ.
    """

    axes: str
    shape: tuple[int, ...]
    convolved: int = 2
    n_channels: int = 1
    context: int = 0
    pixel_size: tuple[float, ...] | None = field(default=None, compare=False)
    units: tuple[str, ...] | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if len(self.axes) != len(self.shape) or not 2 <= self.convolved <= len(self.shape):
            raise ValueError(f"axes {self.axes!r} of shape {self.shape} cannot be convolved over")

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def leading(self) -> tuple[int, ...]:
        """Lengths of the axes that the network does not convolve over."""
        return self.shape[: -self.convolved]

    @property
    def spatial(self) -> tuple[int, ...]:
        """Lengths of the axes that the network convolves over."""
        return self.shape[-self.convolved :]

    def whole(self, source: SourceId) -> Box:
        """The box of the whole source."""
        return Box.whole(source, self.shape)

    def slab(self, source: SourceId, index: Sequence[int]) -> Box:
        """The box that the network treats as one image: all convolved axes at one `index`."""
        return Slab(source, tuple(index)).box((0,) * self.convolved, self.spatial)

    def slabs(self, source: SourceId) -> Iterator[Box]:
        """All slabs, in order."""
        for index in product(*map(range, self.leading)):
            yield self.slab(source, index)

    def slab_of(self, box: Box) -> Box:
        """The slab that contains a box; the box's leading axes have length 1."""
        return self.slab(box.source, Slab.of(box, self.convolved).index)
