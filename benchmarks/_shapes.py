"""Images of the kind of the paper's Fig. 4: only shape, size and texture together tell a class.

Circles and squares of three sizes and six textures lie on a grey ground, under Gaussian
noise. Of the 36 combinations six are classes, the others are background like the ground:
whoever looks at texture, size or shape alone cannot tell them apart. (Pelt & Sethian,
PNAS 115(2), 2018; the paper does not give its sizes, textures and noise as numbers, so
these images are of the same kind, not the same.)
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]

SIZES = (12, 20, 32)
"""Half the side, or the radius, in pixels; each object's varies by a tenth."""
TEXTURES = 6
NOISE = 0.5
"""Standard deviation of the noise; textures swing between -1 and 1."""
COMBINATIONS = ((0, 0, 0), (0, 1, 3), (0, 2, 1), (1, 0, 4), (1, 1, 2), (1, 2, 5))
"""(shape, size, texture) of the classes 1 to 6: every shape, size and texture takes part."""


def shapes(random: np.random.Generator, side: int = 512, objects: int = 60) -> tuple[Image, Labels]:
    """One image and its classes.

    Parameters
    ----------
    random
        Source of chance.
    side
        Of the image, in pixels.
    objects
        So many are tried; those that would touch another are left out. Half of them are of
        one of the six classes.

    Returns
    -------
    image
        float32 (side, side).
    labels
        int64 (side, side): 0 = background, 1 to 6.
    """
    image = np.zeros((side, side), np.float32)
    labels = np.zeros((side, side), np.int64)
    taken = np.zeros((side, side), bool)
    for _ in range(objects):
        value, shape, size, texture = _kind(random)
        half = SIZES[size] * random.uniform(0.9, 1.1)
        reach = int(half) + 3
        y, x = random.integers(reach, side - reach, 2)
        place = (slice(y - reach, y + reach + 1), slice(x - reach, x + reach + 1))
        if taken[place].any():
            continue
        taken[place] = True
        rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1]
        inside = rows**2 + columns**2 <= half**2 if shape == 0 else _square(rows, columns, half)
        phase = random.uniform(0, 100, 2)
        pattern = _texture(texture, rows + phase[0], columns + phase[1])
        image[place][inside] = pattern[inside]
        labels[place][inside] = value
    image += random.normal(0, NOISE, image.shape).astype(np.float32)
    return image, labels


def _kind(random: np.random.Generator) -> tuple[int, int, int, int]:
    """(class, shape, size, texture), half of the time of one of the six classes."""
    if random.random() < 0.5:
        value = int(random.integers(len(COMBINATIONS)))
        return value + 1, *COMBINATIONS[value]
    kind = (int(random.integers(2)), int(random.integers(3)), int(random.integers(TEXTURES)))
    return (COMBINATIONS.index(kind) + 1 if kind in COMBINATIONS else 0), *kind


def _square(
    rows: npt.NDArray[np.int64], columns: npt.NDArray[np.int64], half: float
) -> npt.NDArray[np.bool_]:
    # as large in area as the circle of that radius
    return np.maximum(abs(rows), abs(columns)) <= half * np.sqrt(np.pi) / 2


def _texture(number: int, y: npt.NDArray[np.float64], x: npt.NDArray[np.float64]) -> Image:
    """One of the patterns at positions in pixels, between -1 and 1."""
    wave = 2 * np.pi / 8
    if number < 4:
        direction = number * np.pi / 4
        pattern = np.sin(wave * (np.cos(direction) * x + np.sin(direction) * y))
    else:
        check = wave if number == 4 else wave / 2
        pattern = np.sin(check * x) * np.sin(check * y) * np.sqrt(2)
    return np.clip(pattern, -1, 1).astype(np.float32)
