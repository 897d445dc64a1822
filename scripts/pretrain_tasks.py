"""Pictures with truth to make starting weights from: synthetic ones, and crops of CC0 images.

A synthetic picture is a layout of classes (cells, walls, objects with or without a rim, blobs,
fibres) whose classes differ in grey value, in texture, or in both, under shading, blur
and noise. Some textures are cut from scikit-image's CC0 photographs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tifffile
from scipy.ndimage import distance_transform_edt, gaussian_filter, map_coordinates
from skimage import data
from skimage.segmentation import find_boundaries

SIDE = 192
FEWEST = 150
"""Pixels that a class of a synthetic picture needs to count."""

Random = np.random.Generator
Image = npt.NDArray[np.float32]
Plane = npt.NDArray[np.float64]
Classes = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Task:
    """A standardised picture (SIDE, SIDE), its classes 1..k, and strokes on it (0 = unpainted)."""

    image: Image
    truth: Classes
    strokes: tuple[Classes, ...]


def task(random: Random, photographs: list[tuple[Image, Numbers]]) -> Task:
    """A new task: synthetic, or where there are photographs three times in ten a crop of one."""
    if photographs and random.random() >= 0.7:
        image, truth = _crop(random, photographs)
    else:
        image, truth = _synthetic(random)
    image = (image - image.mean()) / (image.std() + 1e-6)
    amounts = np.exp(random.uniform(np.log(0.003), np.log(0.06), 3))
    return Task(image, truth, tuple(_strokes(random, truth, float(a)) for a in amounts))


def photographs(folder: Path | None, names: tuple[str, ...]) -> list[tuple[Image, Numbers]]:
    """Images and instances of the pairs NAME*-image.tif, NAME*-instances.tif in a folder."""
    found = []
    for name in names if folder is not None else ():
        assert folder is not None
        for path in folder.glob(f"{name}*-image.tif"):
            instances = path.with_name(path.name.replace("-image", "-instances"))
            image = tifffile.imread(path).astype(np.float32)
            found.append((image[..., :3], tifffile.imread(instances).astype(np.int64)))
    return found


# --- synthetic pictures --------------------------------------------------------------------


def _synthetic(random: Random) -> tuple[Image, Classes]:
    while True:
        layout = _layout(random)
        numbers = np.flatnonzero(np.bincount(layout.ravel()) > FEWEST)
        if len(numbers) >= 2:
            truth = np.zeros(layout.shape, np.uint8)
            for i, number in enumerate(numbers):
                truth[layout == number] = i + 1
            return _render(random, layout), truth


def _layout(random: Random) -> Numbers:
    """Classes 0..k-1 of every pixel."""
    kind = random.choice(5, p=[0.2, 0.2, 0.3, 0.15, 0.15])
    kinds: tuple[Callable[[Random], Numbers], ...] = (_regions, _walls, _objects, _blobs, _fibres)
    return kinds[kind](random)


def _regions(random: Random) -> Numbers:
    n = int(random.integers(6, 60))
    return random.integers(0, random.integers(2, 5), n)[_cells(random, n)]


def _walls(random: Random) -> Numbers:
    """Walls between cells; some of the cells may be of a third class."""
    cells = _cells(random, int(random.integers(8, 90)))
    near = distance_transform_edt(~find_boundaries(cells, mode="thick"))
    layout = (near < random.uniform(1, 4)).astype(np.int64)
    if random.random() < 0.3:
        layout[(layout == 0) & (random.random(cells.max() + 1) < 0.4)[cells]] = 2
    return layout


def _objects(random: Random) -> Numbers:
    """Discs and squares; of two kinds, or with a rim, now and then."""
    radius = float(np.exp(random.uniform(np.log(3), np.log(28))))
    n = int(min(250, random.uniform(0.2, 0.9) * SIDE**2 / (3.2 * radius**2)) + 2)
    objects = _discs(random, radius, n)
    layout = (objects > 0).astype(np.int64)
    kind = random.random()
    if kind < 0.25:
        layout[(objects > 0) & (random.random(objects.max() + 1) < 0.5)[objects]] = 2
    elif kind < 0.55 and radius > 6:
        rim = distance_transform_edt(~find_boundaries(objects, mode="inner"))
        layout[(rim < random.uniform(1.2, 3)) & (objects > 0)] = 2
    return layout


def _blobs(random: Random) -> Numbers:
    field = _field(random, np.exp(random.uniform(np.log(3), np.log(20))))
    levels = np.sort(random.uniform(0.2, 0.85, random.integers(1, 3)))
    return np.digitize(field, np.quantile(field, levels))


def _fibres(random: Random) -> Numbers:
    field = np.abs(_field(random, random.uniform(6, 20)))
    slope = np.hypot(*np.gradient(field)) + 0.01
    return (field / slope < random.uniform(1, 3)).astype(np.int64)


def _cells(random: Random, n: int) -> Numbers:
    """Number of the nearest of n points, on a warped plane."""
    points = random.uniform(0, SIDE, (n, 2))
    y, x = np.mgrid[:SIDE, :SIDE].astype(float)
    y += _field(random, 8) * random.uniform(0, 4)
    x += _field(random, 8) * random.uniform(0, 4)
    return ((y[..., None] - points[:, 0]) ** 2 + (x[..., None] - points[:, 1]) ** 2).argmin(-1)


def _discs(random: Random, radius: float, n: int) -> Numbers:
    objects = np.zeros((SIDE, SIDE), np.int64)
    y, x = np.mgrid[:SIDE, :SIDE].astype(float)
    for number in range(1, n + 1):
        (top, left), turn = random.uniform(0, SIDE, 2), random.uniform(0, np.pi)
        size, stretch = radius * random.uniform(0.7, 1.3), np.sqrt(random.uniform(1, 1.6))
        u = (np.cos(turn) * (x - left) + np.sin(turn) * (y - top)) / (size * stretch)
        v = (np.cos(turn) * (y - top) - np.sin(turn) * (x - left)) / (size / stretch)
        square = random.random() < 0.15
        inside = np.maximum(abs(u), abs(v)) < 0.9 if square else u**2 + v**2 < 1
        if (objects[inside] > 0).mean() < 0.15:
            objects[inside & (objects == 0)] = number
    return objects


def _render(random: Random, layout: Numbers) -> Image:
    """Grey values and textures for the classes, then what microscopes do to them."""
    k = int(layout.max()) + 1
    contrast = random.choice([0, 0.5, 1, 2], p=[0.2, 0.15, 0.3, 0.35])
    greys = random.permutation(np.linspace(0, 1, k)) * contrast + random.normal(0, 0.1, k)
    shared = random.random() < 0.4 and np.ptp(greys) > 0.3
    common = _texture(random) * random.uniform(0, 0.4)
    softness = random.uniform(0.3, 1.5)
    image, total = np.zeros((SIDE, SIDE)), np.zeros((SIDE, SIDE))
    for number in range(k):
        mask = gaussian_filter((layout == number).astype(float), softness)
        strength = random.choice([0, 0.1, 0.3, 0.6], p=[0.2, 0.25, 0.3, 0.25])
        image += mask * (greys[number] + (common if shared else _texture(random) * strength))
        total += mask
    image /= total
    if random.random() < 0.5:
        image *= 1 + _field(random, 12) * random.uniform(0, 0.25)
    if random.random() < 0.5:
        image += _field(random, 40) * random.uniform(0, 0.4)
    if random.random() < 0.4:
        image = gaussian_filter(image, random.uniform(0.4, 1.5))
    noise = random.standard_normal(image.shape) * random.choice([0, 0.03, 0.08, 0.2, 0.4])
    return (image + noise).astype(np.float32)


def _texture(random: Random) -> Plane:
    kind = random.choice(5, p=[0.35, 0.15, 0.12, 0.13, 0.25])
    if kind == 0:
        sigma, stretch = np.exp(random.uniform(np.log(0.6), np.log(5))), [1, 1, 0.4, 2.5]
        return _field(random, sigma, float(random.choice(stretch)))
    if kind == 1:
        return _stripes(random)
    if kind == 2:
        return _standardised(np.abs(_field(random, np.exp(random.uniform(0, np.log(4))))))
    if kind == 3:
        dots = (random.random((SIDE, SIDE)) < random.uniform(0.003, 0.03)).astype(float)
        return _standardised(gaussian_filter(dots, random.uniform(0.7, 2)))
    return _photographed(random)


def _field(random: Random, sigma: float, stretch: float = 1) -> Plane:
    noise = random.standard_normal((SIDE, SIDE))
    return _standardised(gaussian_filter(noise, (sigma * stretch, sigma), mode="wrap"))


def _stripes(random: Random) -> Plane:
    turn, wave = random.uniform(0, np.pi), 2 * np.pi / random.uniform(4, 20)
    y, x = np.mgrid[:SIDE, :SIDE]
    warp = _field(random, 12) * random.uniform(0, 2)
    stripes = np.sin((np.cos(turn) * x + np.sin(turn) * y + warp) * wave)
    if random.random() < 0.3:
        stripes = stripes * np.sin((np.cos(turn) * y - np.sin(turn) * x + warp) * wave)
    return _standardised(stripes)


def _photographed(random: Random) -> Plane:
    pictures = _pictures()
    picture, every = pictures[random.integers(len(pictures))], int(random.integers(1, 3))
    side = SIDE * every
    top, left = (int(random.integers(0, n - side + 1)) for n in picture.shape)
    cut = picture[top : top + side, left : left + side]
    cut = cut.reshape(SIDE, every, SIDE, every).mean((1, 3))
    cut = np.rot90(cut, random.integers(4))
    return _standardised(cut - gaussian_filter(cut, 20))


@cache
def _pictures() -> tuple[Plane, ...]:
    """CC0, and in scikit-image's wheel."""
    return tuple(
        picture().astype(float) for picture in (data.brick, data.grass, data.gravel, data.camera)
    )


