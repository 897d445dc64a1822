"""Which parts of an image are segmented, and which network segmented each.

Boxes never overlap, so that sizes simply add up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import prod

from napari_msd.core.box import Box
from napari_msd.core.space import Slab

_CELL = 512
"""Side of a cell, in pixels: about that of a predicted tile."""


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
        Planes of the image.
    slab_shape
        Lengths of the last axes, of each.

    Notes
    -----
    Sums are kept with every write: an image of many planes has hundreds of thousands of boxes, too
    many to be looked at again for each new one.
    """

    def __init__(self, n_slabs: int, slab_shape: tuple[int, ...]) -> None:
        self._n_slabs, self._slab_shape = n_slabs, slab_shape
        self._slabs: dict[Slab, _Parts] = {}
        self._boxes_of = Counter[str]()
        """Number of boxes of each network."""
        self._newest = ""
        self._coarse: list[Box] = []

    def write(self, box: Box, network: str) -> None:
        """`network` has predicted `box`, a part of one plane or of several."""
        self._newest = network
        n = len(self._slab_shape)
        for slab in Slab.all_of(box, n):
            parts = self._slabs.get(slab)
            if parts is None:
                parts = self._slabs[slab] = _Parts(self._boxes_of)
            parts.write(box.last(n), network)

    def write_coarsely(self, box: Box) -> None:
        """`box` shows a first answer of low resolution, which does not count as predicted."""
        self._coarse = [known for known in self._coarse if not box.contains(known)]
        self._coarse.append(box)

    @property
    def coarse(self) -> list[Box]:
        """Parts that show nothing but a first answer."""
        return [part for box in self._coarse for part in self.missing(box)]

    def missing(self, box: Box) -> list[Box]:
        """The parts of a box, of one plane or of several, that nothing has predicted."""
        n = len(self._slab_shape)
        found = []
        for slab in Slab.all_of(box, n):
            rest, parts = [box.last(n)], self._slabs.get(slab)
            for known in parts.near(box.last(n)) if parts is not None else ():
                rest = [piece for part in rest for piece in part.without(known)]
            found += [slab.box(part.start, part.stop) for part in rest]
        return found

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
        sizes = [parts.size for parts in self._slabs.values()]
        slab_size = prod(self._slab_shape)
        full, total = sizes.count(slab_size), self._n_slabs * slab_size
        return Completeness(
            self._n_slabs,
            self._n_slabs - len(sizes),
            len(sizes) - full,
            1 - sum(sizes) / total if total else 0.0,
            len(self._boxes_of),
        )

    def up_to_date(self, following: Slab | None = None) -> UpToDate:
        """How much is segmented by the network that predicted last.

        `following` is a slab that is predicted again and again while the network changes: all of
        it counts, although its parts are of networks a moment apart.
        """
        slab_size = prod(self._slab_shape)
        sizes = [
            parts.size if slab == following else parts.size_of[self._newest]
            for slab, parts in self._slabs.items()
        ]
        total = self._n_slabs * slab_size
        return UpToDate(self._n_slabs, sizes.count(slab_size), sum(sizes) / total if total else 0.0)


class _Parts:
    """The boxes of one slab; those near a place are found without looking at the others."""

    def __init__(self, boxes_of: Counter[str]) -> None:
        self._boxes_of = boxes_of
        self._network: dict[Box, str] = {}
        self._near: dict[tuple[int, int], set[Box]] = {}
        self.size = 0
        """Pixels in all boxes together."""
        self.size_of = Counter[str]()
        """Pixels of each network."""

    def write(self, box: Box, network: str) -> None:
        if box in self._network:  # a tile that is predicted again
            self._remove(box)
        else:
            for old in self.near(box):
                if not old.intersect(box).empty:
                    before = self._remove(old)
                    for part in old.without(box):
                        self._add(part, before)
        self._add(box, network)

    def near(self, box: Box) -> set[Box]:
        """Boxes that may overlap with this one."""
        cells = (self._near.get(cell, ()) for cell in _cells(box))
        return set[Box]().union(*cells)

    def _add(self, box: Box, network: str) -> None:
        self._network[box] = network
        for cell in _cells(box):
            self._near.setdefault(cell, set()).add(box)
        self.size += box.size
        self.size_of[network] += box.size
        self._boxes_of[network] += 1

    def _remove(self, box: Box) -> str:
        network = self._network.pop(box)
        for cell in _cells(box):
            self._near[cell].discard(box)
        self.size -= box.size
        self.size_of[network] -= box.size
        self._boxes_of[network] -= 1
        for counter in (self.size_of, self._boxes_of):
            if not counter[network]:
                del counter[network]
        return network


def _cells(box: Box) -> Iterator[tuple[int, int]]:
    """The cells of a coarse grid that a box touches along its last two axes."""
    rows, columns = (
        range(a // _CELL, (b - 1) // _CELL + 1)
        for a, b in zip(box.start[-2:], box.stop[-2:], strict=True)
    )
    return product(rows, columns)


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.01 else "less than 1%"
