"""Patches around painted pixels, balanced over classes and pieces of strokes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_msd.core.planes import PlaneKey, Region
from napari_msd.document import Piece, StrokeStore, ValidationSplit
from napari_msd.inference import AnyNormalisation, Plane
from napari_msd.inference.normalisation import Pixels

UNPAINTED = -1
"""Label of the pixels that the loss leaves out."""

EVEN_STEP = np.array([0.7548776662466927, 0.5698402909980532])
"""1/g and 1/g² for g³ = g + 1: multiples of it, modulo 1, fill a square evenly, however many
are taken (M. Roberts, *The unreasonable effectiveness of quasirandom sequences*, 2018)."""


@dataclass(frozen=True)
class Batch:
    """Patches and what is painted on them.

    `images` is float32 (n, C, rows, columns); `labels` int64 (n, rows, columns),
    indices into the list of classes, `UNPAINTED` elsewhere.
    """

    images: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]


class PatchSampler:
    """Draws training patches from painted planes.

    Each patch is drawn for one class, all classes being equally likely, around a
    random pixel of a random piece of that class: a long stroke counts by its
    length, not by its width. Then it is rotated and flipped at random.

    Parameters
    ----------
    planes
        Planes (C, Y, X) as they are in the image; only planes in it are drawn from.
    strokes, split
        What is painted, and what of it may be trained on.
    side
        Side of a patch in pixels; smaller planes give smaller patches.
    random
        Source of chance.
    """

    def __init__(
        self,
        planes: Mapping[PlaneKey, Plane],
        strokes: StrokeStore,
        split: ValidationSplit,
        side: int,
        random: np.random.Generator,
    ) -> None:
        self._planes = planes
        self._strokes = strokes
        self._split = split
        self._side = side
        self._random = random
        self._known: dict[int, tuple[tuple[int, frozenset[PlaneKey]], list[Piece]]] = {}

    def draw(self, n: int, classes: list[int], normalisation: AnyNormalisation) -> Batch:
        """`n` patches for learning `classes`; each class needs a piece to train on.

        A pixel's label is the place of its class in `classes`; images are normalised.
        """
        pieces = {value: self._pieces(value) for value in classes}
        shape = self.patch_shape()
        index = np.full(256, UNPAINTED, np.int64)
        index[classes] = np.arange(len(classes))
        # Dealt like cards, so that no class is left out by chance.
        turns = np.concatenate(
            [self._random.permutation(classes) for _ in range(-(-n // len(classes)))]
        )[:n]
        images, labels = [], []
        for value in turns:
            choices = pieces[int(value)]
            piece = choices[self._random.integers(len(choices))]
            y, x = piece.pixels[self._random.integers(len(piece.pixels))]
            region = self._around(piece.plane, int(y), int(x), shape)
            plane = self._planes[piece.plane]
            image = normalisation.for_plane(plane).apply(plane[(slice(None), *region.slices)])
            painted = index[self._split.training_labels(piece.plane, region)]
            turned, painted = self._turn(image, painted)
            images.append(turned)
            labels.append(painted)
        return Batch(np.stack(images), np.stack(labels))

    def everywhere(self, n: int, normalisation: AnyNormalisation) -> Pixels:
        """`n` patches (C, rows, columns) spread evenly over the planes, painted or not, stacked.

        Painted planes, that is, where there are some: what is found does not depend on which
        plane is being looked at. The patches are the same ones every time, as long as the planes
        stay, so that it does not jump about either.
        """
        painted = sorted(self._strokes.planes & set(self._planes)) or sorted(self._planes)
        planes, shape = [self._planes[key] for key in painted], self.patch_shape()
        images = []
        for i in range(n):
            plane = planes[i % len(planes)]
            y, x = (0.5 + (i + 1) * EVEN_STEP) % 1
            top = int(y * (plane.shape[1] - shape[0] + 1))
            left = int(x * (plane.shape[2] - shape[1] + 1))
            region = Region(top, left, top + shape[0], left + shape[1])
            own = normalisation.for_plane(plane)
            images.append(own.apply(plane[(slice(None), *region.slices)]))
        return np.stack(images)

    def patch_shape(self) -> tuple[int, int]:
        """(rows, columns) of every patch: no larger than the smallest plane."""
        rows = min(plane.shape[1] for plane in self._planes.values())
        columns = min(plane.shape[2] for plane in self._planes.values())
        return min(self._side, rows), min(self._side, columns)

    def _pieces(self, value: int) -> list[Piece]:
        """Training pieces of a class on the planes at hand; listed anew after a change only."""
        state = (self._strokes.revision, frozenset(self._planes))
        known = self._known.get(value)
        if known is None or known[0] != state:
            pieces = [piece for piece in self._split.training(value) if piece.plane in self._planes]
            self._known[value] = known = (state, pieces)
        return known[1]

    def _around(self, plane: PlaneKey, y: int, x: int, shape: tuple[int, int]) -> Region:
        """A patch that holds pixel (y, x) somewhere in its middle half."""
        rows, columns = self._planes[plane].shape[1:]
        top = y - shape[0] // 2 + self._jitter(shape[0])
        left = x - shape[1] // 2 + self._jitter(shape[1])
        top = min(max(top, 0), rows - shape[0])
        left = min(max(left, 0), columns - shape[1])
        return Region(top, left, top + shape[0], left + shape[1])

    def _jitter(self, side: int) -> int:
        return int(self._random.integers(-(side // 4), side // 4 + 1))

    def _turn(
        self, image: Pixels, labels: npt.NDArray[np.int64]
    ) -> tuple[Pixels, npt.NDArray[np.int64]]:
        """One of the eight rotations and flips; of the four that keep an oblong's shape."""
        square = labels.shape[0] == labels.shape[1]
        quarter = int(self._random.integers(4)) if square else 2 * int(self._random.integers(2))
        image = np.rot90(image, quarter, axes=(1, 2))
        labels = np.rot90(labels, quarter)
        if self._random.integers(2):
            image, labels = image[:, :, ::-1], labels[:, ::-1]
        return image, labels
