"""Make the starting weights that ship with the package.

Each step is a small question of its own: a picture, a few strokes on it. A read-out is fitted
to the strokes in closed form (ridge regression, as the trainer does it before its first step),
and the hidden layers learn what makes that fit right on the *unpainted* pixels, borders
included. So they become maps that are useful for whatever is painted next (Bertinetto et al.,
ICLR 2019, do this for classifying pictures).

The read-out is one of three, drawn anew for every question: of the maps alone (the network's own
outputs), of the maps beside usual filter responses, or of random waves of both, which answers
like a forest: not linear. The shipped weights were made with the first alone: with all
three the network starts worse, and trees answer no better (docs/learning.md). Half of the
questions have a second round, with strokes where the answer to the first was wrong.

The layers go on from an earlier version's (`EARLIER`, made by this script as it was then).

Needs no GPU; how the shipped weights were made stands beside them (start_weights.md). Run:
``python scripts/pretrain.py --nuclei FOLDER --families FOLDER``
(folders of images: see `pretrain_tasks.real`; without them all pictures are synthetic).
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from pretrain_tasks import SIDE, Task, corrections, families, task
from pretrain_tasks.fields import Random, log_uniform
from safetensors.torch import load_file, save_file
from torch import Tensor

from napari_msd import MSDNet
from napari_msd.native import set_threads
from napari_msd.training.ridge_head import RIDGE
from napari_msd.training.start_weights import START_DILATIONS

DEPTH = 30
EARLIER = Path(__file__).with_name("earlier_start_weights.safetensors")
"""Layers of napari-msd's first version: fewer and narrower tasks."""
STEPS = 6000
POOL = 400
"""Tasks at hand; one is replaced by a new one every `RENEW` steps."""
RENEW = 10
PATCHES, PATCH = 4, 96
JUDGED = 6000
"""Pixels of a question whose answers count: judging all of them teaches little more."""
WAVES = 128
LEARNING_RATE = 6e-4
RISE = 500
"""Steps until the learning rate is full."""
LABEL_SMOOTHING = 0.05
REVIVE, REVIVE_UNTIL = 200, 0.7
"""Steps between two looks for layers that give nothing, up to this share of all steps."""
FAINT, FAINT_COST = 0.25, 0.1
"""Standard deviation that each map should have, and the price of what is missing."""
SILENT = 2e-3
"""Standard deviation below which a map gives nothing; the image's is 1."""
SHOW = 500
"""Steps between two lines of the log, and between two writings of the file."""

AnyTask = TypeVar("AnyTask")

HEADS = ("maps", "responses", "waves")
"""What the read-out sees: maps alone, maps and filter responses, random waves of both."""
HEAD_SHARES = (1.0, 0.0, 0.0)


@dataclass(frozen=True)
class Question:
    """Patches of a task.

    `images` (n, 1, rows, columns); `responses` (n, m, rows, columns); `truth` and `strokes`
    (n, rows, columns), classes 0..k-1 that are painted somewhere, -1 = not known, not painted.
    """

    images: Tensor
    responses: Tensor
    truth: Tensor
    strokes: Tensor


