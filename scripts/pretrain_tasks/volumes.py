"""Synthetic volumes with truth and strokes on a few slices, to make 3-D starting weights from.

The same ideas as in 2-D (`layouts`, `looks`, `imaging`), with what only volumes have: objects that
differ in nothing but their height, textures that differ across slices only, blur along the axis of
the instrument, brightness that falls with depth.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt, gaussian_filter
from scipy.spatial import cKDTree
from skimage.segmentation import find_boundaries

from pretrain_tasks.fields import Random, log_uniform, standardised
from pretrain_tasks.strokes import first_strokes

SIDE = 48
"""Planes, rows and columns of every volume."""

FEWEST = 300
"""Voxels that a class needs to count."""

Volume = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]
Classes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class VolumeTask:
    """A question that can be asked again and again, each time of other patches.

    `image` is standardised, (SIDE, SIDE, SIDE); `truth` its classes 1..k; each of `strokes` paints
    some of them on two to four slices, 0 = unpainted.
    """

    image: npt.NDArray[np.float32]
    truth: Classes
    strokes: tuple[Classes, ...]


@dataclass(frozen=True)
class _Layout:
    """Classes 0..k-1 of (SIDE, SIDE, SIDE) voxels, and for each class the number of its look."""

    classes: Numbers
    looks: tuple[int, ...]


def volume_task(random: Random) -> VolumeTask:
    """A new task."""
    while True:
        layout = str(random.choice(list(_LAYOUTS), p=[share for _, share in _LAYOUTS.values()]))
        laid = _LAYOUTS[layout][0](random)
        sizes = np.bincount(laid.classes.ravel())
        if len(sizes) < 2 or (sizes < FEWEST).any():
            continue
        image = _imaged(random, _look(random, laid))
        truth = (laid.classes + 1).astype(np.uint8)
        strokes = tuple(_strokes(random, truth) for _ in range(3))
        return VolumeTask(image, truth, strokes)


def _strokes(random: Random, truth: Classes) -> Classes:
    painted = np.zeros_like(truth)
    amount = log_uniform(random, 0.01, 0.08)
    for z in random.choice(SIDE, int(random.integers(2, 5)), replace=False):
        painted[z] = first_strokes(random, truth[z], amount)
    return painted


# --- layouts -------------------------------------------------------------------------------


def _plain(classes: Numbers) -> _Layout:
    return _Layout(classes, tuple(range(int(classes.max()) + 1)))


def _field(random: Random, sigma: float, along_z: float = 1) -> Volume:
    """Smoothed noise, standardised; `sigma` in voxels, along Z times `along_z`."""
    noise = random.standard_normal((SIDE,) * 3)
    widths = (sigma * along_z, sigma, sigma)
    return standardised(gaussian_filter(noise, widths, mode="wrap", truncate=3))


def _cells(random: Random, n: int) -> Numbers:
    """Number of the nearest of n points, in a warped space."""
    flat = log_uniform(random, 0.6, 1.7)  # cells are taller or flatter than wide
    at = np.stack(np.mgrid[:SIDE, :SIDE, :SIDE]).astype(float)
    at += np.stack([_field(random, 6) for _ in range(3)]) * random.uniform(0, 3)
    at[0] *= flat
    points = random.uniform(0, SIDE, (n, 3)) * (flat, 1, 1)
    nearest = cKDTree(points).query(at.reshape(3, -1).T)[1]
    return nearest.reshape((SIDE,) * 3).astype(np.int64)


def _from_border(cells: Numbers) -> Volume:
    return distance_transform_edt(~find_boundaries(cells, mode="thick"))


def _ellipsoids(
    random: Random, radius: float, share: float, heights: tuple[float, ...] = (1.0,)
) -> tuple[Numbers, Numbers]:
    """Numbers of ellipsoids that overlap little, and the kind of each: an index into `heights`."""
    volume = np.zeros((SIDE,) * 3, np.int64)
    n = int(min(150, share * SIDE**3 / (4.2 * radius**3))) + 2
    kinds = random.integers(0, len(heights), n + 1)
    z, y, x = np.ogrid[:SIDE, :SIDE, :SIDE]
    for number in range(1, n + 1):
        (cz, cy, cx), turn = random.uniform(0, SIDE, 3), random.uniform(0, np.pi)
        size, stretch = radius * random.uniform(0.75, 1.25), np.sqrt(random.uniform(1, 1.7))
        u = (np.cos(turn) * (x - cx) + np.sin(turn) * (y - cy)) / (size * stretch)
        v = (np.cos(turn) * (y - cy) - np.sin(turn) * (x - cx)) / (size / stretch)
        w = (z - cz) / (size * heights[kinds[number]])
        inside = u**2 + v**2 + w**2 < 1
        if inside.any() and (volume[inside] > 0).mean() < 0.15:
            volume[inside & (volume == 0)] = number
    return volume, kinds


def _regions(random: Random) -> _Layout:
    n = int(log_uniform(random, 4, 40))
    return _plain(random.integers(0, random.integers(2, 5), n)[_cells(random, n)])


def _walls(random: Random) -> _Layout:
    cells = _cells(random, int(log_uniform(random, 8, 90)))
    classes = (_from_border(cells) < random.uniform(0.6, 2.5)).astype(np.int64)
    if random.random() < 0.3:
        classes[(classes == 0) & (random.random(cells.max() + 1) < 0.4)[cells]] = 2
    return _plain(classes)


def _touching(random: Random) -> _Layout:
    cells = _cells(random, int(log_uniform(random, 10, 90)))
    ground = (random.random(cells.max() + 1) < random.uniform(0.1, 0.6))[cells]
    gap = _from_border(cells) < random.uniform(0.6, 1.6)
    return _plain((~ground & ~gap).astype(np.int64))


def _objects(random: Random) -> _Layout:
    found, kinds = _ellipsoids(random, log_uniform(random, 2, 12), random.uniform(0.15, 0.8))
    classes = (found > 0).astype(np.int64)
    if random.random() < 0.3:
        classes[(found > 0) & (kinds[found] + random.integers(0, 2, len(kinds))[found] > 0)] = 2
    return _plain(classes)


def _heights(random: Random) -> _Layout:
    """Flat and tall objects that look the same: only their neighbours in Z tell them apart."""
    found, kinds = _ellipsoids(random, log_uniform(random, 3, 7), 0.6, (0.35, 2.2))
    classes = np.where(found > 0, 1 + kinds[found], 0)
    return _Layout(classes, (0, 1, 1))


def _shells(random: Random) -> _Layout:
    found, _ = _ellipsoids(random, log_uniform(random, 6, 14), random.uniform(0.3, 0.8))
    deep = distance_transform_edt(~find_boundaries(found, mode="inner"))
    classes = np.where(found == 0, 0, np.where(deep < log_uniform(random, 1.5, 4), 1, 2))
    return _Layout(classes, (0, 1, 0) if random.random() < 0.6 else (0, 1, 2))


def _blobs(random: Random) -> _Layout:
    volume = _field(random, log_uniform(random, 1.5, 9), log_uniform(random, 0.5, 2))
    levels = np.sort(random.uniform(0.1, 0.9, random.integers(1, 4)))
    return _plain(np.digitize(volume, np.quantile(volume, levels)))


def _distance_to_zero(volume: Volume) -> Volume:
    return np.abs(volume) / (np.sqrt(sum(g**2 for g in np.gradient(volume))) + 0.01)


def _fibres(random: Random) -> _Layout:
    """Where two smooth fields are both zero: closed curves through the volume."""
    scale = random.uniform(4, 9)
    one, two = (_distance_to_zero(_field(random, scale)) for _ in range(2))
    return _plain((np.hypot(one, two) < random.uniform(1.2, 3)).astype(np.int64))


def _sheets(random: Random) -> _Layout:
    surface = _distance_to_zero(_field(random, random.uniform(4, 10)))
    return _plain((surface < random.uniform(0.8, 2)).astype(np.int64))


_LAYOUTS: dict[str, tuple[Callable[[Random], _Layout], float]] = {
    "regions": (_regions, 0.14),
    "walls": (_walls, 0.14),
    "touching": (_touching, 0.12),
    "objects": (_objects, 0.16),
    "heights": (_heights, 0.1),
    "shells": (_shells, 0.08),
    "blobs": (_blobs, 0.1),
    "fibres": (_fibres, 0.1),
    "sheets": (_sheets, 0.06),
}
"""Maker of every layout, and its share of the volumes."""


# --- looks and imaging ---------------------------------------------------------------------


def _texture(random: Random) -> Volume:
    kind = random.random()
    if kind < 0.6:
        return _field(random, log_uniform(random, 0.5, 4), log_uniform(random, 0.3, 3))
    if kind < 0.75:
        return standardised(np.abs(_field(random, log_uniform(random, 0.8, 4))))
    if kind < 0.9:
        dots = (random.random((SIDE,) * 3) < log_uniform(random, 0.001, 0.02)).astype(float)
        return standardised(gaussian_filter(dots, random.uniform(0.6, 2)))
    return random.standard_normal((SIDE,) * 3)


def _look(random: Random, layout: _Layout) -> Volume:
    """Grey values, textures, or both; or textures that differ across slices only."""
    n = max(layout.looks) + 1
    if random.random() < 0.2:
        sigma = log_uniform(random, 0.6, 2)
        stretches = random.permutation(0.4 * random.uniform(2, 4) ** np.arange(n))
        volumes = [_field(random, sigma, float(min(4, s))) for s in stretches]
    else:
        contrast = random.choice([0.3, 1, 2])
        greys = random.permutation(np.linspace(0, 1, n)) * contrast + random.normal(0, 0.1, n)
        strengths = random.choice([0, 0.1, 0.3, 0.6], n)
        volumes = [v + _texture(random) * s for v, s in zip(greys, strengths, strict=True)]
    look = np.array(layout.looks)[layout.classes]
    softness = random.uniform(0.3, 1.2)
    image, total = np.zeros((SIDE,) * 3), np.zeros((SIDE,) * 3)
    for number, volume in enumerate(volumes):
        mask = gaussian_filter((look == number).astype(float), softness)
        image += mask * volume
        total += mask
    return image / total


def _imaged(random: Random, volume: Volume) -> npt.NDArray[np.float32]:
    volume = standardised(volume)
    if random.random() < 0.5:  # blurred, along the instrument's axis more
        sigma = log_uniform(random, 0.4, 2)
        widths = (sigma * random.uniform(1, 3), sigma, sigma)
        volume = standardised(gaussian_filter(volume, widths))
    if random.random() < 0.4:
        volume = volume + _field(random, 12) * random.uniform(0, 0.6)
    if random.random() < 0.3:  # fades with depth
        fall = np.linspace(1, random.uniform(0.4, 1), SIDE)[:: int(random.choice([-1, 1]))]
        volume = volume * fall[:, None, None]
    if random.random() < 0.3:  # slices differ in brightness
        volume = volume + random.normal(0, random.uniform(0, 0.4), SIDE)[:, None, None]
    if random.random() < 0.6:
        noise = random.standard_normal((SIDE,) * 3)
        if random.random() < 0.4:
            noise = gaussian_filter(noise, random.uniform(0.4, 1))
        volume = volume + log_uniform(random, 0.08, 4) * standardised(noise)
    if random.random() < 0.3:
        volume = -volume
    return standardised(volume).astype(np.float32)