def _standardised(plane: Plane) -> Plane:
    return (plane - plane.mean()) / (plane.std() + 1e-9)


# --- crops of photographs ------------------------------------------------------------------


def _crop(random: Random, photographs: list[tuple[Image, Numbers]]) -> tuple[Image, Classes]:
    """A scaled crop, its instances as objects, as objects with a rim, or as outlines alone."""
    while True:
        image, instances = photographs[random.integers(len(photographs))]
        if image.ndim == 3:
            image = image @ random.dirichlet([1, 1, 1]).astype(np.float32)
        scale = float(np.exp(random.uniform(np.log(0.6), np.log(1.8))))
        side = min(int(SIDE / scale), *image.shape)
        top, left = (int(random.integers(0, n - side + 1)) for n in image.shape)
        places = np.clip((np.arange(SIDE) + 0.5) * side / SIDE - 0.5, 0, side - 1)
        cut = image[top : top + side, left : left + side]
        picture = map_coordinates(cut, np.meshgrid(places, places, indexing="ij"), order=1)
        near = np.rint(places).astype(int)
        objects = instances[top : top + side, left : left + side][np.ix_(near, near)]
        truth = _as_classes(random, objects)
        if (np.bincount(truth.ravel(), minlength=3)[1:] > 60).sum() >= 2:
            return _disguised(random, picture.astype(np.float32)), truth


