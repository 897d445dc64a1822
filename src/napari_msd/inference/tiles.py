"""Cutting a rectangle into tiles, nearest to a point first."""

from __future__ import annotations

from itertools import pairwise

from napari_msd.core.planes import Region


def tiles_of(region: Region, side: int, centre: tuple[float, float] | None = None) -> list[Region]:
    """Tiles of at most `side` x `side` pixels that cover `region` without overlap.

    Tiles are of nearly equal size, so that no sliver is left over.

    Parameters
    ----------
    region
        What to cover.
    side
        Largest side of a tile in pixels.
    centre
        (Y, X): the tile nearest to it comes first; the middle of `region` if not given.
    """
    if region.empty:
        return []
    rows = _edges(region.top, region.bottom, side)
    columns = _edges(region.left, region.right, side)
    tiles = [
        Region(top, left, bottom, right)
        for top, bottom in pairwise(rows)
        for left, right in pairwise(columns)
    ]
    y, x = centre or ((region.top + region.bottom) / 2, (region.left + region.right) / 2)
    return sorted(
        tiles,
        key=lambda t: ((t.top + t.bottom) / 2 - y) ** 2 + ((t.left + t.right) / 2 - x) ** 2,
    )


def _edges(start: int, stop: int, side: int) -> list[int]:
    n = -(-(stop - start) // side)
    return [start + (stop - start) * i // n for i in range(n + 1)]
