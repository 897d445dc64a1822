"""What a microscope or a scanner does to a picture: blur, shading, artefacts, noise."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter, zoom

from pretrain_tasks.fields import SIDE, Image, Plane, Random, field, log_uniform, standardised

LEAST_SIGNAL = 0.2
"""Least ratio of the picture's standard deviation to that of the noise."""


def imaged(random: Random, picture: Plane) -> Image:
    """The picture as it arrives: standardised (SIDE, SIDE) float32."""
    picture = standardised(picture)
    if random.random() < 0.35:
        picture = gaussian_filter(picture, log_uniform(random, 0.5, 4))
    if random.random() < 0.15:
        picture = _coarse(random, picture)
    picture = standardised(picture)
    if random.random() < 0.4:
        picture = picture * (1 + field(random, 14) * random.uniform(0, 0.25))
    if random.random() < 0.4:
        picture = picture + field(random, 40) * random.uniform(0, 0.7)
    if random.random() < 0.12:
        picture = picture + _rings(random) * random.uniform(0.1, 0.6)
    if random.random() < 0.12:
        picture = picture + _streaks(random) * random.uniform(0.1, 0.6)
    if random.random() < 0.5:
        noise = log_uniform(random, 0.08, 1 / LEAST_SIGNAL)
        picture = picture + noise * _noise(random, picture)
    if random.random() < 0.25:
        low, high = np.quantile(picture, [0.001, 0.999])
        picture = np.clip((picture - low) / (high - low + 1e-9), 0, 1) ** random.uniform(0.5, 2)
    if random.random() < 0.3:
        picture = -picture
    return standardised(picture).astype(np.float32)


def _noise(random: Random, picture: Plane) -> Plane:
    """White, stronger where it is bright, or with a grain of up to 1.5 px; standardised."""
    noise = random.standard_normal((SIDE, SIDE))
    kind = random.random()
    if kind < 0.25:
        noise = noise * np.sqrt(np.clip(picture - picture.min(), 0.05, None))
    elif kind < 0.5:
        noise = gaussian_filter(noise, random.uniform(0.4, 1.5))
    return standardised(noise)


def _coarse(random: Random, picture: Plane) -> Plane:
    """As a volume of low resolution: every 2nd to 4th pixel, and what lies between made up."""
    every = int(random.choice([2, 3, 4]))
    few = picture.reshape(SIDE // every, every, SIDE // every, every).mean((1, 3))
    return zoom(few, every, order=int(random.integers(0, 2)), mode="nearest", grid_mode=True)


def _rings(random: Random) -> Plane:
    """Rings of tomography about a point that may lie outside."""
    y, x = random.uniform(-0.3 * SIDE, 1.3 * SIDE, 2)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    radius = np.hypot(rows - y, columns - x)
    steps = gaussian_filter(random.standard_normal(2 * SIDE), random.uniform(0.3, 1.5))
    return standardised(steps[np.minimum(radius.astype(int), len(steps) - 1)])


def _streaks(random: Random) -> Plane:
    """Straight bright and dark streaks that meet in a few points, or scan lines."""
    rows, columns = np.mgrid[:SIDE, :SIDE].astype(float)
    if random.random() < 0.4:
        lines = gaussian_filter(random.standard_normal(SIDE), random.uniform(0, 2))
        return standardised(np.broadcast_to(lines[:, None], (SIDE, SIDE)).copy())
    plane = np.zeros((SIDE, SIDE))
    for _ in range(int(random.integers(1, 4))):
        y, x = random.uniform(0, SIDE, 2)
        angle = np.arctan2(rows - y, columns - x)
        spokes = gaussian_filter(random.standard_normal(360), random.uniform(1, 4), mode="wrap")
        near = np.exp(-np.hypot(rows - y, columns - x) / random.uniform(30, 100))
        plane += near * spokes[((angle + np.pi) / (2 * np.pi) * 359).astype(int)]
    return standardised(plane)