def _as_classes(random: Random, objects: Numbers) -> Classes:
    truth = np.where(objects > 0, 2, 1).astype(np.uint8)
    kind = random.random()
    if kind < 0.3:
        rim = distance_transform_edt(~find_boundaries(objects, mode="inner")) < 2
        truth[rim & (objects > 0)] = 3
    elif kind < 0.45:
        outline = distance_transform_edt(~find_boundaries(objects, mode="thick")) < 1.5
        truth = np.where(outline, 2, 1).astype(np.uint8)
    return truth


def _disguised(random: Random, image: Image) -> Image:
    """Another gamma, inverted, noisy or blurred."""
    if random.random() < 0.5:
        image = image - image.min()
        image = (image / (image.max() + 1e-6)) ** random.uniform(0.5, 2)
    if random.random() < 0.4:
        image = -image
    image = (image - image.mean()) / (image.std() + 1e-6)
    if random.random() < 0.5:
        image = image + random.standard_normal(image.shape) * random.uniform(0, 0.4)
    if random.random() < 0.3:
        image = gaussian_filter(image, random.uniform(0.4, 1.2))
    return image.astype(np.float32)


# --- strokes -------------------------------------------------------------------------------


def _strokes(random: Random, truth: Classes, amount: float) -> Classes:
    """Random walks inside each class, clear of its border; about `amount` of the picture."""
    strokes = np.zeros_like(truth)
    values = [int(value) for value in np.unique(truth) if value]
    for value in values:
        room = distance_transform_edt(truth == value)
        clear = min(float(random.choice([1, 2, 3, 4])), 0.8 * room.max())
        radius = int(max(0, min(random.integers(0, 3), clear - 1)))
        n = max(1, int(amount * truth.size / len(values) / (25 * (2 * radius + 1))))
        walked = _walks(random, room >= clear, n, radius)
        strokes[walked & (truth == value)] = value
    return strokes


def _walks(random: Random, allowed: npt.NDArray[np.bool_], n: int, radius: int) -> npt.NDArray:
    starts = np.argwhere(allowed)
    places = starts[random.integers(len(starts), size=n)].astype(float)
    direction = random.uniform(0, 2 * np.pi, n)
    painted = np.zeros(allowed.shape, bool)
    last = np.array(allowed.shape) - 1
    for _ in range(int(random.integers(12, 50))):
        pixels = np.rint(places).astype(int)
        for dy in range(-radius, radius + 1):
            for dx in range(-radius, radius + 1):
                painted[tuple(np.clip(pixels + np.array([dy, dx]), 0, last).T)] = True
        direction += random.normal(0, 0.35, n)
        ahead = places + np.stack([np.sin(direction), np.cos(direction)], axis=1)
        pixels = np.rint(ahead).astype(int)
        inside = ((pixels >= 0) & (pixels <= last)).all(axis=1)
        free = inside & allowed[tuple(np.clip(pixels, 0, last).T)]
        places[free] = ahead[free]
        direction[~free] += random.uniform(1, 5, int((~free).sum()))
    return painted