class Learner:
    """A network whose outputs are its maps, and a read-out fitted anew for every question."""

    def __init__(
        self,
        seed: int,
        dilations: tuple[int, ...] = START_DILATIONS,
        depth: int = DEPTH,
        ndim: int = 2,
    ) -> None:
        n_maps = depth + 1
        self._ndim, self._taps = ndim, 3**ndim
        self.chance = torch.Generator().manual_seed(seed)
        self.network = MSDNet(
            1, n_maps, depth=depth, dilations=dilations, ndim=ndim, generator=self.chance
        )
        with torch.no_grad():
            self.network.output_weight.copy_(torch.eye(n_maps))
        self.network.output_weight.requires_grad_(False)
        self.network.output_bias.requires_grad_(False)
        self.log_ridge = torch.nn.Parameter(torch.full((len(HEADS),), -3.0))
        self.log_sharpness = torch.nn.Parameter(torch.ones(len(HEADS)))
        self.layers = [p for p in self.network.parameters() if p.requires_grad]
        self.activity = torch.ones(n_maps)
        """Running average of the standard deviation of every map."""

    def loss(self, random: Random, question: Question) -> Tensor:
        """Cross-entropy of chance pixels, classes weighing as roots of their size; and faintness.

        Without a price for faint maps two layers of three fell silent, and stayed so.
        """
        head = int(random.choice(len(HEADS), p=HEAD_SHARES))
        if HEADS[head] == "maps" and random.random() < 0.4:
            question = _on_another_image(random, question)
        maps = self.network(question.images).movedim(1, -1)
        some = (slice(None), *(slice(None, None, 3),) * self._ndim)
        spread = maps[some].flatten(0, self._ndim).std(0)
        self.activity.lerp_(spread.detach(), 0.03)
        seen = maps
        if HEADS[head] != "maps":
            seen = torch.cat([maps, question.responses.movedim(1, -1)], dim=-1)
        strokes = question.strokes
        if self._ndim == 2 and random.random() < 0.5:
            strokes = self._corrected(random, head, seen.detach(), question)
        painted, asked = strokes >= 0, question.truth >= 0
        places = asked.flatten().nonzero()[:, 0]
        places = places[torch.from_numpy(random.integers(len(places), size=JUDGED))]
        known, unknown = seen[painted], seen.flatten(0, self._ndim)[places]
        if HEADS[head] == "waves":
            known, unknown = _waves(random, known, unknown)
        truth = question.truth.flatten()[places]
        weight = self._read_out(head, known, strokes[painted])
        logits = (unknown @ weight[:-1] + weight[-1]) * 3 * self.log_sharpness[head].exp()
        counts = torch.bincount(truth, minlength=logits.shape[-1]).float()
        importance = torch.where(counts > 0, counts.clamp(min=1).rsqrt(), counts)
        return (
            F.cross_entropy(logits, truth, weight=importance, label_smoothing=LABEL_SMOOTHING)
            + FAINT_COST * (FAINT - spread).clamp(min=0).sum()
        )

    @torch.no_grad()
    def _corrected(self, random: Random, head: int, seen: Tensor, question: Question) -> Tensor:
        """The strokes, and dabs where a linear read-out of them answers wrong."""
        strokes = question.strokes.clone()
        painted = strokes >= 0
        weight = self._read_out(head, seen[painted], strokes[painted])
        found = (seen @ weight[:-1] + weight[-1]).argmax(-1)
        for i in range(len(strokes)):
            dabs = corrections(random, question.truth[i].numpy(), found[i].numpy())
            where = torch.from_numpy(dabs)
            strokes[i][where] = question.truth[i][where]
        return strokes

    @torch.no_grad()
    def revive(self, optimiser: torch.optim.Optimizer) -> int:
        """Draw layers that give nothing anew; returns how many there were.

        A ReLU that is 0 everywhere has no gradient and would stay so. Later layers begin by
        not looking at the new one, so that their maps are what they were. Sokar et al., The
        dormant neuron phenomenon in deep reinforcement learning, ICML 2023.
        """
        silent = (self.activity < SILENT).nonzero()[:, 0].tolist()
        for number in silent:  # map i + 1 is that of layer i, which sees the maps before it
            scale = self.activity[:number].clamp(min=SILENT)
            alive = self.activity[:number] >= SILENT
            drawn = torch.randn(number, self._taps, generator=self.chance)
            drawn *= (alive / scale)[:, None] * math.sqrt(2 / (self._taps * int(alive.sum())))
            self._filters(self.network.weight, number).copy_(drawn)
            self.network.bias[number - 1] = 0
            self.activity[number] = 1
            for later in range(number + 1, len(self.activity)):
                self._filters(self.network.weight, later)[number] = 0
            for name in ("exp_avg", "exp_avg_sq"):
                self._filters(optimiser.state[self.network.weight][name], number).zero_()
                optimiser.state[self.network.bias][name][number - 1] = 0
        return len(silent)

    def _filters(self, packed: Tensor, number: int) -> Tensor:
        """(maps, 9 or 27), a view: the filters that make a map from all maps before it."""
        start = self._taps * number * (number - 1) // 2
        return packed[start : start + self._taps * number].view(number, self._taps)

    def _read_out(self, head: int, seen: Tensor, truth: Tensor) -> Tensor:
        """As `training.ridge_head`, but differentiable, and with filters a learned ridge."""
        k = int(truth.max()) + 1
        seen = torch.cat([seen, torch.ones_like(seen[:, :1])], dim=1).double()
        weights = torch.bincount(truth, minlength=k).double().clamp(min=1).rsqrt()[truth]
        weighted = seen * (weights / weights.sum())[:, None]
        # the maps alone are used with the trainer's ridge, which says how large they should be
        size = RIDGE if HEADS[head] == "maps" else 0.1 * self.log_ridge[head].double().exp()
        ridge = torch.as_tensor(size, dtype=torch.double).expand(seen.shape[1] - 1)
        ridge = torch.cat([ridge, ridge.new_tensor([1e-3])])
        wanted = F.one_hot(truth, k).double() - 1 / k
        return torch.linalg.solve(seen.T @ weighted + ridge.diag(), weighted.T @ wanted).float()


