"""Crops of real images that may be learned from: CC0 and MIT, all of the tuning set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
from scipy.ndimage import distance_transform_edt, gaussian_filter, map_coordinates
from skimage.segmentation import find_boundaries

from pretrain_tasks.fields import SIDE, Classes, Image, Numbers, Plane, Random, log_uniform
from pretrain_tasks.imaging import imaged

NUCLEI = ("00", "03", "05", "06", "10", "16", "18")
"""Pairs NN-*-image.tif, NN-*-instances.tif of the 2018 Data Science Bowl (CC0)."""

FAMILIES = (
    "axon_myelin_sem",
    "coffee_leaf",
    "cornea_endothelium",
    "live_neurons",
    "phase_contrast_cells",
    "superalloy_sem",
)
"""Folders of pairs NN-image.tif, NN-labels.tif (MIT, live_neurons CC0)."""

FEWEST = 60
"""Pixels that at least two classes of a crop need."""


@dataclass(frozen=True)
class Family:
    """Images (rows, columns) or (rows, columns, 3) with what is known of their pixels.

    `truths` are ids of objects, 0 = background, if `instances`, else classes, 0 = not known.
    """

    images: tuple[Image, ...]
    truths: tuple[Numbers, ...]
    instances: bool


def families(nuclei: Path | None, folder: Path | None) -> list[Family]:
    """The images of `NUCLEI` in one folder and of `FAMILIES` in another; None: none of them.

    Raises
    ------
    FileNotFoundError
        If a folder lacks a family.
    """
    found = []
    if nuclei is not None:
        paths = [p for name in NUCLEI for p in sorted(nuclei.glob(f"{name}-*-image.tif"))]
        found.append(_family(paths, nuclei, "instances"))
    for name in FAMILIES if folder is not None else ():
        assert folder is not None
        found.append(_family(sorted((folder / name).glob("*-image.tif")), folder / name, "labels"))
    return found


def crop(random: Random, known: list[Family]) -> tuple[Image, Classes]:
    """A crop at 0.4 to 2 times its size, and its classes 1..k (0 = not known).

    Colour is seen as a chance mix of the channels. Instances become objects, objects with a
    rim, or outlines.
    """
    while True:
        family = known[random.integers(len(known))]
        number = int(random.integers(len(family.images)))
        image, truth = family.images[number], family.truths[number]
        scale = log_uniform(random, 0.4, 2)
        side = min(int(SIDE / scale), *truth.shape)
        top, left = (int(random.integers(0, n - side + 1)) for n in truth.shape)
        window = np.s_[top : top + side, left : left + side]
        places = np.clip((np.arange(SIDE) + 0.5) * side / SIDE - 0.5, 0, side - 1)
        near = np.rint(places).astype(int)
        wanted = truth[window][np.ix_(near, near)]
        classes = _as_classes(random, wanted) if family.instances else wanted.astype(np.uint8)
        if (np.bincount(classes.ravel(), minlength=3)[1:] > FEWEST).sum() < 2:
            continue
        cut: Plane = _mixed(random, image[window]).astype(float)
        if side > SIDE:
            cut = gaussian_filter(cut, 0.4 * side / SIDE)
        picture = map_coordinates(cut, np.meshgrid(places, places, indexing="ij"), order=1)
        if picture.std() > 0:
            return _disguised(random, picture), classes


def _family(paths: list[Path], folder: Path, kind: str) -> Family:
    if not paths:
        raise FileNotFoundError(f"no NAME-image.tif in {folder}")
    images = [tifffile.imread(path).astype(np.float32) for path in paths]
    truths = [
        tifffile.imread(path.with_name(path.name.replace("-image", f"-{kind}"))) for path in paths
    ]
    return Family(
        tuple(image[..., :3] if image.ndim == 3 else image for image in images),
        tuple(truth.astype(np.int64) for truth in truths),
        kind == "instances",
    )


def _mixed(random: Random, image: Image) -> Image:
    """One channel; three times in ten a difference of channels."""
    if image.ndim == 2:
        return image
    mix = random.dirichlet([1, 1, 1]) if random.random() < 0.7 else random.standard_normal(3)
    return image @ mix.astype(np.float32)


def _as_classes(random: Random, instances: Numbers) -> Classes:
    classes = np.where(instances > 0, 2, 1).astype(np.uint8)
    kind = random.random()
    if kind < 0.3:
        rim = distance_transform_edt(~find_boundaries(instances, mode="inner")) < 2
        classes[rim & (instances > 0)] = 3
    elif kind < 0.45:
        outline = distance_transform_edt(~find_boundaries(instances, mode="thick")) < 1.5
        classes = np.where(outline, 2, 1).astype(np.uint8)
    return classes


def _disguised(random: Random, picture: Plane) -> Image:
    """As it is half of the time, else inverted, blurred, shaded or noisy."""
    if random.random() < 0.4:
        return imaged(random, picture)
    sign = -1 if random.random() < 0.3 else 1
    return (sign * (picture - picture.mean()) / picture.std()).astype(np.float32)
