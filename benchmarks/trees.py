"""Seconds of growing trees and of classifying pixels with them; scikit-learn's beside them.

Samples of three classes with 80 features, of which 20 tell something; the pixels' features are
smooth as those of images are. First the compiled trees are compared with those in NumPy, bit for
bit, and the share of new samples that each forest classifies rightly is printed: forests that
are not as good are not worth timing. Contestants take turns, so that a busy machine is
busy for all of them; the least of the rounds is printed, and processor seconds beside it.

Run: ``python benchmarks/trees.py [--threads 2] [--rounds 5]``; scikit-learn is used if installed.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from napari_msd.cli.info import report
from napari_msd.native import set_threads
from napari_msd.trees import Forest, grow, library, reference

FEATURES, CLASSES, TREES, MIN_LEAF = 80, 3, 100, 3
Array = npt.NDArray[np.float32]
Timed = dict[str, tuple[float, float]]


def main() -> None:
    """Check, then time."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--samples", type=int, default=5000)
    parser.add_argument("--size", type=int, default=512, help="pixels of an image's edge")
    parser.add_argument("--numpy", action="store_true", help="time the trees in NumPy, too")
    options = parser.parse_args()
    set_threads(options.threads)
    print(next(line for line in report() if line.startswith("processor")), flush=True)
    random = np.random.default_rng(0)
    features, labels = samples(random, options.samples)
    pixels = smooth_planes(random, options.size)
    compiled = library.load()
    if compiled is None:
        raise SystemExit("The compiled trees were not built: there is nothing to time.")
    forest = grow(features, labels, CLASSES, trees=TREES, min_leaf=MIN_LEAF)
    check(forest, features, labels, pixels)
    growing: dict[str, Callable[[], object]] = {
        "compiled": lambda: grow(features, labels, CLASSES, trees=TREES, min_leaf=MIN_LEAF)
    }
    answering: dict[str, Callable[[], object]] = {"compiled": lambda: forest.probabilities(pixels)}
    quality = {"compiled": accuracy(lambda new: forest.probabilities(new.T).T)}
    other = scikit_learn(options.threads)
    if other is not None:
        other.fit(features, labels)
        quality["scikit-learn"] = accuracy(other.predict_proba)
        table = np.ascontiguousarray(pixels.T)  # as scikit-learn wants it; not timed
        growing["scikit-learn"] = lambda: other.fit(features, labels)
        answering["scikit-learn"] = lambda: other.predict_proba(table)
    if options.numpy:
        growing["NumPy"] = lambda: reference.grow(features, labels.astype(np.int32), None, growth())
        arrays = (forest.feature, forest.threshold, forest.child, forest.answers, forest.roots)
        answering["NumPy"] = lambda: reference.predict(*arrays, pixels)
    for name, share in quality.items():
        print(f"new samples classified rightly  {name:<13}{share:.3f}")
    count = f"{TREES} trees of {options.samples} samples, {FEATURES} features"
    say(f"growing {count}", timed(growing, options.rounds))
    say(f"classifying {options.size**2} pixels", timed(answering, options.rounds))


def samples(random: np.random.Generator, n: int) -> tuple[Array, npt.NDArray[np.int64]]:
    """Features (n, 80) and classes of n samples."""
    labels = random.integers(0, CLASSES, n)
    features = random.normal(size=(n, FEATURES)).astype(np.float32)
    features[:, :20] += 0.5 * labels[:, None]
    return features, labels


def smooth_planes(random: np.random.Generator, size: int) -> Array:
    """(80, size * size) features of pixels, alike in neighbours, of about unit variance."""
    planes = np.empty((FEATURES, size, size), dtype=np.float32)
    for plane in planes:
        noise = random.normal(size=(size, size))
        for axis in (0, 1):
            for _ in range(3):
                noise = sum(np.roll(noise, shift, axis) for shift in range(-2, 3))
        plane[:] = noise / noise.std()
    return planes.reshape(FEATURES, -1)


def growth() -> reference.Growth:
    """What `grow` hands on here."""
    return reference.Growth(np.ones(CLASSES), TREES, MIN_LEAF, round(FEATURES**0.5), 0, 0)


def check(forest: Forest, features: Array, labels: npt.NDArray[np.int64], pixels: Array) -> None:
    """Stop unless the compiled trees and their answers are those of NumPy."""
    expected = reference.grow(features, labels.astype(np.int32), None, growth())
    got = (forest.feature, forest.threshold, forest.child, forest.answers, forest.roots)
    same = all(np.array_equal(one, other) for one, other in zip(got, expected, strict=True))
    some = np.ascontiguousarray(pixels[:, :10_000])
    if not same or not np.array_equal(
        forest.probabilities(some), reference.predict(*expected, some)
    ):
        raise SystemExit("The compiled trees are not those of NumPy.")
    print(f"compiled trees are those of NumPy, bit for bit ({len(forest.feature)} nodes)")


def accuracy(answer: Callable[[Array], Array]) -> float:
    """The share of new samples that get their class."""
    features, labels = samples(np.random.default_rng(1), 20_000)
    return float((answer(features).argmax(axis=1) == labels).mean())


def scikit_learn(threads: int):  # noqa: ANN201 (it may not be installed)
    """scikit-learn's trees with the same settings, or None."""
    try:
        from sklearn.ensemble import ExtraTreesClassifier
    except ImportError:
        return None
    return ExtraTreesClassifier(
        TREES, min_samples_leaf=MIN_LEAF, max_features="sqrt", n_jobs=threads, random_state=0
    )


def timed(contestants: dict[str, Callable[[], object]], rounds: int) -> Timed:
    """The least seconds and processor seconds of each."""
    least = dict.fromkeys(contestants, (float("inf"), float("inf")))
    for _ in range(rounds):
        for name, work in contestants.items():
            start, cpu = time.perf_counter(), time.process_time()
            work()
            took = time.perf_counter() - start, time.process_time() - cpu
            least[name] = min(least[name][0], took[0]), min(least[name][1], took[1])
    return least


def say(what: str, results: Timed) -> None:
    """One line each."""
    print(what)
    for name, (seconds, cpu) in results.items():
        print(f"  {name:<13}{seconds:7.3f} s   {cpu:7.3f} s of processors")


if __name__ == "__main__":
    main()
