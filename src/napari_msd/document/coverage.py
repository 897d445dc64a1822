"""Which parts of an image are segmented, and which network segmented each.

Boxes never overlap, so that sizes simply add up.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from napari_msd.core.box import Box
from napari_msd.core.space import Slab


@dataclass(frozen=True)
class Completeness:
    """How much of an image is segmented.

    Parameters
    ----------
    planes
        Planes that the image has.
    empty, partial
        Planes of which nothing, and of which only a part, is segmented.
    missing
        Share (0..1) of the image's pixels that are not segmented.
    networks
        Number of networks that the segmentation comes from.
    """

    planes: int
    empty: int
    partial: int
    missing: float
    networks: int

    @property
    def complete(self) -> bool:
        """Whether all of the image is segmented, by one network."""
        return not (self.empty or self.partial) and self.networks <= 1

    @property
    def sentence(self) -> str:
        """What is not as a person would expect, for the person; empty when complete."""
        parts = []
        if self.planes == 1:
            if self.missing:
                parts.append(f"{_percent(self.missing)} of the image is not segmented")
        elif self.empty:
            parts.append(f"{self.empty} of {self.planes} planes are not segmented")
            if self.partial:
                parts[-1] += f", {self.partial} only in part"
        elif self.partial:
            parts.append(f"{self.partial} of {self.planes} planes are segmented only in part")
        if self.networks > 1:
            parts.append("parts of the segmentation are older than the network")
        text = ", and ".join(parts)
        return f"{text[0].upper()}{text[1:]}." if text else ""


@dataclass(frozen=True)
class UpToDate:
    """How much of an image is segmented by its newest network.

    Parameters
    ----------
    slabs, complete_slabs
        Slabs of the image, and those that are wholly of that network.
    share
        Share (0..1) of the image's pixels that are of that network.
    """

    slabs: int
    complete_slabs: int
    share: float

    @property
    def complete(self) -> bool:
        """Whether all of the image is."""
        return 0 < self.slabs == self.complete_slabs


class Coverage:
    """Remembers which network predicted which box of an image.

    Parameters
    ----------
    n_slabs
        Slabs (planes, or volumes) of the image.
    slab_shape
        Lengths of the axes that the network convolves over, of each.
    """

    def __init__(self, n_slabs: int, slab_shape: tuple[int, ...]) -> None:
        self._n_slabs, self._slab_shape = n_slabs, slab_shape
        self._slabs: dict[Slab, list[tuple[Box, str]]] = {}
        self._newest = ""

    def write(self, box: Box, network: str) -> None:
        """`network` has predicted `box`, which lies inside one slab."""
        self._newest = network
        slab = Slab.of(box, len(self._slab_shape))
        kept = [
            (part, other) for old, other in self._slabs.get(slab, []) for part in old.without(box)
        ]
        self._slabs[slab] = [*kept, (box, network)]

    def fresh(self) -> Coverage:
        """One for the same image, of which nothing is segmented."""
        return Coverage(self._n_slabs, self._slab_shape)

    @property
    def empty(self) -> bool:
        """Whether nothing is segmented."""
        return not self._slabs

    @property
    def completeness(self) -> Completeness:
        """How much is segmented now."""
        sizes = [sum(part.size for part, _ in parts) for parts in self._slabs.values()]
        slab_size = prod(self._slab_shape)
        full, total = sizes.count(slab_size), self._n_slabs * slab_size
        return Completeness(
            self._n_slabs,
            self._n_slabs - len(sizes),
            len(sizes) - full,
            1 - sum(sizes) / total if total else 0.0,
            len({network for parts in self._slabs.values() for _, network in parts}),
        )

    def up_to_date(self, following: Slab | None = None) -> UpToDate:
        """How much is segmented by the network that predicted last.

        `following` is a slab that is predicted again and again while the network changes: all of
        it counts, although its parts are of networks a moment apart.
        """
        slab_size = prod(self._slab_shape)
        sizes = [
            sum(
                part.size for part, network in parts if network == self._newest or slab == following
            )
            for slab, parts in self._slabs.items()
        ]
        total = self._n_slabs * slab_size
        return UpToDate(self._n_slabs, sizes.count(slab_size), sum(sizes) / total if total else 0.0)


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.01 else "less than 1%"
