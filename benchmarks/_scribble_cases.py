"""Images with truth for the scribble race; each has a part that is never painted on.

There are two sets of cases. *families*: image after image of many kinds (`_family_cases`).
*nuclei*: images of nuclei and a few others, each cut into two halves.

Both sets have a tuning and a reporting half. Everything that was ever chosen by a score (the
learning recipe, and the pictures that the starting weights were made from) was chosen on
*tuning*; *reporting* is only looked at to report. Each has kinds of image that the other
lacks, and the nuclei have synthetic ones of their own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import tifffile
from _cases import LARGEST, Array, Case, Labels
from _families import Half
from _family_cases import family_cases
from _shapes import shapes
from scipy.ndimage import distance_transform_edt, gaussian_filter
from skimage.draw import disk
from skimage.segmentation import find_boundaries

from napari_msd import samples as sample_data

Set = Literal["nuclei", "families", "all"]
SETS: tuple[str, ...] = get_args(Set)

TUNING_PAIRS = ("00", "03", "05", "06", "08", "10", "12", "14", "16", "18")
"""First letters of the pairs of files that belong to tuning; all others report."""


def cases(
    folders: Collection[Path], halves: Collection[Half], which: Set, pairs: int
) -> Iterator[Case]:
    """All cases of a set.

    Parameters
    ----------
    folders
        Where files are looked for, and below. Without any there are the synthetic images and
        the shipped samples.
    halves
        Of which halves.
    which
        Which set.
    pairs
        Cases of each family, at least 1.
    """
    if which != "families":
        for half in halves:
            yield from nuclei_cases(folders, half)
    if which != "nuclei":
        yield from family_cases(folders, halves, pairs)


def nuclei_cases(folders: Collection[Path], half: Half) -> Iterator[Case]:
    """Synthetic images, the shipped samples (tuning), and files.

    The files are pairs ``NAME-image.tif`` with ``NAME-instances.tif`` (0 = background, an id
    per object), and two public images by name: MorphoLibJ's maize section (``maize_clsm``: cell
    walls) and Tinevez & Jacquemet's migrating cells.
    """
    files = sorted({path for folder in folders for path in folder.rglob("*.tif")})
    instances = [path for path in files if path.name.endswith("-instances.tif")]
    if half == "tuning":
        if not instances:  # else they are among the files
            for name in ("nuclei", "nuclei_edges", "tissue"):
                sample = sample_data.load(name)
                if sample.truth is not None:
                    yield _halves(name, name, half, sample.image, sample.truth)
        yield _halves("textures", "textures", half, *_textures(np.random.default_rng(7)))
    else:
        yield _halves("shapes", "shapes", half, *_shapes(np.random.default_rng(11)))
        yield _halves("grains", "grains", half, *_grains(np.random.default_rng(13)))
    for path in instances:
        if path.name.startswith(TUNING_PAIRS) == (half == "tuning"):
            yield _pair(path, half)
    for path in files if half == "reporting" else []:
        if path.name == "maize_clsm.tif":
            yield _walls(path)
        elif path.name == "cancer_cell_migration_crop.tif":
            yield _migration(path)


def _pair(path: Path, half: Half) -> Case:
    name = path.name.removesuffix("-instances.tif")
    instances = tifffile.imread(path)
    truth = np.where(instances > 0, 2, 1).astype(np.uint8)
    if name.startswith("05"):  # large nuclei: their rim is a third class
        rim = distance_transform_edt(~find_boundaries(instances, mode="inner")) < 2
        truth[rim & (instances > 0)] = 3
    image = tifffile.imread(path.with_name(f"{name}-image.tif"))
    family = name.partition("-")[2] or name  # NN-KIND
    return _halves(name, family, half, image, truth)


def _walls(path: Path) -> Case:
    """Cell walls, about 3 pixels thick, and what lies between them."""
    cells = tifffile.imread(path.with_name("maize_clsm_labels.tif"))
    near = distance_transform_edt(~find_boundaries(cells, mode="thick"))
    truth = np.where(near < 1.5, 2, 1).astype(np.uint8)
    return _halves("maize walls", "maize walls", "reporting", tifffile.imread(path), truth)


def _migration(path: Path) -> Case:
    """Painted on one time point, predicted on a much later one."""
    images = tifffile.imread(path)
    objects = tifffile.imread(
        path.with_name("cancer_cell_migration_voronoi_otsu_labeling_crop.tif")
    )
    truth = np.where(objects > 0, 2, 1).astype(np.uint8)
    name = "migrating cells"
    return Case(name, name, "reporting", (images[0], truth[0]), (images[-1], truth[-1]))


def _halves(name: str, family: str, half: Half, image: Array, truth: Labels) -> Case:
    """Cut along the longer axis."""
    axis = int(truth.shape[1] >= truth.shape[0])
    middle = truth.shape[axis] // 2
    first = [slice(0, LARGEST), slice(0, LARGEST)]
    second = list(first)
    first[axis] = slice(max(0, middle - LARGEST), middle)
    second[axis] = slice(middle, middle + LARGEST)
    here, there = tuple(first), tuple(second)
    return Case(name, family, half, (image[here], truth[here]), (image[there], truth[there]))


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
