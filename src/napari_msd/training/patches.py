"""Patches around painted pixels, balanced over classes and pieces of strokes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_msd.core.box import Box
from napari_msd.core.errors import ImageError
from napari_msd.core.space import Slab
from napari_msd.document import Annotation, Piece, ValidationSplit
from napari_msd.inference import AnyNormalisation, SlabPixels
from napari_msd.inference.normalisation import Pixels
from napari_msd.training.reach import Reach

UNPAINTED = -1
"""Label of the pixels that the loss leaves out."""

EVEN_STEPS = {
    2: np.array([0.7548776662466927, 0.5698402909980532]),
    3: np.array([0.8191725133961645, 0.6710436067037893, 0.5497004779019703]),
}
"""By number of axes d: 1/g, 1/g², ... for g^(d + 1) = g + 1. Multiples of it, modulo 1, fill a
square (a cube) evenly, however many are taken (M. Roberts, *The unreasonable effectiveness of
quasirandom sequences*, 2018)."""


@dataclass(frozen=True)
class Batch:
    """Patches and what is painted on them.

    `images` is float32 (n, C, [planes,] rows, columns); `labels` is int64 (n, ...), indices into
    the list of classes, `UNPAINTED` elsewhere.
    """

    images: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]


class PatchSampler:
    """Draws training patches from painted slabs.

    Each patch is drawn for one class, all classes being equally likely, around a
    random pixel of a random piece of that class: a long stroke counts by its
    length, not by its width. Then it is rotated and flipped at random.

    Parameters
    ----------
    slabs
        Pixels of slabs; only slabs in it are drawn from. What patches show of them is here.
    annotation, split
        What is painted, and what of it may be trained on.
    reach
        The size of patches.
    random
        Source of chance.
    """

    def __init__(
        self,
        slabs: Mapping[Slab, SlabPixels],
        annotation: Annotation,
        split: ValidationSplit,
        reach: Reach,
        random: np.random.Generator,
    ) -> None:
        self._slabs = slabs
        self._annotation = annotation
        self._split = split
        self._reach = reach
        self._random = random
        self._known: dict[int, tuple[tuple[int, frozenset[Slab]], list[Piece]]] = {}

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
            pixel = piece.pixels[self._random.integers(len(piece.pixels))]
            patch = self._around(piece.slab, pixel, shape)
            image = self._cut(piece.slab, patch, normalisation)
            labels_there = self._split.training_labels(patch).reshape(shape)
            turned, painted = self._turn(image, index[labels_there])
            images.append(turned)
            labels.append(painted)
        return Batch(np.stack(images), np.stack(labels))

    def everywhere(self, n: int, normalisation: AnyNormalisation) -> Pixels:
        """`n` patches (C, ...) spread evenly over the slabs, painted or not, stacked.

        Painted slabs, that is, where there are some: what is found does not depend on which
        slab is being looked at. The patches are the same ones every time, as long as the slabs
        stay, so that it does not jump about either.
        """
        slabs = sorted(self._annotation.slabs & set(self._slabs)) or sorted(self._slabs)
        places = self.places(n, {slab: self._shape(slab) for slab in slabs})
        shape = self.patch_shape()
        patches = [
            (slab, _middle(slab, self._slabs[slab].near_sample(patch), shape))
            for slab, patch in places
        ]
        here = [(slab, patch) for slab, patch in patches if self._slabs[slab].has(patch)]
        if not here:
            raise ImageError("Most of the image cannot be read; check the file or its drive.")
        return np.stack([self._cut(slab, patch, normalisation) for slab, patch in here])

    def places(self, n: int, shapes: Mapping[Slab, tuple[int, ...]]) -> Iterator[tuple[Slab, Box]]:
        """Where `everywhere` looks on slabs of these shapes, also with smaller patches."""
        return spread(n, shapes, self._reach.largest_patch_in(shapes.values()))

    def patch_shape(self) -> tuple[int, ...]:
        """([planes,] rows, columns) of every patch: no larger than the smallest slab."""
        return self._reach.patch_in(map(self._shape, self._slabs))

    def _shape(self, slab: Slab) -> tuple[int, ...]:
        return self._slabs[slab].shape[1:]

    def _cut(self, slab: Slab, patch: Box, normalisation: AnyNormalisation) -> Pixels:
        """Normalised pixels (C, ...) of a patch."""
        pixels = self._slabs[slab]
        return normalisation.for_slab(pixels).apply(pixels.read(patch))

    def _pieces(self, value: int) -> list[Piece]:
        """Training pieces of a class on the slabs at hand; listed anew after a change only."""
        state = (self._annotation.revision, frozenset(self._slabs))
        known = self._known.get(value)
        if known is None or known[0] != state:
            pieces = [piece for piece in self._split.training(value) if is_here(self._slabs, piece)]
            self._known[value] = known = (state, pieces)
        return known[1]

    def _around(self, slab: Slab, pixel: npt.NDArray[np.int32], shape: tuple[int, ...]) -> Box:
        """A patch that holds `pixel` somewhere in its middle half."""
        start = [
            min(max(int(at) - side // 2 + self._jitter(side), 0), n - side)
            for at, side, n in zip(pixel, shape, self._shape(slab), strict=True)
        ]
        return _patch(slab, start, shape)

    def _jitter(self, side: int) -> int:
        return int(self._random.integers(-(side // 4), side // 4 + 1))

    def _turn(
        self, image: Pixels, labels: npt.NDArray[np.int64]
    ) -> tuple[Pixels, npt.NDArray[np.int64]]:
        """One of the eight rotations and flips in Y and X; of the four that keep an oblong.

        A volume is also flipped along Z. It is not turned out of the plane: slices and pixels
        rarely lie equally far apart, and an instrument blurs along its axis.
        """
        square = labels.shape[-2] == labels.shape[-1]
        quarter = int(self._random.integers(4)) if square else 2 * int(self._random.integers(2))
        image = np.rot90(image, quarter, axes=(-2, -1))
        labels = np.rot90(labels, quarter, axes=(-2, -1))
        if self._random.integers(2):
            image, labels = image[..., ::-1], labels[..., ::-1]
        if labels.ndim == 3 and self._random.integers(2):
            image, labels = image[:, ::-1], labels[::-1]
        return image, labels


def spread(
    n: int, shapes: Mapping[Slab, tuple[int, ...]], shape: tuple[int, ...]
) -> Iterator[tuple[Slab, Box]]:
    """Where `n` patches of `shape` lie that are spread evenly over slabs.

    Parameters
    ----------
    n
        How many.
    shapes
        Lengths of the convolved axes of each slab, in the order in which they take turns.
    shape
        Of a patch; no larger than any slab.
    """
    slabs = list(shapes)
    for i in range(n):
        slab = slabs[i % len(slabs)]
        at = (0.5 + (i + 1) * EVEN_STEPS[len(shape)]) % 1
        room = [n - side + 1 for n, side in zip(shapes[slab], shape, strict=True)]
        start = [int(share * places) for share, places in zip(at, room, strict=True)]
        yield slab, _patch(slab, start, shape)


def is_here(slabs: Mapping[Slab, SlabPixels], piece: Piece) -> bool:
    """Whether the pixels are at hand that are read because of a painted piece."""
    return piece.slab in slabs and slabs[piece.slab].serves(piece.pixels)


def _middle(slab: Slab, patch: Box, shape: Sequence[int]) -> Box:
    """The middle of a patch, of `shape`."""
    inner = patch.last(len(shape))
    ends = zip(inner.start, inner.stop, shape, strict=True)
    return _patch(slab, [(a + b - side) // 2 for a, b, side in ends], shape)


def _patch(slab: Slab, start: Sequence[int], shape: Sequence[int]) -> Box:
    return slab.box(start, [at + side for at, side in zip(start, shape, strict=True)])
