"""Random planes that layouts, textures and shading are made of."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter
from skimage import data

SIDE = 192
"""Rows and columns of every picture."""

Random = np.random.Generator
Image = npt.NDArray[np.float32]
Plane = npt.NDArray[np.float64]
Classes = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


def standardised(plane: Plane) -> Plane:
    """Zero mean and unit standard deviation."""
    return (plane - plane.mean()) / (plane.std() + 1e-9)


def log_uniform(random: Random, low: float, high: float) -> float:
    """A number between two positive ones, as likely to be halved as to be doubled."""
    return float(np.exp(random.uniform(np.log(low), np.log(high))))


def field(random: Random, sigma: float, stretch: float = 1) -> Plane:
    """Smoothed noise, standardised; `sigma` in pixels, along the rows times `stretch`."""
    noise = random.standard_normal((SIDE, SIDE))
    return standardised(gaussian_filter(noise, (sigma * stretch, sigma), mode="wrap", truncate=3))


def texture(random: Random) -> Plane:
    """A standardised texture: two of them may differ in nothing but their statistics."""
    kind = random.choice(6, p=[0.33, 0.14, 0.13, 0.13, 0.2, 0.07])
    if kind == 0:
        stretch = float(random.choice([1, 1, 0.4, 2.5]))
        return field(random, log_uniform(random, 0.6, 6), stretch)
    if kind == 1:
        return _stripes(random)
    if kind == 2:
        sign = float(random.choice([-1, 1]))
        return standardised(sign * np.abs(field(random, log_uniform(random, 0.8, 5))))
    if kind == 3:
        dots = (random.random((SIDE, SIDE)) < log_uniform(random, 0.001, 0.03)).astype(float)
        return float(random.choice([-1, 1, 1])) * standardised(
            gaussian_filter(dots, random.uniform(0.7, 3))
        )
    if kind == 4:
        return _photographed(random)
    return random.standard_normal((SIDE, SIDE))


def _stripes(random: Random) -> Plane:
    turn, wave = random.uniform(0, np.pi), 2 * np.pi / log_uniform(random, 3, 24)
    y, x = np.mgrid[:SIDE, :SIDE]
    warp = field(random, 12) * random.uniform(0, 2)
    stripes = np.sin((np.cos(turn) * x + np.sin(turn) * y + warp) * wave)
    if random.random() < 0.3:
        stripes = stripes * np.sin((np.cos(turn) * y - np.sin(turn) * x + warp) * wave)
    return standardised(stripes)


def _photographed(random: Random) -> Plane:
    pictures = _pictures()
    picture, every = pictures[random.integers(len(pictures))], int(random.integers(1, 3))
    side = SIDE * every
    top, left = (int(random.integers(0, n - side + 1)) for n in picture.shape)
    cut = picture[top : top + side, left : left + side]
    cut = cut.reshape(SIDE, every, SIDE, every).mean((1, 3))
    cut = np.rot90(cut, random.integers(4))
    return standardised(cut - gaussian_filter(cut, 20, truncate=2))


@cache
def _pictures() -> tuple[Plane, ...]:
    """CC0, and in scikit-image's wheel."""
    return tuple(
        picture().astype(float) for picture in (data.brick, data.grass, data.gravel, data.camera)
    )
