"""The named axes of a source, and what the network does along each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING

from napari_msd.core.box import Box, SourceId

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Space:
    """Axes of a source, its channels left out.

    Parameters
    ----------
    axes
        One letter per axis, in the order of the array: Y and X, and T, Z or others before them.
    shape
        Length of each of these axes, in pixels.
    convolved
        How many of the last axes the network convolves over: 2 (Y and X) or 3 (Z, Y and X).
    n_channels
        Values per pixel.
    context
        How many neighbouring slices on each side are further channels (2.5-D); 0 for none.
    pixel_size, units
        Of each axis, where they are known.

    Raises
    ------
    ValueError
        If numbers of axes do not agree.
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
        """Lengths of the axes that it does."""
        return self.shape[-self.convolved :]

    def whole(self, source: SourceId) -> Box:
        """All of it."""
        return Box.whole(source, self.shape)

    def slab(self, source: SourceId, index: Sequence[int]) -> Box:
        """What the network sees as one image: all of the convolved axes at one `index`."""
        first = tuple(index)
        zeros = (0,) * self.convolved
        return Box(source, (*first, *zeros), (*(i + 1 for i in first), *self.spatial))

    def slabs(self, source: SourceId) -> Iterator[Box]:
        """Every one of them, in order."""
        for index in product(*map(range, self.leading)):
            yield self.slab(source, index)

    def slab_of(self, box: Box) -> Box:
        """The slab in which a box lies; its leading axes have length 1."""
        return self.slab(box.source, box.start[: self.ndim - self.convolved])
