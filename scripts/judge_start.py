"""Say how good a file of starting weights is on real images, next to usual filters.

Strokes of a simulated annotator on image 00 of every family, 0.5 % and 2 % of it; three
answers are learned from them: a forest on the maps, a forest on the maps and on
scikit-image's multiscale features, and the read-out that the trainer fits to the maps. Printed
is the mean IoU of the classes on image 00 without its strokes, and on image 01. Without weights:
a forest on the features alone.

``python scripts/judge_start.py FOLDER --weights FILE --families retina_vessels he_tissue``
(FOLDER: a folder for each family, with NN-image.tif and NN-labels.tif, 0 = not known; needs
scikit-learn.)
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tifffile
import torch
from safetensors.torch import load_file
from skimage.feature import multiscale_basic_features

from napari_msd import MSDNet
from napari_msd.native import set_threads
from napari_msd.training.ridge_head import fit_readout, maps_of
from napari_msd.training.start_weights import START_DILATIONS

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
from _annotator import paint

DEVELOPMENT = ("glass_fibre_ct", "he_tissue", "neurites_fluo", "retina_vessels")
"""Families that no weights may learn from."""
AMOUNTS = (0.005, 0.02)
SCORED = 60_000
"""Pixels of an image that are scored, by chance but always the same ones."""

Stack = npt.NDArray[np.float32]
Classes = npt.NDArray[np.uint8]


def network_of(weights: Path, dilations: tuple[int, ...], channels: int) -> MSDNet:
    """A network with the hidden layers of a file; several channels are seen as their mean."""
    layers = load_file(weights)
    depth = sum(key.endswith(".bias") for key in layers)
    network = MSDNet(channels, 1, depth=depth, dilations=dilations)
    state = network.state_dict()
    for key, value in layers.items():
        if key.endswith(".weight"):
            image = (value[:, :1] / channels).expand(-1, channels, -1, -1)
            value = torch.cat([image, value[:, 1:]], dim=1)
        state[key] = value
    network.load_state_dict(state)
    return network


def image_and_truth(folder: Path, number: int) -> tuple[Stack, Classes]:
    """(channels, rows, columns), each of zero mean and unit standard deviation, and classes."""
    image = np.atleast_3d(tifffile.imread(folder / f"{number:02}-image.tif")).astype(np.float32)
    image = np.moveaxis(image, -1, 0)
    mean, spread = image.mean((1, 2), keepdims=True), image.std((1, 2), keepdims=True)
    return (image - mean) / (spread + 1e-6), tifffile.imread(folder / f"{number:02}-labels.tif")


def features_of(image: Stack) -> Stack:
    """(features, rows, columns)."""
    features = multiscale_basic_features(image, sigma_min=0.5, sigma_max=16, channel_axis=0)
    return np.moveaxis(np.asarray(features, np.float32), -1, 0)


def mean_iou(truth: Classes, found: Classes) -> float:
    """Mean over the classes of `truth`."""
    ious = []
    for value in np.unique(truth):
        both = ((truth == value) & (found == value)).sum()
        ious.append(both / ((truth == value) | (found == value)).sum())
    return float(np.mean(ious))


Answer = Callable[[Stack], Classes]
"""From (features, pixels) to classes."""


def forest(seen: Stack, classes: Classes) -> Answer:
    """Fitted to (features, pixels) and their classes."""
    from sklearn.ensemble import ExtraTreesClassifier  # all else works without

    trees = ExtraTreesClassifier(
        50, min_samples_leaf=3, class_weight="balanced", random_state=0
    ).fit(seen.T, classes)
    return lambda pixels: trees.predict(pixels.T)


def read_out(network: MSDNet, image: Stack, strokes: Classes) -> Answer:
    """The trainer's first answer."""
    values = np.unique(strokes[strokes > 0])
    labels = np.where(strokes > 0, np.searchsorted(values, strokes), -1)
    weight, bias = fit_readout(
        network, torch.from_numpy(image)[None], torch.from_numpy(labels)[None], len(values)
    )

    def answer(maps: Stack) -> Classes:
        return values[(weight.numpy() @ maps + bias.numpy()[:, None]).argmax(0)]

    return answer


