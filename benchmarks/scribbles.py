"""How good is the segmentation after so many seconds? Ours beside a random forest.

A simulated annotator paints strokes on half of an image (see `_annotator`). Both learn
from them; scored are the pixels that were not painted in that half (*here*), and the
whole other half (*there*), by mean IoU over the classes and by boundary F1 (2 px). The
clock runs while a method learns or predicts for its answer, not while we score.

The forest is that of ilastik and Labkit in kind: 100 trees on scikit-image's multiscale
features, sigma 0.5 to 16, balanced classes. It needs scikit-learn, and is left out
where that is not installed.

Run: ``python benchmarks/scribbles.py [--images FOLDER] [--amounts 0.005 0.02 0.08]``
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt
from _annotator import paint
from _scribble_cases import Array, Case, Labels, cases
from scipy.ndimage import binary_dilation
from skimage.feature import multiscale_basic_features
from skimage.segmentation import find_boundaries

from napari_msd.config import Settings
from napari_msd.inference import channels_first
from napari_msd.info import report
from napari_msd.planes import whole
from napari_msd.training import Trainer, cores_to_ourselves

TOLERANCE = 2
"""Pixels by which a boundary may be off and still count."""

Answer = tuple[float, Labels, Labels]
"""Seconds since the click, labels here, labels there."""


def ours(case: Case, strokes: Labels, marks: list[float], settings: Settings) -> Iterator[Answer]:
    """Train until each mark, predict both halves."""
    image = case.here[0]
    began = time.perf_counter()
    trainer = Trainer(settings, 1 if image.ndim == 2 else image.shape[2])
    trainer.set_plane((), image)
    trainer.write_strokes((), whole(strokes.shape), strokes)
    answering = 0.0
    for mark in marks:
        while not trainer.learned or time.perf_counter() - began < mark - answering:
            trainer.step()
        before = time.perf_counter()
        here = trainer.predictor().labels(channels_first(image), whole(strokes.shape))
        answering = time.perf_counter() - before
        seconds = time.perf_counter() - began
        there = trainer.predictor().labels(
            channels_first(case.there[0]), whole(case.there[1].shape)
        )
        yield seconds, here, there
        began += time.perf_counter() - before  # learning goes on where it was


def forest(case: Case, strokes: Labels, seed: int) -> Answer:
    """Fit once, predict both halves."""
    from sklearn.ensemble import RandomForestClassifier

    began = time.perf_counter()
    features = _features(case.here[0])
    painted = strokes > 0
    model = RandomForestClassifier(100, class_weight="balanced", n_jobs=-1, random_state=seed)
    model.fit(features[painted], strokes[painted])
    here = model.predict(features.reshape(-1, features.shape[-1])).reshape(strokes.shape)
    seconds = time.perf_counter() - began
    features = _features(case.there[0])
    there = model.predict(features.reshape(-1, features.shape[-1])).reshape(case.there[1].shape)
    return seconds, here, there


def _features(image: Array) -> npt.NDArray[np.float32]:
    features: npt.NDArray[np.float32] = multiscale_basic_features(
        image.astype(np.float32),
        sigma_min=0.5,
        sigma_max=16,
        channel_axis=None if image.ndim == 2 else -1,
    )
    return features


def mean_iou(labels: Labels, truth: Labels, scored: npt.NDArray[np.bool_]) -> float:
    """Mean over the classes of truth of intersection over union, on `scored` pixels."""
    scores = []
    for value in np.unique(truth[scored]):
        a, b = (labels == value)[scored], (truth == value)[scored]
        scores.append((a & b).sum() / (a | b).sum())
    return float(np.mean(scores))


def boundary_f1(labels: Labels, truth: Labels) -> float:
    """Harmonic mean of the shares of either's boundary that lies near the other's."""
    ours_, theirs = find_boundaries(labels), find_boundaries(truth)
    if not ours_.any() or not theirs.any():
        return 0.0
    precision = (ours_ & binary_dilation(theirs, iterations=TOLERANCE)).sum() / ours_.sum()
    recall = (theirs & binary_dilation(ours_, iterations=TOLERANCE)).sum() / theirs.sum()
    return float(2 * precision * recall / (precision + recall)) if precision + recall else 0.0


def main() -> None:
    """Race and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, help="folder of NAME-image.tif, NAME-instances.tif")
    parser.add_argument("--half", choices=["tuning", "reporting"], default="tuning")
    parser.add_argument("--amounts", type=float, nargs="+", default=[0.005, 0.02, 0.08])
    parser.add_argument("--marks", type=float, nargs="+", default=[1, 2, 5, 10, 30])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--preset", default="quick")
    parser.add_argument("--label-smoothing", type=float, default=0.2, help="to see its effect")
    parser.add_argument("--only", nargs="+", help="names of the cases to race on")
    arguments = parser.parse_args()
    marks = sorted(arguments.marks)
    print(*report(), sep="\n")
    with cores_to_ourselves("auto"):
        _race(arguments, marks)


def _race(arguments: argparse.Namespace, marks: list[float]) -> None:
    with_forest = find_spec("sklearn") is not None
    if not with_forest:
        print("The forest is left out: pip install scikit-learn to race against it.")
    columns = [*(["forest"] if with_forest else []), *(f"{mark:g} s" for mark in marks)]
    print(f"{'image':<24}{'paint':>7}  score     " + "".join(f"{c:>9}" for c in columns))
    totals: dict[str, list[list[float]]] = defaultdict(list)
    for case in cases(arguments.images, arguments.half):
        if arguments.only and case.name not in arguments.only:
            continue
        for amount in arguments.amounts:
            rows: dict[str, list[list[float]]] = defaultdict(list)
            for seed in arguments.seeds:
                strokes = paint(case.here[1], amount, np.random.default_rng(seed))
                settings = Settings.from_preset(
                    arguments.preset, seed=seed, label_smoothing=arguments.label_smoothing
                )
                answers = [
                    *([forest(case, strokes, seed)] if with_forest else []),
                    *ours(case, strokes, marks, settings),
                ]
                here, there = case.here[1], case.there[1]
                rows["IoU here"].append([mean_iou(a[1], here, strokes == 0) for a in answers])
                rows["IoU there"].append([mean_iou(a[2], there, there > 0) for a in answers])
                rows["F1 here"].append([boundary_f1(a[1], here) for a in answers])
                rows["seconds"].append([a[0] for a in answers])
            for score, values in rows.items():
                mean = np.mean(values, axis=0)
                totals[score].append(mean.tolist())
                shown = "".join(f"{v:>9.3f}" for v in mean)
                print(f"{case.name:<24}{amount:>7.1%}  {score:<10}{shown}", flush=True)
    for score, values in totals.items():
        shown = "".join(f"{v:>9.3f}" for v in np.mean(values, axis=0))
        print(f"{'mean':<24}{'':>7}  {score:<10}{shown}")


if __name__ == "__main__":
    main()
