"""Images with truth for the scribble race; each in two halves, one of them never painted on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tifffile
from scipy.ndimage import gaussian_filter
from skimage.draw import disk

from napari_msd import sample_data

Array = npt.NDArray[np.generic]
Labels = npt.NDArray[np.uint8]
LARGEST = 512
"""Halves are cut to at most this side, so that all cases weigh alike."""


@dataclass(frozen=True)
class Case:
    """One image, (Y, X) or (Y, X, C), and its classes 1..k.

    `here` is painted on, `there` only predicted; both are (image, truth).
    """

    name: str
    here: tuple[Array, Labels]
    there: tuple[Array, Labels]


def cases(folder: Path | None) -> Iterator[Case]:
    """The shipped samples, synthetic textures, and pairs of files in `folder`.

    Pairs are ``NAME-image.tif`` with ``NAME-instances.tif`` (0 = background, an id per object).
    """
    for name in ("nuclei", "nuclei_edges", "tissue"):
        sample = sample_data.load(name)
        if sample.truth is not None:
            yield _halves(name, sample.image, sample.truth)
    yield _halves("textures", *_textures(np.random.default_rng(7)))
    for path in sorted(folder.glob("*-image.tif")) if folder is not None else ():
        instances = tifffile.imread(path.with_name(path.name.replace("-image", "-instances")))
        truth = np.where(instances > 0, 2, 1).astype(np.uint8)
        yield _halves(path.name.removesuffix("-image.tif"), tifffile.imread(path), truth)


def _halves(name: str, image: Array, truth: Labels) -> Case:
    """Cut along the longer axis."""
    axis = int(truth.shape[1] >= truth.shape[0])
    middle = truth.shape[axis] // 2
    first = [slice(0, LARGEST), slice(0, LARGEST)]
    second = list(first)
    first[axis] = slice(max(0, middle - LARGEST), middle)
    second[axis] = slice(middle, middle + LARGEST)
    here, there = tuple(first), tuple(second)
    return Case(name, (image[here], truth[here]), (image[there], truth[there]))


def _textures(random: np.random.Generator) -> tuple[Array, Labels]:
    """Discs that differ from the ground, and from each other, by texture alone."""
    shape = (300, 600)
    truth = np.ones(shape, np.uint8)
    for i in range(40):
        centre = random.integers(0, shape)
        truth[disk(tuple(centre), random.integers(18, 40), shape=shape)] = 2 + i % 2
    noise = [random.standard_normal(shape) for _ in range(3)]
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    stripes = np.sin((rows + columns) * 0.9)
    textures = [
        gaussian_filter(noise[0], 1.0) * 3,
        gaussian_filter(noise[1], 2.5) * 7,
        stripes * 0.8 + 0.3 * gaussian_filter(noise[2], 1.0),
    ]
    image = np.choose(truth - 1, textures) + 0.3 * random.standard_normal(shape)
    return image.astype(np.float32), truth
