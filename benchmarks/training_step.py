"""Steps per second of the real trainer, and what they are spent on.

One image of 512 x 512 pixels, five classes, preset quick: patches, pass, loss, ADAM, trees and
measuring as in the window, without the window. On a GPU with the compiled core each way of doing
steps is timed in turn, and "pass" is how long the CPU waits for it or launches it: what the GPU
does meanwhile costs nothing. The last loss is printed so that ways can be compared.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _shapes import shapes

from napari_msd.core.box import Box
from napari_msd.core.settings import Settings
from napari_msd.core.space import NetworkInput
from napari_msd.native.device import cores_to_ourselves, describe_device
from napari_msd.training import Trainer
from napari_msd.training.learner import Learner
from napari_msd.training.stepper import WAY_VARIABLE
from napari_msd.training.stroke_trees import StrokeTrees
from napari_msd.training.training_data import TrainingData

WAYS = {"cpu": ("float32",), "cuda": ("float32", "float16", "float32-graph", "float16-graph")}
PARTS: dict[str, tuple[type, str]] = {
    "patches": (TrainingData, "draw"),
    "pass": (Learner, "learn"),
    "trees": (StrokeTrees, "update"),
    "measuring": (Trainer, "measure"),
}
"""What is timed; trees grow inside measuring, and are taken off it."""


def main() -> None:
    """Time each way on the device that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda", "torch"))
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--depth", type=int, default=30)
    parser.add_argument("--way", action="append", help="only this one; may be repeated")
    parser.add_argument("--json", type=Path, help="a file for the figures")
    options = parser.parse_args()
    device = describe_device(options.device)
    print(device.text)
    settings = Settings.from_preset("quick", device=options.device, depth=options.depth)
    spent: Counter[str] = Counter()
    for name, (owner, method) in PARTS.items():
        setattr(owner, method, timed(getattr(owner, method), name, spent))
    figures = {}
    print(f"{'':15} steps/s  ms/step {' '.join(f'{name:>9}' for name in (*PARTS, 'rest'))}   loss")
    with cores_to_ourselves(options.device):
        for way in options.way or WAYS.get(device.backend, ("float32",)):
            os.environ[WAY_VARIABLE] = way
            figures[way] = row = one_way(settings, options.steps, spent)
            parts = " ".join(f"{row[name]:9.2f}" for name in (*PARTS, "rest"))
            print(f"{way:15} {1000 / row['ms']:7.1f} {row['ms']:8.2f} {parts} {row['loss']:6.3f}")
    if options.json:
        found = {"device": device.text, "steps": options.steps, "ways": figures}
        options.json.write_text(json.dumps(found))


def timed(function: Callable[..., Any], name: str, spent: Counter[str]) -> Callable[..., Any]:
    """`function`, whose seconds are added to ``spent[name]``."""

    def call(*args: Any, **kwargs: Any) -> Any:
        began = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            spent[name] += time.perf_counter() - began

    return call


def one_way(settings: Settings, steps: int, spent: Counter[str]) -> dict[str, float]:
    """Milliseconds per step, in all and for each part, after 20 steps that are not timed."""
    image, truth = shapes(np.random.default_rng(0))
    everything = Box.whole(0, image.shape)
    trainer = Trainer(settings, NetworkInput())
    trainer.set_pixels(everything, image)
    trainer.paint(everything, strokes(truth))
    for _ in range(20):
        trainer.step()
    spent.clear()
    began = time.perf_counter()
    losses = [trainer.step() for _ in range(steps)]
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    whole = time.perf_counter() - began
    spent["measuring"] -= spent["trees"]
    spent["rest"] = whole - sum(spent[name] for name in PARTS)
    found = {name: 1000 * spent[name] / steps for name in (*PARTS, "rest")}
    return {"ms": 1000 * whole / steps, "loss": float(np.mean(losses[-50:])), **found}


def strokes(truth: np.ndarray) -> np.ndarray:
    """Classes 1 to 5 along a few rows; 1 is the ground."""
    painted = np.zeros(truth.shape, np.uint8)
    for row in range(40, len(truth), 64):
        painted[row : row + 3] = np.minimum(truth[row : row + 3], 4) + 1
    return painted


if __name__ == "__main__":
    main()
