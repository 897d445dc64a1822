"""Volumes with truth for the race in 3-D: synthetic ones, and files cut into halves.

Everything that was ever chosen by a score was chosen on the *tuning* half; *reporting* is only
looked at to report. The synthetic volumes hold classes that only 3-D context tells apart: their
sections look alike. Each half has kinds that the other lacks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tifffile
from _cases import Array, Labels
from _families import Half
from scipy.ndimage import gaussian_filter

SHAPE = (48, 128, 128)
"""Of the synthetic volumes."""
NOISE = 0.25
"""Standard deviation of their noise; objects stand out by about 1."""
APART = 3
"""Of a volume with slices far apart, every third slice is kept."""

Volume = npt.NDArray[np.float32]


@dataclass(frozen=True)
class VolumeCase:
    """A volume and what is where in it.

    Parameters
    ----------
    name
        What tables call it.
    half
        Whether choices are made on it.
    image
        (Z, Y, X).
    truth
        The same shape, classes 1..k.
    anisotropy
        Distance of slices in pixels of the slice.
    """

    name: str
    half: Half
    image: Array
    truth: Labels
    anisotropy: float = 1.0


def volume_cases(folder: Path | None, half: Half) -> Iterator[VolumeCase]:
    """All volumes of a half.

    Parameters
    ----------
    folder
        Holds NAME-image.tif and NAME-labels.tif, (Z, Y, X) with classes 1..k. Each is cut into a
        half to tune on and one to report. None for the synthetic volumes alone.
    half
        Which.
    """
    made: dict[str, Callable[[np.random.Generator], tuple[Volume, Labels]]]
    made = (
        {"rods and balls": rods_and_balls, "textures": textures}
        if half == "tuning"
        else {"sheets and rods": sheets_and_rods, "grains": grains}
    )
    for name, make in made.items():
        yield VolumeCase(name, half, *make(np.random.default_rng(5)))
    for path in sorted(folder.glob("*-image.tif")) if folder else []:
        name = path.name.removesuffix("-image.tif")
        image = tifffile.imread(path)
        truth = tifffile.imread(path.with_name(f"{name}-labels.tif"))
        middle = image.shape[-1] // 2
        columns = slice(middle) if half == "tuning" else slice(middle, None)
        image, truth = image[..., columns], truth[..., columns]
        yield VolumeCase(name, half, image, truth)
        yield VolumeCase(f"{name} / {APART}", half, image[::APART], truth[::APART], float(APART))


def rods_and_balls(random: np.random.Generator) -> tuple[Volume, Labels]:
    """Rods across the slices and balls: both have round sections of the same sizes."""
    truth, z, y, x = _empty()
    for number in range(90):
        radius = random.uniform(3, 5)
        at = random.uniform(0, SHAPE)
        if number % 3:
            inside = (z - at[0]) ** 2 + (y - at[1]) ** 2 + (x - at[2]) ** 2 < radius**2
            value = 3
        else:
            tilt = random.uniform(-0.3, 0.3, 2)
            away = y - at[1] - tilt[0] * (z - at[0]), x - at[2] - tilt[1] * (z - at[0])
            inside = away[0] ** 2 + away[1] ** 2 < radius**2
            value = 2
        _place(truth, inside, value)
    return _seen(truth, random), truth


def sheets_and_rods(random: np.random.Generator) -> tuple[Volume, Labels]:
    """Sheets that stand on the slices, and rods that lie in them: both have sections like lines."""
    truth, z, y, x = _empty()
    for number in range(80):
        angle = random.uniform(0, np.pi)
        along, across = (np.cos(angle), np.sin(angle)), (-np.sin(angle), np.cos(angle))
        at = random.uniform(0, SHAPE)
        length = random.uniform(12, 30)
        offset = (y - at[1]) * across[0] + (x - at[2]) * across[1]
        inside = abs((y - at[1]) * along[0] + (x - at[2]) * along[1]) < length
        if number % 4:
            inside &= offset**2 + (z - at[0]) ** 2 < 2.2**2
            value = 3
        else:
            inside &= (abs(offset) < 2.2) & (abs(z - at[0]) < random.uniform(10, 20))
            value = 2
        _place(truth, inside, value)
    return _seen(truth, random), truth


def textures(random: np.random.Generator) -> tuple[Volume, Labels]:
    """Two textures whose slices look alike: in one they go on from slice to slice."""
    along = gaussian_filter(random.standard_normal(SHAPE), (3, 1.5, 1.5))
    apart = gaussian_filter(random.standard_normal(SHAPE), (0, 1.5, 1.5))
    return _two(random, along / along.std(), apart / apart.std())


def grains(random: np.random.Generator) -> tuple[Volume, Labels]:
    """Two noises of grains, long ones along the slices' axis and round ones."""
    long = gaussian_filter(random.standard_normal(SHAPE), (5, 1.2, 1.2))
    round_ = gaussian_filter(random.standard_normal(SHAPE), 1.2)
    return _two(random, abs(long) / long.std(), abs(round_) / round_.std())


def _two(random: np.random.Generator, first: Volume, second: Volume) -> tuple[Volume, Labels]:
    """A volume of two textures in large regions of chance."""
    region = gaussian_filter(random.standard_normal(SHAPE), 12)
    truth = np.where(region > np.median(region), 2, 1).astype(np.uint8)
    image = np.where(truth == 2, second, first) + NOISE * random.standard_normal(SHAPE)
    return image.astype(np.float32), truth


def _empty() -> tuple[Labels, Volume, Volume, Volume]:
    z, y, x = np.meshgrid(*(np.arange(n, dtype=np.float32) for n in SHAPE), indexing="ij")
    return np.ones(SHAPE, np.uint8), z, y, x


def _place(truth: Labels, inside: npt.NDArray[np.bool_], value: int) -> None:
    """Where nothing is yet; an object that would touch another is left out."""
    near = gaussian_filter(inside.astype(np.float32), 1) > 0.01
    if (truth[near] == 1).all():
        truth[inside] = value


def _seen(truth: Labels, random: np.random.Generator) -> Volume:
    """Objects of any class look the same: bright, a little blurred, under noise."""
    seen = gaussian_filter((truth > 1).astype(np.float32), 0.7)
    noisy: Volume = (seen + NOISE * random.standard_normal(SHAPE)).astype(np.float32)
    return noisy
