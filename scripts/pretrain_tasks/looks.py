"""How the classes of a layout look before a microscope blurs and spoils them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter

from pretrain_tasks.fields import SIDE, Plane, Random, field, log_uniform, standardised, texture
from pretrain_tasks.layouts import Layout


def grey(random: Random, layout: Layout) -> Plane:
    """Grey values, textures, or both."""
    n = max(layout.looks) + 1
    contrast = random.choice([0, 0.5, 1, 2], p=[0.1, 0.2, 0.3, 0.4])
    greys = random.permutation(np.linspace(0, 1, n)) * contrast + random.normal(0, 0.1, n)
    if random.random() < 0.4 and np.ptp(greys) > 0.3:
        common = texture(random) * random.uniform(0, 0.4)
        planes = [value + common for value in greys]
    else:
        strengths = random.choice([0, 0.1, 0.3, 0.6], n, p=[0.2, 0.25, 0.3, 0.25])
        planes = [value + texture(random) * s for value, s in zip(greys, strengths, strict=True)]
    return _laid(random, layout, planes)


def statistics(random: Random, layout: Layout) -> Plane:
    """Textures of equal mean and variance: only what lies near tells them apart."""
    n = max(layout.looks) + 1
    if random.random() < 0.5:  # of one family: scales that differ by half an octave or more
        scale = log_uniform(random, 0.6, 2)
        scales = random.permutation(scale * random.uniform(1.5, 2.5) ** np.arange(n))
        planes = [field(random, min(12, s)) for s in scales]
    else:
        planes = [texture(random) for _ in range(n)]
    return _laid(random, layout, planes)


def relief(random: Random, layout: Layout) -> Plane:
    """As differential interference contrast: the gradient of the optical path in one direction."""
    path = _optical_path(random, layout)
    turn = random.uniform(0, 2 * np.pi)
    down, right = np.gradient(gaussian_filter(path, random.uniform(0.5, 1.5)))
    shaded = standardised(np.sin(turn) * down + np.cos(turn) * right)
    return np.clip(shaded, -5, 5) + random.uniform(0, 0.3) * standardised(path)


def halo(random: Random, layout: Layout) -> Plane:
    """As phase contrast: the optical path, without what is smooth in it, and bright rims."""
    path = _optical_path(random, layout)
    wide = gaussian_filter(path, random.uniform(3, 14), truncate=3)
    shown = standardised(path - random.uniform(0.6, 1.1) * wide)
    down, right = np.gradient(gaussian_filter(path, 1))
    return shown - random.uniform(0, 0.6) * standardised(np.hypot(down, right))


def speckle(random: Random, layout: Layout) -> Plane:
    """As ultrasound: what comes back is the size of summed random waves, often its logarithm."""
    n = max(layout.looks) + 1
    echo = random.permutation(np.linspace(0, 1, n)) * random.uniform(0.5, 2.5)
    along, across = random.uniform(0.6, 1.5), random.uniform(1, 4)
    waves = random.standard_normal((2, SIDE, SIDE))
    size = np.hypot(*(gaussian_filter(wave, (along, across), mode="wrap") for wave in waves))
    size /= size.mean()
    strength = np.exp(_laid(random, layout, [np.full((SIDE, SIDE), value) for value in echo]))
    if random.random() < 0.6:
        return standardised(np.log(size * strength + 0.05))
    return standardised(np.sqrt(size * strength))


LOOKS: dict[str, tuple[Callable[[Random, Layout], Plane], float]] = {
    "grey": (grey, 0.5),
    "statistics": (statistics, 0.2),
    "relief": (relief, 0.1),
    "halo": (halo, 0.1),
    "speckle": (speckle, 0.1),
}
"""Maker of every look, and its share of the pictures."""


def _laid(random: Random, layout: Layout, planes: list[Plane]) -> Plane:
    """Each class with the plane of its look; borders are soft over 0.3 to 1.5 px."""
    softness = random.uniform(0.3, 1.5)
    look = np.array(layout.looks)[layout.classes]
    image, total = np.zeros((SIDE, SIDE)), np.zeros((SIDE, SIDE))
    for number, plane in enumerate(planes):
        mask = gaussian_filter((look == number).astype(float), softness)
        image += mask * plane
        total += mask
    return image / total


def _optical_path(random: Random, layout: Layout) -> Plane:
    """Height of domes over all classes but the first, each of another density, with a texture."""
    n = max(layout.looks) + 1
    inside = layout.classes > 0
    dome = np.sqrt(np.minimum(distance_transform_edt(inside), random.uniform(2, 20)))
    dome /= dome.max() + 1e-9
    density = np.concatenate([[0], random.uniform(0.5, 1.5, n - 1)])
    look = np.array(layout.looks)[layout.classes]
    path = density[look] * (random.uniform(0.3, 1) * dome + random.uniform(0, 0.5))
    rough = random.uniform(0, 0.25) * texture(random)
    path += rough * np.where(inside, 1, random.uniform(0, 0.5))
    return gaussian_filter(path, random.uniform(0.5, 1.5))
