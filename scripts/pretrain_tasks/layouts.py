"""Which class lies where: layouts of synthetic pictures.

Features measure 2 to 80 px. A layout says nothing of how its classes look, except which of
them look the same (`Layout.looks`): the inside of a ring may look like what lies around it,
and only its place tells.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import distance_transform_edt
from scipy.spatial import cKDTree
from skimage.segmentation import find_boundaries

from pretrain_tasks.fields import SIDE, Numbers, Random, field, log_uniform


@dataclass(frozen=True)
class Layout:
    """Classes 0..k-1 of (SIDE, SIDE) pixels, and for each class the number of its look."""

    classes: Numbers
    looks: tuple[int, ...]


def _plain(classes: Numbers) -> Layout:
    return Layout(classes, tuple(range(int(classes.max()) + 1)))


def regions(random: Random) -> Layout:
    """Areas that fill the plane, of 2 to 6 classes."""
    n = int(log_uniform(random, 6, 120))
    return _plain(random.integers(0, random.integers(2, 7), n)[_cells(random, n)])


def walls(random: Random) -> Layout:
    """Walls between cells; some of the cells may be of a third class."""
    cells = _cells(random, int(log_uniform(random, 8, 200)))
    classes = (_from_border(cells) < random.uniform(0.6, 4)).astype(np.int64)
    if random.random() < 0.3:
        classes[(classes == 0) & (random.random(cells.max() + 1) < 0.4)[cells]] = 2
    return _plain(classes)


def touching(random: Random) -> Layout:
    """Cells that touch but for a gap of 1 to 4 px, which is ground, as are some whole cells."""
    cells = _cells(random, int(log_uniform(random, 10, 150)))
    ground = (random.random(cells.max() + 1) < random.uniform(0.1, 0.6))[cells]
    gap = _from_border(cells) < random.uniform(0.6, 2)
    if random.random() < 0.4:  # the gap is a class, and looks like the ground
        return Layout(np.where(ground, 0, np.where(gap, 2, 1)), (0, 1, 0))
    return _plain((~ground & ~gap).astype(np.int64))


def objects(random: Random) -> Layout:
    """Discs and squares; of two kinds, or with a rim, now and then."""
    radius = log_uniform(random, 2, 40)
    discs = _discs(random, radius, random.uniform(0.15, 0.9))
    classes = (discs > 0).astype(np.int64)
    kind = random.random()
    if kind < 0.25:
        classes[(discs > 0) & (random.random(discs.max() + 1) < 0.5)[discs]] = 2
    elif kind < 0.5 and radius > 6:
        rim = distance_transform_edt(~find_boundaries(discs, mode="inner"))
        classes[(rim < random.uniform(1.2, 3)) & (discs > 0)] = 2
    return _plain(classes)


def rare(random: Random) -> Layout:
    """Objects that fill about 1 % of the plane, on areas of one or two classes."""
    small = _discs(random, log_uniform(random, 2, 8), log_uniform(random, 0.006, 0.03)) > 0
    ground = (field(random, 18) > 0.3) & (random.random() < 0.4)
    return _plain(np.where(small, 1 + ground.any(), ground).astype(np.int64))


def rings(random: Random) -> Layout:
    """Thick rings, what they enclose, and what lies around; the last two often look the same."""
    discs = _discs(random, log_uniform(random, 7, 36), random.uniform(0.3, 0.9))
    deep = distance_transform_edt(~find_boundaries(discs, mode="inner"))
    thick = log_uniform(random, 1.5, 9)
    classes = np.where(discs == 0, 0, np.where(deep < thick, 1, 2))
    return Layout(classes, (0, 1, 0) if random.random() < 0.6 else (0, 1, 2))


def blobs(random: Random) -> Layout:
    """Two to four levels of a smooth field."""
    plane = field(random, log_uniform(random, 2, 22))
    levels = np.sort(random.uniform(0.1, 0.9, random.integers(1, 4)))
    return _plain(np.digitize(plane, np.quantile(plane, levels)))


def fibres(random: Random) -> Layout:
    """Closed curves of 2 to 6 px that cross the whole plane."""
    plane = np.abs(field(random, random.uniform(6, 20)))
    slope = np.hypot(*np.gradient(plane)) + 0.01
    return _plain((plane / slope < random.uniform(1, 3)).astype(np.int64))


def branches(random: Random) -> Layout:
    """Roots, vessels, neurites: curved, branching, 1 to 6 px wide; at times with cell bodies."""
    radii = np.array([3.0, 1.7, 0.9]) * random.uniform(0.55, 1)
    lines = np.zeros((3, SIDE, SIDE), bool)
    bend = random.uniform(0.03, 0.2)
    level = int(random.integers(0, 3))
    alive = [
        (random.uniform(0, SIDE, 2), random.uniform(0, 2 * np.pi), level)
        for _ in range(int(random.integers(2, 9)))
    ]
    bodies = [place for place, _, _ in alive]
    for _ in range(60):
        if not alive:
            break
        start, direction, level = alive.pop(0)
        turns = direction + np.cumsum(random.normal(0, bend, int(random.integers(25, 160))))
        way = start + np.cumsum(np.stack([np.sin(turns), np.cos(turns)], axis=1), axis=0)
        pixels = np.rint(way).astype(int)
        pixels = pixels[((pixels >= 0) & (pixels < SIDE)).all(axis=1)]
        lines[level][tuple(pixels.T)] = True
        for at in random.integers(0, len(turns), random.integers(0, 4)):
            side = turns[at] + random.choice([-1, 1]) * random.uniform(0.4, 1.2)
            alive.append((way[at], side, min(2, level + int(random.integers(0, 2)))))
    classes = np.zeros((SIDE, SIDE), np.int64)
    for line, radius in zip(lines, radii, strict=True):
        if line.any():
            classes[distance_transform_edt(~line) < radius] = 1
    if random.random() < 0.3:
        centres = np.ones((SIDE, SIDE), bool)
        centres[tuple(np.clip(np.rint(bodies), 0, SIDE - 1).astype(int).T)] = False
        classes[distance_transform_edt(centres) < random.uniform(5, 12)] = 2
    return _plain(classes)


LAYOUTS: dict[str, tuple[Callable[[Random], Layout], int, float]] = {
    "regions": (regions, 6, 0.15),
    "walls": (walls, 3, 0.12),
    "touching": (touching, 3, 0.14),
    "objects": (objects, 3, 0.15),
    "rare": (rare, 3, 0.07),
    "rings": (rings, 3, 0.1),
    "blobs": (blobs, 4, 0.1),
    "fibres": (fibres, 2, 0.04),
    "branches": (branches, 3, 0.13),
}
"""Maker, most classes (the fewest are 2) and share of the pictures of every kind."""

WIDE = frozenset({"regions", "touching", "objects", "rings", "blobs"})
"""Layouts whose areas are wide enough to be told apart by the statistics of a texture."""


def _from_border(cells: Numbers) -> Numbers:
    """Distance in pixels to the nearest border of two cells."""
    return distance_transform_edt(~find_boundaries(cells, mode="thick"))


def _cells(random: Random, n: int) -> Numbers:
    """Number of the nearest of n points, on a warped plane."""
    points = random.uniform(0, SIDE, (n, 2))
    y, x = np.mgrid[:SIDE, :SIDE].astype(float)
    y += field(random, 8) * random.uniform(0, 4)
    x += field(random, 8) * random.uniform(0, 4)
    nearest = cKDTree(points).query(np.stack([y.ravel(), x.ravel()], axis=1))[1]
    return nearest.reshape(SIDE, SIDE).astype(np.int64)


def _discs(random: Random, radius: float, share: float) -> Numbers:
    """Numbers of discs and squares that fill about `share` of the plane and overlap little."""
    plane = np.zeros((SIDE, SIDE), np.int64)
    n = int(min(250, share * SIDE**2 / (3.2 * radius**2))) + 2
    squares = 0.15 if random.random() < 0.5 else 0
    for number in range(1, n + 1):
        (top, left), turn = random.uniform(0, SIDE, 2), random.uniform(0, np.pi)
        size, stretch = radius * random.uniform(0.7, 1.3), np.sqrt(random.uniform(1, 1.8))
        reach = int(1.5 * size * stretch) + 2
        rows = slice(max(0, int(top) - reach), int(top) + reach)
        columns = slice(max(0, int(left) - reach), int(left) + reach)
        part = plane[rows, columns]
        y = np.arange(rows.start, rows.start + part.shape[0])[:, None] - top
        x = np.arange(columns.start, columns.start + part.shape[1]) - left
        u = (np.cos(turn) * x + np.sin(turn) * y) / (size * stretch)
        v = (np.cos(turn) * y - np.sin(turn) * x) / (size / stretch)
        square = random.random() < squares
        inside = np.maximum(abs(u), abs(v)) < 0.9 if square else u**2 + v**2 < 1
        if inside.any() and (part[inside] > 0).mean() < 0.15:
            part[inside & (part == 0)] = number
    return plane