def _on_another_image(random: Random, question: Question) -> Question:
    """Half of the patches as of another image: unpainted, brighter or darker, softer or harder.

    As it was where the other half lacks strokes of a class.
    """
    half = len(question.strokes) // 2
    strokes = question.strokes.clone()
    strokes[half:] = -1
    if len(strokes.unique()) < len(question.strokes.unique()):
        return question
    images = question.images.clone()
    images[half:] = images[half:] * log_uniform(random, 0.75, 1.33) + random.normal(0, 0.25)
    return replace(question, images=images, strokes=strokes)


def _waves(random: Random, known: Tensor, unknown: Tensor) -> tuple[Tensor, Tensor]:
    """Cosines of chance directions: ridge regression on them is near one with a Gaussian kernel.

    The kernel's width is drawn too. Rahimi & Recht, NIPS 2007.
    """
    scale = unknown.detach().std(0) + 1e-2
    n = known.shape[1]
    width = math.sqrt(n) * random.uniform(0.5, 1.5)
    directions = torch.from_numpy(random.standard_normal((n, WAVES)) / width).float()
    directions = directions / scale[:, None]
    phases = torch.from_numpy(random.uniform(0, 2 * np.pi, WAVES)).float()
    both = [(seen @ directions + phases).cos() for seen in (known, unknown)]
    return both[0], both[1]


def question_of(random: Random, task: Task) -> Question | None:
    """Patches of a task; None where fewer than two classes are painted in them."""
    strokes = task.strokes[random.integers(len(task.strokes))]
    corners = random.integers(0, SIDE - PATCH + 1, (PATCHES, 2))
    cut = [(..., slice(y, y + PATCH), slice(x, x + PATCH)) for y, x in corners]
    painted = np.stack([strokes[c] for c in cut])
    present = [int(value) for value in np.unique(painted) if value]
    if len(present) < 2:
        return None
    index = np.full(256, -1)
    index[present] = np.arange(len(present))
    quarter, mirrored = int(random.integers(4)), bool(random.integers(2))

    def turned(patches: npt.NDArray[np.generic]) -> Tensor:
        patches = patches[..., ::-1] if mirrored else patches
        return torch.from_numpy(np.ascontiguousarray(np.rot90(patches, quarter, (-2, -1))))

    truth, images, responses = (
        np.stack([plane[c] for c in cut]) for plane in (task.truth, task.image, task.responses)
    )
    return Question(
        turned(images)[:, None].float(),
        turned(responses).float(),
        turned(index[truth]),
        turned(index[painted]),
    )


