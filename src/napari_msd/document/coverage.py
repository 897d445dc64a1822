"""Which parts of an image are segmented, and which network segmented each.

Rectangles of one plane never overlap, so that areas simply add up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_msd.core.planes import PlaneKey, Region


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
            parts.append(f"the segmentation comes from {self.networks} different networks")
        text = ", and ".join(parts)
        return f"{text[0].upper()}{text[1:]}." if text else ""


class Coverage:
    """Remembers which network predicted which rectangle.

    Parameters
    ----------
    n_planes
        Planes of the image.
    plane_shape
        (Y, X) of each.
    """

    def __init__(self, n_planes: int, plane_shape: tuple[int, int]) -> None:
        self._n_planes, self._plane_shape = n_planes, plane_shape
        self._plane_pixels = plane_shape[0] * plane_shape[1]
        self._planes: dict[PlaneKey, list[tuple[Region, str]]] = {}

    def write(self, plane: PlaneKey, region: Region, network: str) -> None:
        """`network` has predicted `region`, which lies inside the plane."""
        kept = [
            (part, other)
            for old, other in self._planes.get(plane, [])
            for part in old.without(region)
        ]
        self._planes[plane] = [*kept, (region, network)]

    def fresh(self) -> Coverage:
        """One for the same image, of which nothing is segmented."""
        return Coverage(self._n_planes, self._plane_shape)

    @property
    def empty(self) -> bool:
        """Whether nothing is segmented."""
        return not self._planes

    @property
    def completeness(self) -> Completeness:
        """How much is segmented now."""
        areas = {
            plane: sum(part.area for part, _ in parts) for plane, parts in self._planes.items()
        }
        full = sum(area == self._plane_pixels for area in areas.values())
        total = self._n_planes * self._plane_pixels
        return Completeness(
            self._n_planes,
            self._n_planes - len(areas),
            len(areas) - full,
            1 - sum(areas.values()) / total if total else 0.0,
            len({network for parts in self._planes.values() for _, network in parts}),
        )


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.01 else "less than 1%"
