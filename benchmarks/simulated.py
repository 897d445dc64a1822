"""The paper's experiment: how well networks of different depth learn simulated objects.

Networks of width 1 are trained on images as of Fig. 4 of Pelt & Sethian (2018), one new image
a step, and scored on images that were never trained on, by class accuracy: the share of a
class's pixels that is recognised, averaged over the six classes and the background. The
paper trained on 100 000 images; here the time is given. Our figures are printed beside
its, with how many images they took. ``--save`` writes the accuracy on the way to a
table that ``scripts/simulated_curve.py`` draws.

Run: ``python benchmarks/simulated.py [--depths 25 50 100 200] [--seconds 600] [--device cpu]``
"""

from __future__ import annotations

import argparse
import copy
import csv
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from _shapes import COMBINATIONS, shapes

from napari_msd import MSDNet
from napari_msd.cli.info import report
from napari_msd.training import cores_to_ourselves

N_CLASSES = len(COMBINATIONS) + 1
PAPER = {
    (25, "1..10"): 42.2,
    (50, "1..10"): 73.6,
    (100, "1..10"): 87.4,
    (200, "1..10"): 94.0,
    (25, "1,2,4,8,16"): 49.9,
    (50, "1,2,4,8,16"): 80.5,
    (100, "1,2,4,8,16"): 90.2,
    (200, "1,2,4,8,16"): 93.8,
}
"""Class accuracy in per cent after 100 000 images, read off the paper's Fig. 5."""
DILATIONS = {"1..10": tuple(range(1, 11)), "1,2,4,8,16": (1, 2, 4, 8, 16)}
TEST_IMAGES = 10
MEASURED = 40
"""Times in all that the accuracy is measured on the way."""
LEARNING_RATE = 1e-3
AVERAGE = 0.999
"""Of the weights, over steps: the last ones of a constant learning rate jump about."""

Pair = tuple[torch.Tensor, torch.Tensor]


def pair(random: np.random.Generator, side: int, device: str) -> Pair:
    """An image (1, 1, side, side), and its classes (1, side, side)."""
    image, labels = shapes(random, side, objects=60 * side * side // 512**2)
    return torch.from_numpy(image)[None, None].to(device), torch.from_numpy(labels)[None].to(device)


@torch.no_grad()
def class_accuracy(network: MSDNet, images: list[Pair]) -> float:
    """Mean over the classes of the share of their pixels that is recognised, in per cent."""
    right, all_ = torch.zeros(N_CLASSES), torch.zeros(N_CLASSES)
    for image, labels in images:
        found = network(image).argmax(1)
        all_ += torch.bincount(labels.flatten(), minlength=N_CLASSES).cpu()
        right += torch.bincount(labels[found == labels], minlength=N_CLASSES).cpu()
    return 100 * float((right / all_)[all_ > 0].mean())


def experiment(depth: int, name: str, arguments: argparse.Namespace) -> None:
    """Train one network for the given time, and print how far it came."""
    device, side = arguments.device, arguments.side
    test_random = np.random.default_rng(10_000 + arguments.seed)
    tests = [pair(test_random, side, device) for _ in range(TEST_IMAGES)]
    random = np.random.default_rng(arguments.seed)
    network = MSDNet(
        1,
        N_CLASSES,
        depth=depth,
        dilations=DILATIONS[name],
        generator=torch.Generator().manual_seed(arguments.seed),
    ).to(device)
    average = copy.deepcopy(network)
    optimiser = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)
    steps, told = 0, 0
    began = time.perf_counter()
    while (elapsed := time.perf_counter() - began) < arguments.seconds:
        image, labels = pair(random, side, device)
        loss = F.cross_entropy(network(image), labels)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        steps += 1
        with torch.no_grad():
            keep = min(AVERAGE, steps / (steps + 10))
            for mean, now in zip(average.parameters(), network.parameters(), strict=True):
                mean.lerp_(now, 1 - keep)
        if elapsed > (told + 1) * arguments.seconds / MEASURED:
            told += 1
            accuracy = class_accuracy(average, tests)
            print(f"    {elapsed:6.0f} s, {steps:6d} images: {accuracy:5.1f} %", flush=True)
            if arguments.save:
                with arguments.save.open("a", newline="", encoding="utf-8") as file:
                    csv.writer(file).writerow([depth, name, steps, round(elapsed), accuracy])
    accuracy = class_accuracy(average, tests)
    print(
        f"depth {depth:3d}  dilations {name:<11} {network.n_parameters:7d} parameters  "
        f"{steps:6d} images  ours {accuracy:5.1f} %  paper (100 000 images) {PAPER[depth, name]} %",
        flush=True,
    )


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--depths", type=int, nargs="+", default=[25], choices=[25, 50, 100, 200])
    parser.add_argument("--dilations", nargs="+", default=list(DILATIONS), choices=list(DILATIONS))
    parser.add_argument("--seconds", type=float, default=300, help="per network")
    parser.add_argument("--side", type=int, default=512, help="of the images, in pixels")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save", type=Path, help="table of the curve, .csv, added to")
    arguments = parser.parse_args()
    print(*report(), sep="\n")
    with cores_to_ourselves(arguments.device):
        for name in arguments.dilations:
            for depth in arguments.depths:
                experiment(depth, name, arguments)


if __name__ == "__main__":
    main()