def save(network: MSDNet, path: Path) -> None:
    """The hidden layers alone."""
    layers = {k: v for k, v in network.state_dict().items() if k.startswith("layers.")}
    save_file({k: v.contiguous() for k, v in layers.items()}, path)


def train(
    learner: Learner,
    random: Random,
    pool: list[AnyTask],
    ask: Callable[[Random, AnyTask], Question | None],
    new_task: Callable[[], AnyTask],
    steps: int,
    output: Path,
) -> None:
    """Learn from the tasks of a pool, and write the hidden layers now and then.

    Parameters
    ----------
    learner
        What learns.
    random
        Source of chance.
    pool
        Tasks at hand; one is replaced every `RENEW` steps.
    ask
        Makes a question of a task; None where that task has none now.
    new_task
        Makes a task.
    steps
        How many.
    output
        The file written.
    """
    optimiser = torch.optim.Adam(
        [
            {"params": learner.layers},
            {"params": [learner.log_ridge, learner.log_sharpness], "lr": 1e-2},
        ],
        lr=LEARNING_RATE,
    )
    began, step, revived, losses = time.monotonic(), 0, 0, []
    while step < steps:
        question = ask(random, pool[random.integers(len(pool))])
        if question is None:
            continue
        # a cosine from the full rate to a fiftieth, after a short rise
        fall = 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / steps))
        optimiser.param_groups[0]["lr"] = LEARNING_RATE * fall * min(1, (step + 1) / RISE)
        loss = learner.loss(random, question)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learner.layers, 1.0)
        optimiser.step()
        step += 1
        losses.append(float(loss.detach()))
        if step % REVIVE == 0 and step <= REVIVE_UNTIL * steps:
            revived += learner.revive(optimiser)
        if step % RENEW == 0:
            pool[random.integers(len(pool))] = new_task()
        if step % SHOW == 0 or step == steps:
            save(learner.network, output)
            minutes = (time.monotonic() - began) / 60
            recent = f"loss {np.mean(losses[-SHOW:]):.4f}, {revived} layers drawn anew"
            print(f"{minutes:5.1f} min  {step:6d}  {recent}", flush=True)


def learn(arguments: argparse.Namespace) -> None:
    """Learn, and write the hidden layers now and then."""
    random = np.random.default_rng(arguments.seed)
    known = families(arguments.nuclei, arguments.families)
    pool = [task(random, known) for _ in range(POOL)]
    learner = Learner(arguments.seed, arguments.dilations)
    if arguments.start is not None:
        state = learner.network.state_dict()
        learner.network.load_state_dict(state | load_file(arguments.start))
    train(
        learner,
        random,
        pool,
        question_of,
        lambda: task(random, known),
        arguments.steps,
        arguments.output,
    )
    ridge, sharpness = 0.1 * learner.log_ridge.exp(), 3 * learner.log_sharpness.exp()
    print(f"ridge {ridge.tolist()}, sharpness {sharpness.tolist()} of {HEADS}")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nuclei", type=Path, help="folder of the CC0 images of nuclei")
    parser.add_argument("--families", type=Path, help="folder of the families' folders")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start", type=Path, default=EARLIER, help="layers to go on from")
    parser.add_argument("--from-nothing", dest="start", action="store_const", const=None)
    parser.add_argument(
        "--dilations",
        type=lambda text: tuple(int(part) for part in text.split(",")),
        default=START_DILATIONS,
        help="cycle of dilations, such as 1,2,4,8",
    )
    parser.add_argument("-o", "--output", type=Path, default=Path("start_weights.safetensors"))
    torch.set_num_threads(1)
    set_threads(1)
    learn(parser.parse_args())


if __name__ == "__main__":
    main()
