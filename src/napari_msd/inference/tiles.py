"""Cutting a box into tiles, nearest to a point first."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, product

from napari_msd.core.box import Box


def tiles_of(box: Box, side: int, centre: Sequence[float] | None = None) -> list[Box]:
    """Tiles of at most `side` pixels along each axis that cover `box` without overlap.

    Tiles are of nearly equal size, so that no sliver is left over.

    Parameters
    ----------
    box
        What to cover.
    side
        Largest side of a tile in pixels.
    centre
        One position per axis: the tile nearest to it comes first; the middle of `box` if not
        given.
    """
    if box.empty:
        return []
    edges = [_edges(a, b, side) for a, b in zip(box.start, box.stop, strict=True)]
    tiles = [
        Box(box.source, tuple(a for a, _ in ends), tuple(b for _, b in ends))
        for ends in product(*map(pairwise, edges))
    ]
    middle = centre or box.centre
    return sorted(
        tiles,
        key=lambda tile: sum((a - b) ** 2 for a, b in zip(tile.centre, middle, strict=True)),
    )


def _edges(start: int, stop: int, side: int) -> list[int]:
    n = -(-(stop - start) // side)
    return [start + (stop - start) * i // n for i in range(n + 1)]
