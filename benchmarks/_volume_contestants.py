"""What takes part in the race on volumes: ours in each mode, and forests on 2-D or 3-D features.

The clock runs while a contestant learns. How long it then predicts the whole volume is told
apart: at work only a plane of it is on screen, and the rest is predicted once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from _cases import Labels
from _rivals import standardised
from _volume_cases import VolumeCase
from skimage.feature import multiscale_basic_features

from napari_msd.core.box import Box
from napari_msd.core.settings import Settings
from napari_msd.core.space import Space
from napari_msd.images.sources import ArraySource, in_mode
from napari_msd.inference import SlabPixels, channels_first, tiles_of
from napari_msd.training import Trainer

Measure = Literal["s", "CPU s", "steps"]
"""What the amount of training is counted in: seconds, those of all cores together, or steps."""

TILE = (48, 192, 192)
"""Largest part of a volume that is predicted at once."""


def clock_of(measure: Measure) -> Callable[[], float]:
    """The clock that a measure looks at, in seconds."""
    return time.process_time if measure == "CPU s" else time.perf_counter


@dataclass(frozen=True)
class VolumeAnswer:
    """Labels (Z, Y, X), and the seconds of learning and of predicting them."""

    learning: float
    predicting: float
    labels: Labels


class VolumeNetwork:
    """Ours in the mode of its settings, in one process and without a window.

    Parameters
    ----------
    case
        What to answer for.
    strokes
        Annotation uint8 (Z, Y, X), 0 = unpainted.
    settings
        With the mode.
    measure
        What `answer` counts in.
    """

    def __init__(
        self, case: VolumeCase, strokes: Labels, settings: Settings, measure: Measure
    ) -> None:
        self._clock = clock_of(measure)
        size = (case.anisotropy, 1.0, 1.0)
        whole = Space("ZYX", case.image.shape, pixel_size=size)
        source = ArraySource(case.image, whole)
        began = self._clock()
        self._read, self._space = in_mode(source.read, whole, settings.mode, settings.context)
        self._measure = measure
        self.trainer = Trainer(settings, self._space.network_input)
        self.trainer.add_source(0, self._space)
        for slab in self._space.slabs(0):
            painted = strokes[slab.slices]
            if painted.any():
                self.trainer.set_pixels(slab, self._pixels(slab))
                self.trainer.paint(slab, painted)
        self._seconds = self._clock() - began

    def answer(self, mark: float) -> VolumeAnswer:
        """Learn on until `mark` seconds or steps, or until training comes to rest; predict all."""
        trainer, began = self.trainer, self._clock() - self._seconds
        while not trainer.learned or (
            (trainer.steps if self._measure == "steps" else self._clock() - began) < mark
            and not trainer.early_stopping.stopped
        ):
            trainer.step()
        self._seconds = self._clock() - began
        labels = np.empty(self._space.shape, np.uint8)
        predictor, convolved = trainer.predictor(), self._space.convolved
        for slab in self._space.slabs(0):
            plane = SlabPixels.whole(channels_first(self._pixels(slab), convolved))
            for tile in tiles_of(slab, (1,) * (slab.ndim - convolved) + TILE[-convolved:]):
                labels[tile.slices] = predictor.labels(plane, tile).reshape(tile.shape)
        return VolumeAnswer(self._seconds, self._clock() - began - self._seconds, labels)

    def _pixels(self, slab: Box) -> npt.NDArray[np.generic]:
        pixels = self._read(slab)
        return pixels.reshape(*self._space.spatial, *pixels.shape[slab.ndim :])


class VolumeForest:
    """As `_rivals.Forest`: 100 trees on scikit-image's multiscale features.

    Parameters
    ----------
    name
        What tables call it.
    n_axes
        2: the features of each slice by itself, sigma 0.5 to 16. 3: those of the volume, sigma 0.5
        to 8, along all axes alike.
    """

    def __init__(self, name: str, n_axes: Literal[2, 3]) -> None:
        self.name, self._n_axes = name, n_axes

    def answer(
        self, case: VolumeCase, strokes: Labels, seed: int, measure: Measure
    ) -> VolumeAnswer:
        """Fit to the strokes and predict the volume; the clock is that of the measure."""
        from sklearn.ensemble import RandomForestClassifier

        clock = clock_of(measure)
        began = clock()
        if self._n_axes == 3:
            pixels = case.image.astype(np.float32)
            scaled = (pixels - pixels.mean()) / pixels.std()
            features = multiscale_basic_features(scaled, sigma_min=0.5, sigma_max=8)
        else:
            planes = [
                multiscale_basic_features(standardised(plane), sigma_min=0.5, sigma_max=16)
                for plane in case.image
            ]
            features = np.stack(planes)
        forest = RandomForestClassifier(100, class_weight="balanced", n_jobs=-1, random_state=seed)
        forest.fit(features[strokes > 0], strokes[strokes > 0])
        learned = clock()
        flat = forest.predict(features.reshape(-1, features.shape[-1]))
        labels = np.asarray(flat, np.uint8).reshape(case.truth.shape)
        return VolumeAnswer(learned - began, clock() - learned, labels)
