"""The named axes of a source, and what the network does along each of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from math import isfinite, sqrt
from typing import Literal, NamedTuple, get_args

from napari_msd.core.box import Box, SourceId

Mode = Literal["2d", "2.5d", "3d"]
"""What the network sees as one image: a plane, a plane with its neighbours, or a volume."""

MODES: tuple[Mode, ...] = get_args(Mode)

MAX_ANISOTROPY = 1000.0
"""Of any image that a microscope takes; a larger one is a mistake in the file."""


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


class NetworkInput(NamedTuple):
    """What a network is given: all sources of one training have this in common.

    Parameters
    ----------
    channels
        Channels of the images.
    context
        Neighbouring slices on each side that are further channels (2.5-D); 0 for none.
    convolved
        Number of axes that the network convolves over: 2 or 3.
    anisotropy
        Distance of slices in pixels of the slice, 1 or more; counts if `convolved` is 3.
    """

    channels: int = 1
    context: int = 0
    convolved: int = 2
    anisotropy: float = 1.0

    @property
    def values(self) -> int:
        """Values that the network gets of each pixel: the channels of every slice it sees."""
        return self.channels * (2 * self.context + 1)

    @property
    def mode(self) -> Mode:
        """2-D, 2.5-D or 3-D."""
        if self.convolved == 3:
            return "3d"
        return "2.5d" if self.context else "2d"


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
        Channels of the source.
    context
        Number of neighbouring slices on each side used as further channels (2.5-D); 0 for none.
    pixel_size, units
        Of each axis; ``None`` if unknown.
    channel_names
        Of each channel, as a person knows them; ``None`` if they have none.

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
    channel_names: tuple[str, ...] | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if len(self.axes) != len(self.shape) or not 2 <= self.convolved <= len(self.shape):
            raise ValueError(f"axes {self.axes!r} of shape {self.shape} cannot be convolved over")
        if self.context and (self.convolved != 2 or self.ndim < 3):
            raise ValueError(f"axes {self.axes!r} have no neighbouring slices beside a plane")

    # --- what the network sees -----------------------------------------------------------

    @property
    def has_slices(self) -> bool:
        """Whether planes lie in a stack of slices, so that their neighbours tell of them."""
        return self.ndim > 2 and self.axes[-3] == "Z" and self.shape[-3] > 1

    @property
    def modes(self) -> tuple[Mode, ...]:
        """The modes that are possible: all of them if there are slices, else 2-D."""
        return MODES if self.has_slices else MODES[:1]

    @property
    def mode(self) -> Mode:
        """2-D, 2.5-D or 3-D."""
        return self.network_input.mode

    def in_mode(self, mode: Mode, context: int = 1) -> Space:
        """The same axes, seen in another mode; in 2-D if that one is not possible.

        Parameters
        ----------
        mode
            See `Mode`.
        context
            Neighbouring slices on each side, in 2.5-D.
        """
        if mode not in self.modes:
            mode = "2d"
        return replace(
            self, convolved=3 if mode == "3d" else 2, context=context if mode == "2.5d" else 0
        )

    @property
    def anisotropy(self) -> float:
        """Distance of slices in pixels of the slice, 1 to `MAX_ANISOTROPY`; 1 if not known."""
        if self.pixel_size is None or not self.has_slices:
            return 1.0
        if self.units is not None and len(set(self.units[-3:])) > 1:
            return 1.0
        z, y, x = self.pixel_size[-3:]
        if not all(isfinite(size) and size > 0 for size in (z, y, x)):
            return 1.0
        apart = sqrt((z / y) * (z / x))  # y * x may be too small a number
        return min(max(1.0, apart), MAX_ANISOTROPY)

    @property
    def network_input(self) -> NetworkInput:
        """What a network is given of such a source."""
        anisotropy = self.anisotropy if self.convolved == 3 else 1.0
        return NetworkInput(self.n_channels, self.context, self.convolved, anisotropy)

    # --- slabs ---------------------------------------------------------------------------

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
