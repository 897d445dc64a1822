"""Cases of the image families: painted on one image, predicted on the next of its family.

A family is a folder with a name that `_families` knows. It holds pairs ``NN-image.tif`` and
``NN-labels.tif`` (classes 1..k, 0 = no truth). Other folders are passed over: a new family
takes part once it has its half in `_families`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import tifffile
from _cases import LARGEST, Array, Case, Labels
from _families import HALVES, Half

STEP = 16
"""Pixels between two places that are tried for a crop."""
ENOUGH = 100
"""Pixels of a class that a crop should hold; half of the class where there are fewer than twice
as many."""


def family_folders(folders: Iterable[Path]) -> dict[str, Path]:
    """Folders of families by name, in alphabetical order, looked for in `folders` and below."""
    found = {
        path.parent.name: path.parent
        for folder in folders
        for path in folder.rglob("*-labels.tif")
        if path.parent.name in HALVES
    }
    return dict(sorted(found.items()))


def family_cases(folders: Iterable[Path], halves: Iterable[Half], pairs: int) -> Iterator[Case]:
    """Cases of the families of `halves`: image 00 to 01, then 02 to 03, and so on.

    Parameters
    ----------
    folders
        Where families are looked for.
    halves
        Which of them to give.
    pairs
        Cases of each family, at least 1. A family of few images gives what it has.
    """
    wanted = set(halves)
    for name, folder in family_folders(folders).items():
        if HALVES[name] not in wanted:
            continue
        images = sorted(folder.glob("*-image.tif"))
        for here, there in list(zip(images[::2], images[1::2], strict=False))[:pairs]:
            number = here.name.removesuffix("-image.tif")
            yield Case(
                f"{name} {number}",
                name,
                HALVES[name],
                _read(here, all_classes=True),
                _read(there, all_classes=False),
            )


def crop_with_all_classes(truth: Labels, largest: int = LARGEST) -> tuple[slice, slice]:
    """Find the crop nearest to the centre that holds every class of `truth`.

    Parameters
    ----------
    truth
        Classes (Y, X); 0 counts as no class.
    largest
        Longest side of the crop in pixels, at least 1.

    Returns
    -------
    tuple of slice
        Rows and columns. Where no crop holds enough of every class, the one that holds the
        most classes, and of those the one nearest to the centre.
    """
    counts = np.bincount(truth.ravel(), minlength=2)[1:]
    needed = np.minimum(ENOUGH, (counts + 1) // 2)
    best, most = centre_crop(truth.shape, largest), -1
    for crop in _crops_from_the_centre(truth.shape, largest):
        there = np.bincount(truth[crop].ravel(), minlength=len(counts) + 1)[1:]
        held = int(((there >= needed) & (counts > 0)).sum())
        if held > most:
            best, most = crop, held
        if most == (counts > 0).sum():
            break
    return best


def centre_crop(shape: tuple[int, ...], largest: int = LARGEST) -> tuple[slice, slice]:
    """Rows and columns of the middle of an image of `shape` (Y, X), `largest` pixels at most."""
    rows, columns = (
        slice((side - min(side, largest)) // 2, (side - min(side, largest)) // 2 + largest)
        for side in shape
    )
    return rows, columns


def _crops_from_the_centre(shape: tuple[int, ...], largest: int) -> Iterator[tuple[slice, slice]]:
    middle = [(side - min(side, largest)) // 2 for side in shape]
    offsets = [
        sorted({*range(0, side - min(side, largest) + 1, STEP), start})
        for side, start in zip(shape, middle, strict=True)
    ]
    places = [(top, left) for top in offsets[0] for left in offsets[1]]
    places.sort(key=lambda place: (place[0] - middle[0]) ** 2 + (place[1] - middle[1]) ** 2)
    for top, left in places:
        yield slice(top, top + largest), slice(left, left + largest)


def _read(path: Path, *, all_classes: bool) -> tuple[Array, Labels]:
    """Image and truth, cut to `LARGEST`; the painted one so that all classes can be painted."""
    number = path.name.removesuffix("-image.tif")
    image = tifffile.imread(path)
    truth = tifffile.imread(path.with_name(f"{number}-labels.tif")).astype(np.uint8)
    crop = crop_with_all_classes(truth) if all_classes else centre_crop(truth.shape)
    return image[crop], truth[crop]
