"""The two that learn from strokes in the scribble race: our network, and a random forest.

Their clocks run while they learn, and while they predict for an answer, not while we score.
The forest is that of ilastik and Labkit in kind: 100 trees on scikit-image's multiscale
features, sigma 0.5 to 16, balanced classes. It needs scikit-learn.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from _scribble_cases import Array, Case, Labels
from skimage.feature import multiscale_basic_features

from napari_msd.config import Settings
from napari_msd.inference import channels_first
from napari_msd.planes import whole
from napari_msd.training import Trainer


@dataclass(frozen=True)
class Answer:
    """Labels of both halves, and what the clock said when those of the painted one were there."""

    seconds: float
    here: Labels
    there: Labels


class Network:
    """Ours, in one process and without a window."""

    def __init__(self, case: Case, settings: Settings) -> None:
        image = case.here[0]
        self._case = case
        began = time.perf_counter()
        self._trainer = Trainer(settings, 1 if image.ndim == 2 else image.shape[2])
        self._trainer.set_plane((), image)
        self._seconds = time.perf_counter() - began
        self._answering = 0.0

    def paint(self, strokes: Labels) -> None:
        """All strokes, old and new."""
        began = time.perf_counter()
        self._trainer.write_strokes((), whole(strokes.shape), strokes)
        self._seconds += time.perf_counter() - began

    def answer(self, mark: float) -> Answer:
        """Learn on, so that the answer is there when the clock says `mark` seconds.

        Earlier where training comes to rest before, as it does in the window.
        """
        trainer, began = self._trainer, time.perf_counter() - self._seconds
        while not trainer.learned or (
            time.perf_counter() - began < mark - self._answering and not trainer.judgement.rests
        ):
            trainer.step()
        learned = time.perf_counter() - began
        here = self._predict(self._case.here)
        self._seconds = time.perf_counter() - began
        self._answering = self._seconds - learned
        return Answer(self._seconds, here, self._predict(self._case.there))

    def _predict(self, half: tuple[Array, Labels]) -> Labels:
        image, truth = half
        return self._trainer.predictor().labels(channels_first(image), whole(truth.shape))


class Forest:
    """Fitted anew to all strokes, as these tools do; the features of the painted half are kept."""

    def __init__(self, case: Case, seed: int) -> None:
        self._case, self._seed = case, seed
        began = time.perf_counter()
        self._features = _features(case.here[0])
        self._computing = time.perf_counter() - began

    def answer(self, strokes: Labels) -> Answer:
        """Fit and predict."""
        from sklearn.ensemble import RandomForestClassifier

        began = time.perf_counter() - self._computing
        self._computing = 0.0
        painted = strokes > 0
        model = RandomForestClassifier(
            100, class_weight="balanced", n_jobs=-1, random_state=self._seed
        )
        model.fit(self._features[painted], strokes[painted])
        here = _predict(model, self._features)
        seconds = time.perf_counter() - began
        return Answer(seconds, here, _predict(model, _features(self._case.there[0])))


def _features(image: Array) -> npt.NDArray[np.float32]:
    features: npt.NDArray[np.float32] = multiscale_basic_features(
        image.astype(np.float32),
        sigma_min=0.5,
        sigma_max=16,
        channel_axis=None if image.ndim == 2 else -1,
    )
    return features


def _predict(model: object, features: npt.NDArray[np.float32]) -> Labels:
    labels: Labels = model.predict(  # type: ignore[attr-defined]
        features.reshape(-1, features.shape[-1])
    ).reshape(features.shape[:-1])
    return labels
