"""Images with truth for the scribble race; each in two halves, one of them never painted on.

The images stand in two sets. Everything that was ever chosen by a score (the learning recipe,
and the pictures that the starting weights were made from) was chosen on the *tuning* set;
the *reporting* set is only looked at to report. Each set has kinds of image that the other
lacks, and synthetic ones of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import tifffile
from _shapes import shapes
from scipy.ndimage import distance_transform_edt, gaussian_filter
from skimage.draw import disk
from skimage.segmentation import find_boundaries

from napari_msd import sample_data

Array = npt.NDArray[np.generic]
Labels = npt.NDArray[np.uint8]
Half = Literal["tuning", "reporting"]
LARGEST = 512
"""Halves are cut to at most this side, so that all cases weigh alike."""

TUNING_PAIRS = ("00", "03", "05", "06", "08", "10", "12", "14", "16", "18")
"""First letters of the pairs of files that belong to the tuning set; all others report."""


@dataclass(frozen=True)
class Case:
    """One image, (Y, X) or (Y, X, C), and its classes 1..k.

    `here` is painted on, `there` only predicted; both are (image, truth).
    """

    name: str
    here: tuple[Array, Labels]
    there: tuple[Array, Labels]


def cases(folder: Path | None, half: Half) -> Iterator[Case]:
    """The images of a set: synthetic ones, the shipped samples (tuning), and files in `folder`.

    Looked for in `folder` and below it are pairs ``NAME-image.tif`` with ``NAME-instances.tif``
    (0 = background, an id per object), and two public images by name: MorphoLibJ's maize section
    (``maize_clsm``: cell walls) and Tinevez & Jacquemet's migrating cells.
    """
    files = sorted(folder.rglob("*.tif")) if folder is not None else []
    if half == "tuning":
        if not files:  # else they are among the files
            for name in ("nuclei", "nuclei_edges", "tissue"):
                sample = sample_data.load(name)
                if sample.truth is not None:
                    yield _halves(name, sample.image, sample.truth)
        yield _halves("textures", *_textures(np.random.default_rng(7)))
    else:
        yield _halves("shapes", *_shapes(np.random.default_rng(11)))
        yield _halves("grains", *_grains(np.random.default_rng(13)))
    for path in files:
        if path.name.endswith("-image.tif"):
            if path.name.startswith(TUNING_PAIRS) == (half == "tuning"):
                yield _pair(path)
        elif half == "reporting" and path.name == "maize_clsm.tif":
            yield _walls(path)
        elif half == "reporting" and path.name == "cancer_cell_migration_crop.tif":
            yield _migration(path)


def _pair(path: Path) -> Case:
    name = path.name.removesuffix("-image.tif")
    instances = tifffile.imread(path.with_name(f"{name}-instances.tif"))
    truth = np.where(instances > 0, 2, 1).astype(np.uint8)
    if name.startswith("05"):  # large nuclei: their rim is a third class
        rim = distance_transform_edt(~find_boundaries(instances, mode="inner")) < 2
        truth[rim & (instances > 0)] = 3
    return _halves(name, tifffile.imread(path), truth)


def _walls(path: Path) -> Case:
    """Cell walls, about 3 pixels thick, and what lies between them."""
    cells = tifffile.imread(path.with_name("maize_clsm_labels.tif"))
    near = distance_transform_edt(~find_boundaries(cells, mode="thick"))
    return _halves(
        "maize walls", tifffile.imread(path), np.where(near < 1.5, 2, 1).astype(np.uint8)
    )


def _migration(path: Path) -> Case:
    """Painted on one time point, predicted on a much later one."""
    images = tifffile.imread(path)
    objects = tifffile.imread(
        path.with_name("cancer_cell_migration_voronoi_otsu_labeling_crop.tif")
    )
    truth = np.where(objects > 0, 2, 1).astype(np.uint8)
    return Case("migrating cells", (images[0], truth[0]), (images[-1], truth[-1]))


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


def _shapes(random: np.random.Generator) -> tuple[Array, Labels]:
    """The paper's Fig. 4, as objects against the ground: texture tells, not grey value."""
    image, labels = shapes(random, 640, objects=200)
    # only objects of a class: the others would be ground that looks like an object
    return image, np.where(labels > 3, 3, np.where(labels > 0, 2, 1)).astype(np.uint8)


def _grains(random: np.random.Generator) -> tuple[Array, Labels]:
    """Bright grains and dark pores in a mottled ground, with rings as of tomography, and noise."""
    shape = (360, 720)
    field = gaussian_filter(random.standard_normal(shape), 9)
    field /= field.std()
    truth = np.digitize(field, [-1.0, 0.9]).astype(np.uint8) + 1
    grey = gaussian_filter(np.array([0.0, 0.45, 0.8])[truth - 1], 1.2)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    radius = np.hypot(rows - shape[0] / 2, columns - shape[1] / 2).astype(int)
    rings = random.standard_normal(radius.max() + 1) * 0.12
    mottle = gaussian_filter(random.standard_normal(shape), 4)
    image = grey + 0.12 * mottle / mottle.std() + rings[radius]
    return (image + 0.2 * random.standard_normal(shape)).astype(np.float32), truth
