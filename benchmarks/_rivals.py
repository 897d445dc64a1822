"""Those that we race against: trees that classify every pixel by its features.

Each is fitted anew to all strokes, as these tools do. The features of the images are kept.
Each uses all cores. Their packages are for the race only; a rival without its packages is left
out.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from _cases import Array, Case, Labels
from _contestants import Answer
from skimage.feature import multiscale_basic_features

Features = npt.NDArray[np.float32]


class PixelClassifier(ABC):
    """A classifier of pixels by features that do not depend on the strokes.

    Parameters
    ----------
    case
        What to answer for.
    seed
        Seed of the classifier, 0 or more.
    """

    name: ClassVar[str]
    packages: ClassVar[tuple[str, ...]]
    """Modules that must be there."""
    install: ClassVar[str]
    """What to type to get them."""

    def __init__(self, case: Case, seed: int) -> None:
        self._case, self._seed = case, seed
        self.model(seed)  # imports its package before the clock runs
        began = time.perf_counter()
        self._here = self.features(case.here[0])
        self._computing = time.perf_counter() - began
        self._there: Features | None = None

    @abstractmethod
    def features(self, image: Array) -> Features:
        """Features (Y, X, F) of an image, (Y, X) or (Y, X, C)."""

    @abstractmethod
    def model(self, seed: int) -> Any:
        """A new classifier with scikit-learn's `fit` and `predict`."""

    def answer(self, strokes: Labels) -> Answer:
        """Fit to all strokes, uint8 (Y, X), 0 = unpainted, and predict both images."""
        began = time.perf_counter() - self._computing
        self._computing = 0.0  # of the features: they are computed once
        painted = strokes > 0
        model = self.model(self._seed)
        model.fit(self._here[painted], strokes[painted])
        here = _predict(model, self._here)
        seconds = time.perf_counter() - began
        if self._there is None:
            self._there = self.features(self._case.there[0])
        return Answer(seconds, here, _predict(model, self._there))


class Forest(PixelClassifier):
    """Of ilastik's and Labkit's kind: 100 trees on scikit-image's multiscale features.

    Sigma 0.5 to 16, balanced classes. Each image is brought to zero mean and unit standard
    deviation by itself first: on another image than the painted one that is worth 0.04 of IoU.
    """

    name = "forest"
    packages = ("sklearn",)
    install = "pip install scikit-learn"

    def features(self, image: Array) -> Features:
        """Intensity, edges and texture at six scales, of every channel."""
        features: Features = multiscale_basic_features(
            standardised(image),
            sigma_min=0.5,
            sigma_max=16,
            channel_axis=None if image.ndim == 2 else -1,
        )
        return features

    def model(self, seed: int) -> Any:
        """A random forest."""
        from sklearn.ensemble import RandomForestClassifier

        return RandomForestClassifier(100, class_weight="balanced", n_jobs=-1, random_state=seed)


class ExtraTrees(Forest):
    """The forest's features, and trees whose thresholds are drawn by chance."""

    name = "extratrees"

    def model(self, seed: int) -> Any:
        """100 trees, at least 3 pixels in a leaf."""
        from sklearn.ensemble import ExtraTreesClassifier

        return ExtraTreesClassifier(
            100, min_samples_leaf=3, class_weight="balanced", n_jobs=-1, random_state=seed
        )


def standardised(image: Array) -> npt.NDArray[np.float32]:
    """Every channel of an image, (Y, X) or (Y, X, C), at zero mean and unit standard deviation."""
    pixels = image.astype(np.float32)
    mean, std = pixels.mean((0, 1)), pixels.std((0, 1))
    scaled: npt.NDArray[np.float32] = (pixels - mean) / np.where(std > 0, std, 1)
    return scaled


def missing(rival: type[PixelClassifier]) -> str:
    """One sentence that says why a rival is left out; empty where its packages are there."""
    absent = [package for package in rival.packages if find_spec(package) is None]
    if not absent:
        return ""
    return f"{rival.name} is left out, {' and '.join(absent)} is missing: {rival.install}"


def chosen(
    names: Sequence[str], rivals: Sequence[type[PixelClassifier]]
) -> list[type[PixelClassifier]]:
    """Return the rivals of these names whose packages are there, and print why others are not."""
    taking_part = []
    for rival in rivals:
        if rival.name not in names:
            continue
        if why := missing(rival):
            print(why)
        else:
            taking_part.append(rival)
    return taking_part


def _predict(model: Any, features: Features) -> Labels:
    flat = model.predict(features.reshape(-1, features.shape[-1]))
    return np.asarray(flat, np.uint8).reshape(features.shape[:-1])