class Judged:
    """A family's two images, the features of which are read from `cache` where they lie there."""

    def __init__(self, folder: Path, cache: Path | None) -> None:
        self.name = folder.name
        self.images, self.truths = zip(*(image_and_truth(folder, n) for n in (0, 1)), strict=True)
        self.features = [self._features(n, cache) for n in (0, 1)]

    def _features(self, number: int, cache: Path | None) -> Stack:
        path = cache / f"{self.name}-{number}.npy" if cache is not None else None
        if path is not None and path.exists():
            return np.load(path).astype(np.float32)
        features = features_of(self.images[number])
        if path is not None:
            np.save(path, features.astype(np.float16))
        return features

    def scores(self, network: MSDNet | None) -> dict[str, list[float]]:
        """Per answer: here and there, for every amount of strokes."""
        maps: list[Stack] = []
        if network is not None:
            maps = [maps_of(network, torch.from_numpy(im)[None])[0].numpy() for im in self.images]
        found: dict[str, list[float]] = {}
        for amount in AMOUNTS:
            strokes = paint(self.truths[0], amount, np.random.default_rng(5))
            for name, stacks in self._stacks(maps).items():
                painted = strokes > 0
                if name == "read-out":
                    assert network is not None
                    answer = read_out(network, self.images[0], strokes)
                else:
                    answer = forest(stacks[0][:, painted], strokes[painted])
                found.setdefault(name, []).extend(
                    self._score(answer, stacks[n], n, strokes) for n in (0, 1)
                )
        return found

    def _stacks(self, maps: list[Stack]) -> dict[str, list[Stack]]:
        if not maps:
            return {"features": self.features}
        both = [np.concatenate(pair) for pair in zip(maps, self.features, strict=True)]
        return {"maps": maps, "both": both, "read-out": maps}

    def _score(self, answer: Answer, stack: Stack, number: int, strokes: Classes) -> float:
        truth = self.truths[number]
        places = (truth > 0) & (strokes == 0) if number == 0 else truth > 0
        rows, columns = np.nonzero(places)
        if len(rows) > SCORED:
            some = np.random.default_rng(1).choice(len(rows), SCORED, replace=False)
            rows, columns = rows[some], columns[some]
        return mean_iou(truth[rows, columns], answer(stack[:, rows, columns]))


def main() -> None:
    """Print a line per family and answer, and the means."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder of the families' folders")
    parser.add_argument("--weights", type=Path)
    parser.add_argument(
        "--dilations",
        type=lambda text: tuple(int(part) for part in text.split(",")),
        default=START_DILATIONS,
    )
    parser.add_argument("--families", nargs="+", default=DEVELOPMENT)
    parser.add_argument("--cache", type=Path, help="folder that keeps the filter features")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    set_threads(1)
    heads = " ".join(f"{place:>5} {amount:5.1%}" for amount in AMOUNTS for place in ("00", "01"))
    print(f"{'family':22} {'answer':9} {heads}")
    every: dict[str, list[list[float]]] = {}
    for name in arguments.families:
        judged, network = Judged(arguments.folder / name, arguments.cache), None
        if arguments.weights is not None:
            channels = judged.images[0].shape[0]
            network = network_of(arguments.weights, arguments.dilations, channels)
        for answer, scores in judged.scores(network).items():
            every.setdefault(answer, []).append(scores)
            print(f"{name:22} {answer:9} " + " ".join(f"{s:11.3f}" for s in scores), flush=True)
    for answer, rows in every.items():
        means = np.mean(rows, axis=0)
        print(f"{'mean':22} {answer:9} " + " ".join(f"{s:11.3f}" for s in means))


if __name__ == "__main__":
    main()
