"""Cutting a box into tiles, nearest to a point first."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, product

from napari_msd.core.box import Box


def tiles_of(
    box: Box, side: int | Sequence[int], centre: Sequence[float] | None = None
) -> list[Box]:
    """Tiles of at most `side` pixels along each axis that cover `box` without overlap.

    Tiles are of nearly equal size, so that no sliver is left over.

    Parameters
    ----------
    box
        What to cover.
    side
        Largest side of a tile in pixels; or one for each axis.
    centre
        One position per axis: the tile nearest to it comes first; the middle of `box` if not
        given.
    """
    if box.empty:
        return []
    edges = [
        _edges(a, b, n) for a, b, n in zip(box.start, box.stop, _sides(box, side), strict=True)
    ]
    tiles = [
        Box(box.source, tuple(a for a, _ in ends), tuple(b for _, b in ends))
        for ends in product(*map(pairwise, edges))
    ]
    middle = centre or box.centre
    return sorted(
        tiles,
        key=lambda tile: sum((a - b) ** 2 for a, b in zip(tile.centre, middle, strict=True)),
    )


def tiles_touched(whole: Box, side: int | Sequence[int], box: Box) -> list[Box]:
    """The tiles of `whole` that `box` touches, in order of their index.

    Their number may be small where that of all tiles is very large.
    """
    inside = box.intersect(whole)
    if inside.empty:
        return []
    touched = []
    for a, b, first, last, n in zip(
        whole.start, whole.stop, inside.start, inside.stop, _sides(whole, side), strict=True
    ):
        touched.append([(i, j) for i, j in pairwise(_edges(a, b, n)) if j > first and i < last])
    return [
        Box(whole.source, tuple(i for i, _ in ends), tuple(j for _, j in ends))
        for ends in product(*touched)
    ]


def _sides(box: Box, side: int | Sequence[int]) -> Sequence[int]:
    return (side,) * box.ndim if isinstance(side, int) else side


def _edges(start: int, stop: int, side: int) -> list[int]:
    n = -(-(stop - start) // side)
    return [start + (stop - start) * i // n for i in range(n + 1)]
