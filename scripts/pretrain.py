"""Make the starting weights that ship with the package.

Each step is a small question of its own: a picture, a few strokes on it. The final 1x1
convolution is fitted to the strokes in closed form (ridge regression, as the trainer does it
before its first step), and the hidden layers learn what makes that fit right on all the *unpainted*
pixels, borders included. So they become maps that are useful for whatever is painted next
(Bertinetto et al., ICLR 2019, do this for classifying pictures).

Needs no GPU; how the shipped weights were made stands beside them (start_weights.md). Run:
``python scripts/pretrain.py --images FOLDER --minutes 45``
(FOLDER: pairs NAME-image.tif, NAME-instances.tif; only those of `PHOTOGRAPHS` are used).
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from pretrain_tasks import Task, photographs, task
from safetensors.torch import save_file
from torch import Tensor

from napari_msd import MSDNet
from napari_msd.native import set_threads
from napari_msd.training.start import START_DILATIONS

DEPTH = 30
PHOTOGRAPHS = ("00", "03", "05", "06", "10", "16", "18")
"""Data Science Bowl images (CC0), all of them of the tuning set of benchmarks/scribbles.py."""
POOL = 500
"""Tasks at hand; one is replaced by a new one every `RENEW` steps."""
RENEW = 40
PATCHES, PATCH = 4, 96
LEARNING_RATE = 2e-3
LABEL_SMOOTHING = 0.05

Batch = tuple[Tensor, Tensor, Tensor]


class Learner:
    """A network whose outputs are its maps, and a read-out fitted anew for every question."""

    def __init__(self, seed: int) -> None:
        torch.manual_seed(seed)
        n_maps = DEPTH + 1
        self.network = MSDNet(1, n_maps, depth=DEPTH, dilations=START_DILATIONS)
        with torch.no_grad():
            self.network.output_weight.copy_(torch.eye(n_maps))
        self.network.output_weight.requires_grad_(False)
        self.network.output_bias.requires_grad_(False)
        self.log_ridge = torch.nn.Parameter(torch.tensor(-3.0))
        self.log_sharpness = torch.nn.Parameter(torch.tensor(1.0))
        self.layers = [p for p in self.network.parameters() if p.requires_grad]

    def logits(self, images: Tensor, strokes: Tensor) -> Tensor:
        """(n, rows, columns, k) from strokes of classes 0..k-1, -1 = unpainted."""
        maps = self.network(images).movedim(1, -1)
        painted = strokes >= 0
        weight = self._read_out(maps[painted], strokes[painted])
        return (maps @ weight[:-1] + weight[-1]) * 3 * self.log_sharpness.exp()

    def _read_out(self, maps: Tensor, truth: Tensor) -> Tensor:
        """As napari_msd.training.readout, but differentiable and with a ridge that is learned."""
        k = int(truth.max()) + 1
        maps = torch.cat([maps, torch.ones_like(maps[:, :1])], dim=1).double()
        weights = torch.bincount(truth, minlength=k).double().clamp(min=1).rsqrt()[truth]
        weighted = maps * (weights / weights.sum())[:, None]
        ridge = 0.1 * self.log_ridge.double().exp().expand(maps.shape[1] - 1)
        ridge = torch.cat([ridge, ridge.new_tensor([1e-3])])
        wanted = F.one_hot(truth, k).double() - 1 / k
        return torch.linalg.solve(maps.T @ weighted + ridge.diag(), weighted.T @ wanted).float()


def question(random: np.random.Generator, task: Task) -> Batch | None:
    """Patches, classes and strokes of a task; None where fewer than two classes are painted.

    Classes that are not painted in these patches are -1 in both.
    """
    strokes = task.strokes[random.integers(len(task.strokes))]
    corners = random.integers(0, task.image.shape[0] - PATCH + 1, (PATCHES, 2))
    cut = [(slice(y, y + PATCH), slice(x, x + PATCH)) for y, x in corners]
    images, truth, painted = (
        np.stack([plane[c] for c in cut]) for plane in (task.image, task.truth, strokes)
    )
    present = [int(value) for value in np.unique(painted) if value]
    if len(present) < 2:
        return None
    index = np.full(256, -1)
    index[present] = np.arange(len(present))
    quarter, mirrored = int(random.integers(4)), bool(random.integers(2))

    def turned(patches: npt.NDArray[np.generic]) -> Tensor:
        patches = patches[:, :, ::-1] if mirrored else patches
        return torch.from_numpy(np.ascontiguousarray(np.rot90(patches, quarter, (1, 2))))

    sign = -1 if random.random() < 0.2 else 1
    return turned(sign * images)[:, None].float(), turned(index[truth]), turned(index[painted])


def loss_of(learner: Learner, batch: Batch) -> Tensor:
    """Cross-entropy on all pixels of the painted classes, these weighing as roots of their size."""
    images, truth, strokes = batch
    logits = learner.logits(images, strokes)
    asked = truth >= 0
    counts = torch.bincount(truth[asked], minlength=logits.shape[-1]).float()
    weight = torch.where(counts > 0, counts.clamp(min=1).rsqrt(), counts)
    return F.cross_entropy(
        logits[asked], truth[asked], weight=weight, label_smoothing=LABEL_SMOOTHING
    )


def main() -> None:
    """Learn, and write the hidden layers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, help="folder of CC0 photographs")
    parser.add_argument("--minutes", type=float, default=45)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, default=Path("start_weights.safetensors"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    set_threads(1)
    random = np.random.default_rng(arguments.seed)
    pictures = photographs(arguments.images, PHOTOGRAPHS)
    pool = [task(random, pictures) for _ in range(POOL)]
    learner = Learner(arguments.seed)
    optimiser = torch.optim.Adam(
        [
            {"params": learner.layers},
            {"params": [learner.log_ridge, learner.log_sharpness], "lr": 1e-2},
        ],
        lr=LEARNING_RATE,
    )
    began, steps, losses = time.monotonic(), 0, []
    while (done := (time.monotonic() - began) / 60 / arguments.minutes) < 1:
        batch = question(random, pool[random.integers(POOL)])
        if batch is None:
            continue
        # a cosine from the full rate to a fiftieth, after a short rise
        fall = 0.02 + 0.98 * 0.5 * (1 + np.cos(np.pi * done))
        optimiser.param_groups[0]["lr"] = LEARNING_RATE * fall * min(1, (steps + 1) / 300)
        loss = loss_of(learner, batch)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learner.layers, 1.0)
        optimiser.step()
        steps += 1
        losses.append(float(loss.detach()))
        if steps % RENEW == 0:
            pool[random.integers(POOL)] = task(random, pictures)
        if steps % 1000 == 0:
            print(f"{done:4.0%}  step {steps:6d}  loss {np.mean(losses[-1000:]):.4f}", flush=True)
    layers = {k: v for k, v in learner.network.state_dict().items() if k.startswith("layers.")}
    save_file({k: v.contiguous() for k, v in layers.items()}, arguments.output)
    print(f"{steps} steps; written to {arguments.output}")


if __name__ == "__main__":
    main()
