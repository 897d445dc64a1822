"""Sample images that are made when they are opened: a stack, channels, a time series, a huge image.

They look like cells in a microscope, are the same each time, and take a fraction of a second. Each
shows what a single plane in one channel cannot. Nobody's data are in them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from napari_msd.samples.huge import HugeImage
from napari_msd.samples.layers import LayerData, strokes_layer

if TYPE_CHECKING:
    import numpy.typing as npt

STACK_SIZE = (0.5, 0.2, 0.2)
"""Micrometers, Z, Y, X."""

_BACKGROUND, _CELL, _OTHER = 1, 2, 3
_GREY = 40.0


def stack() -> list[LayerData]:
    """A stack of 24 slices, ZYX, with strokes: cells and rods that only depth tells apart.

    In a single slice a rod that runs through all slices looks like a cell.
    """
    image, truth = _cells_and_rods((24, 160, 160))
    strokes = _strokes_of(truth, slices=(7, 12, 17))
    about: dict[str, Any] = {
        "scale": STACK_SIZE,
        "units": ("um",) * 3,
        "axis_labels": ("z", "y", "x"),
    }
    names = {_BACKGROUND: "background", _CELL: "cell", _OTHER: "rod"}
    return [
        (image, {"name": "cells and rods", **about}, "image"),
        strokes_layer("cells and rods", strokes, names, **about),
    ]


def two_channels() -> list[LayerData]:
    """Two channels of one image, with strokes: all nuclei, and a marker that some of them have."""
    rng = np.random.default_rng(7)
    centres = _apart(rng, 60, (256, 256), 22)
    nuclei = _blobs((256, 256), centres, rng.uniform(6, 9, len(centres)))
    marked = np.arange(len(centres)) % 3 == 0
    around = _blobs((256, 256), centres[marked], rng.uniform(9, 11, marked.sum()))
    truth = np.where(nuclei > 0, _CELL, _BACKGROUND).astype(np.uint8)
    truth[(nuclei > 0) & (around > 0)] = _OTHER
    images = (_looks(nuclei, rng), _looks(around * 0.8, rng))
    about: dict[str, Any] = {
        "scale": (0.3, 0.3),
        "units": ("um",) * 2,
        "axis_labels": ("y", "x"),
    }
    names = {_BACKGROUND: "background", _CELL: "nucleus", _OTHER: "nucleus with marker"}
    layers: list[LayerData] = [
        (
            image,
            {"name": name, "colormap": color, "blending": "additive", **about},
            "image",
        )
        for name, color, image in zip(("nuclei", "marker"), ("blue", "green"), images, strict=True)
    ]
    return [*layers, strokes_layer("two channels", _strokes_of(truth), names, **about)]


def time_series() -> list[LayerData]:
    """A time series of 16 frames, TYX, to paint on: cells that wander."""
    rng = np.random.default_rng(3)
    centres = _apart(rng, 24, (192, 192), 28)
    steps = rng.normal(0, 1.5, (16, len(centres), 2)).cumsum(axis=0)
    sizes = rng.uniform(7, 10, len(centres))
    frames = [_looks(_blobs((192, 192), centres + step, sizes), rng) for step in steps]
    about = {
        "name": "wandering cells",
        "scale": (60.0, 0.4, 0.4),
        "units": ("s", "um", "um"),
        "axis_labels": ("t", "y", "x"),
    }
    return [(np.stack(frames), about, "image")]


def huge() -> list[LayerData]:
    """An image of 60 slices of 20 000 x 20 000 pixels, 24 GB, computed where it is looked at."""
    rng = np.random.default_rng(5)
    side = 512
    centres = _apart(rng, 110, (side, side), 30)
    tile = _looks(_blobs((side, side), centres, rng.uniform(7, 12, len(centres)), "wrap"), rng)
    about = {
        "name": "huge",
        "multiscale": True,
        "contrast_limits": (0, 255),
        "scale": (1.0, 0.3, 0.3),
        "units": ("um",) * 3,
        "axis_labels": ("z", "y", "x"),
    }
    side_of_all = 20_000
    levels = [
        HugeImage(tile, (range(60), range(0, side_of_all, every), range(0, side_of_all, every)))
        for every in (1, 4, 16)
    ]
    return [(levels, about, "image")]


# --- inside -----------------------------------------------------------------------------


def _cells_and_rods(shape: tuple[int, int, int]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    rng = np.random.default_rng(11)
    n_slices, *plane = shape
    centres = _apart(rng, 44, (plane[0], plane[1]), 21)
    rods = np.arange(len(centres)) % 2 == 0
    depth = rng.uniform(3, n_slices - 3, len(centres))
    truth = np.full(shape, _BACKGROUND, np.uint8)
    light = np.zeros(shape, np.float32)
    for z in range(n_slices):
        off = np.abs(z - depth) * STACK_SIZE[0] / STACK_SIZE[1]
        radius = np.where(rods, 6.0, np.sqrt(np.maximum(0, 9.0**2 - off**2)))
        for kind, chosen in ((_CELL, ~rods), (_OTHER, rods)):
            found = _blobs((plane[0], plane[1]), centres[chosen], radius[chosen])
            truth[z][found > 0] = kind
            light[z] = np.maximum(light[z], found)
    return _looks(light, rng), truth


def _apart(
    rng: np.random.Generator, n: int, shape: tuple[int, int], distance: float
) -> npt.NDArray[Any]:
    """About `n` positions (n, 2), (Y, X), away from the rim and by `distance` from each other."""
    rim = distance / 2
    found: list[npt.NDArray[Any]] = []
    for _ in range(40 * n):
        at = rng.uniform((rim, rim), (shape[0] - rim, shape[1] - rim))
        if all(np.hypot(*(at - other)) >= distance for other in found):
            found.append(at)
        if len(found) == n:
            break
    return np.array(found)


def _blobs(
    shape: tuple[int, int],
    centres: npt.NDArray[Any],
    radii: npt.NDArray[Any],
    mode: str = "cut",
) -> npt.NDArray[np.float32]:
    """Brightness (0..1) of round things; ``mode="wrap"``: the image goes on at the other side."""
    light = np.zeros(shape, np.float32)
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    for (y, x), radius in zip(centres, radii, strict=True):
        if radius <= 0:
            continue
        down, right = np.abs(rows - y), np.abs(columns - x)
        if mode == "wrap":
            down, right = np.minimum(down, shape[0] - down), np.minimum(right, shape[1] - right)
        distance = np.hypot(down, right) / radius
        light = np.maximum(light, np.clip(1.4 - distance**2, 0, 1) * (distance < 1))
    return light


def _looks(light: npt.NDArray[Any], rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """As a camera sees it: blurred, over a background, with noise."""
    blurred = ndimage.gaussian_filter(light, (0,) * (light.ndim - 2) + (1.0, 1.0), mode="wrap")
    photons = rng.poisson(_GREY * (0.4 + 2.5 * blurred))
    grey: npt.NDArray[np.uint8] = np.clip(photons * 1.5, 0, 255).astype(np.uint8)
    return grey


def _strokes_of(
    truth: npt.NDArray[np.uint8], slices: tuple[int, ...] = ()
) -> npt.NDArray[np.uint8]:
    """Short horizontal strokes inside of what is there: a few of each class."""
    strokes = np.zeros_like(truth)
    planes: list[tuple[int, ...]] = [(z,) for z in slices] or [()]
    for plane in planes:
        for value in np.unique(truth):
            inside = ndimage.binary_erosion(truth[plane] == value, iterations=2)
            numbered, count = ndimage.label(inside)
            for number in range(1, min(count, 6) + 1):
                rows, columns = np.nonzero(numbered == number)
                middle = rows[len(rows) // 2]
                at = columns[rows == middle][: 40 if value == _BACKGROUND else 8]
                strokes[plane][middle - 1 : middle + 1, at] = value
    strokes[truth == 0] = 0
    return strokes
