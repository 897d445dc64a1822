"""A first answer for a view that is too large to be predicted at full resolution within seconds.

Where many image pixels are one on screen, a second, short-lived training looks at the image as it
is shown: thinned by a power of two, with the strokes thinned alike. It fits its outputs and trees
to them at once and makes no more than one step. The tiles at full resolution follow.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import sqrt

import numpy as np
import numpy.typing as npt

from napari_msd.core.box import Box
from napari_msd.core.errors import ImageError
from napari_msd.core.settings import Settings
from napari_msd.core.space import Slab
from napari_msd.document import Annotation
from napari_msd.trainer.arrays import Labels, Pixels
from napari_msd.training import Trainer

LARGE_VIEW = 2**22
"""A view of more pixels is answered coarsely first."""

COARSE_PIXELS = 2**19
"""Of a coarse answer, about: a fraction of a second."""

LARGEST_SCALE = 64


@dataclass(frozen=True)
class Area:
    """A part of a slab, and how many pixels along each axis are one."""

    box: Box
    scale: int


class CoarseView:
    """Answers large views coarsely, once for each view and state of the strokes."""

    def __init__(self) -> None:
        self._pixels: tuple[Area, Pixels] | None = None
        self._answered: tuple[Area, int] | None = None
        self._possible: tuple[Area, int] | None = None
        """Of which area and state of the strokes it is known that all classes are painted there."""

    def area(self, view: Box, trainer: Trainer) -> Area | None:
        """What is to be answered coarsely now; None if that is done, or of no use.

        Parameters
        ----------
        view
            What is on screen.
        trainer
            Knows the strokes.
        """
        if trainer.data.given.convolved != 2 or view.last(2).size < LARGE_VIEW:
            return None
        if any(n > 1 for n in view.shape[:-2]):
            return None  # a cut across slices
        area = _area_of(view)
        state = area, trainer.annotation.revision
        if self._answered == state:
            return None
        if self._possible == state:
            return area  # asked before every step until the pixels are here
        found = _painted_in(trainer.annotation, area)
        if set(np.unique(found)) - {0} == set(trainer.classes):
            self._possible = state
            return area
        self._answered = state
        return None

    def pixels(self, area: Area) -> Pixels | None:
        """Its thinned pixels, if they came."""
        known = self._pixels
        return known[1] if known is not None and known[0] == area else None

    def take(self, area: Area, pixels: Pixels) -> None:
        """Its thinned pixels came, of the reduced shape of its box."""
        self._pixels = area, pixels.reshape(pixels.shape[area.box.ndim - 2 :])

    def clear(self) -> None:
        """Another epoch begins."""
        self._pixels = self._answered = self._possible = None

    def labels(self, area: Area, trainer: Trainer) -> Labels | None:
        """The coarse answer, uint8 of the reduced shape of the area; None if there is none."""
        self._answered = area, trainer.annotation.revision
        pixels = self.pixels(area)
        assert pixels is not None
        strokes = _painted_in(trainer.annotation, area)
        whole = Box.whole(0, strokes.shape)
        coarse = Trainer(_settings_of(trainer), trainer.data.given)
        try:
            coarse.set_pixels(whole, pixels)
        except ImageError:  # constant, as far as it is seen
            return None
        coarse.paint(whole, strokes)
        if coarse.classes != trainer.classes or coarse.needs():
            return None
        coarse.step()
        found = coarse.predictor().labels(coarse.slabs[Slab(0, ())], whole)
        return found.reshape(area.box.reduced_shape(area.scale))


def _settings_of(trainer: Trainer) -> Settings:
    """Settings that fit to all strokes at once: nothing is held out."""
    return replace(trainer.settings, held_out_fraction=0.0, pretrained=True)


def _area_of(view: Box) -> Area:
    share = sqrt(view.last(2).size / COARSE_PIXELS)
    scale = 1
    while scale < share and scale < LARGEST_SCALE:
        scale *= 2
    # whole pixels of the thinned image, so that it is the same one wherever the view begins
    start = view.start[:-2] + tuple(a // scale * scale for a in view.start[-2:])
    return Area(Box(view.source, start, view.stop), scale)


def _painted_in(annotation: Annotation, area: Area) -> npt.NDArray[np.uint8]:
    """Strokes of an area, thinned: of several classes in one pixel, the one that is most of it."""
    box, scale = area.box, area.scale
    out = np.zeros(box.reduced_shape(scale)[-2:], np.uint8)
    slab = Slab.of(box, 2)
    for chunk in annotation.chunk_boxes(slab):
        part = chunk.intersect(replace(box.last(2), source=chunk.source))
        if part.empty:
            continue
        values = annotation.read(slab.box(part.start, part.stop)).reshape(part.shape)
        first = [(a - b) // scale for a, b in zip(part.start, box.start[-2:], strict=True)]
        thinned = _most(values, scale)
        there = tuple(slice(a, a + n) for a, n in zip(first, thinned.shape, strict=True))
        out[there] = np.where(thinned > 0, thinned, out[there])
    return out


def _most(values: npt.NDArray[np.uint8], scale: int) -> npt.NDArray[np.uint8]:
    """The painted class that most pixels have, of each `scale` x `scale` of them; 0 for none."""
    rows, columns = (-(-n // scale) for n in values.shape)
    padded = np.zeros((rows * scale, columns * scale), np.uint8)
    padded[: values.shape[0], : values.shape[1]] = values
    blocks = padded.reshape(rows, scale, columns, scale)
    classes = [int(v) for v in np.unique(values) if v]
    if not classes:
        return np.zeros((rows, columns), np.uint8)
    counts = np.stack([(blocks == value).sum(axis=(1, 3)) for value in classes])
    winner = np.asarray(classes, np.uint8)[counts.argmax(axis=0)]
    return np.where(counts.max(axis=0) > 0, winner, 0).astype(np.uint8)
