"""Make the 3-D starting weights that ship with the package.

The method of `pretrain.py` on synthetic volumes (`pretrain_tasks.volumes`): strokes on a few
slices, a read-out fitted to them, and hidden layers that learn what makes it right on all voxels.
The layers go on from the shipped 2-D ones, whose filters lie in the middle slice of the 3-D ones at
first. Run: ``python scripts/pretrain_volumes.py``. Needs no GPU.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from pretrain import Learner, Question, train
from pretrain_tasks.fields import Random
from pretrain_tasks.volumes import SIDE, VolumeTask, volume_task
from torch import Tensor

from napari_msd.native import set_threads
from napari_msd.training.start_weights import START_DILATIONS, shipped_layers

DEPTH = 12
STEPS = 5000
POOL = 150
PATCHES, PATCH = 2, 32


def question_of(random: Random, task: VolumeTask) -> Question | None:
    """Patches of a task around strokes; None where fewer than two classes are painted in them."""
    strokes = task.strokes[random.integers(len(task.strokes))]
    painted_at = np.argwhere(strokes)
    if not len(painted_at):
        return None
    middles = painted_at[random.integers(len(painted_at), size=PATCHES)]
    middles = middles + random.integers(-PATCH // 4, PATCH // 4 + 1, middles.shape)
    corners = np.clip(middles - PATCH // 2, 0, SIDE - PATCH)
    cut = [tuple(slice(a, a + PATCH) for a in corner) for corner in corners]
    painted = np.stack([strokes[c] for c in cut])
    present = [int(value) for value in np.unique(painted) if value]
    if len(present) < 2:
        return None
    index = np.full(256, -1)
    index[present] = np.arange(len(present))
    quarter, *mirrored = (int(random.integers(n)) for n in (4, 2, 2))

    def turned(patches: npt.NDArray[np.generic]) -> Tensor:
        patches = np.rot90(patches, quarter, (-2, -1))
        for axis, flip in zip((-1, -3), mirrored, strict=True):
            patches = np.flip(patches, axis) if flip else patches
        return torch.from_numpy(np.ascontiguousarray(patches))

    images = turned(np.stack([task.image[c] for c in cut]))[:, None].float()
    truth = turned(index[np.stack([task.truth[c] for c in cut])])
    return Question(images, torch.empty(0), truth, turned(index[painted]))


def inflated(learner: Learner) -> None:
    """Begin with the shipped 2-D filters in the middle slice."""
    state = learner.network.state_dict()
    for name, flat in shipped_layers().items():
        if name not in state:
            continue
        if name.endswith("bias"):
            state[name] = flat
        else:
            state[name] = torch.zeros_like(state[name])
            state[name][..., 1, :, :] = flat
    learner.network.load_state_dict(state)


def learn(arguments: argparse.Namespace) -> None:
    """Learn, and write the hidden layers now and then."""
    random = np.random.default_rng(arguments.seed)
    pool = [volume_task(random) for _ in range(POOL)]
    learner = Learner(arguments.seed, START_DILATIONS, DEPTH, ndim=3)
    inflated(learner)
    train(
        learner,
        random,
        pool,
        question_of,
        lambda: volume_task(random),
        arguments.steps,
        arguments.output,
    )


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, default=Path("start_weights_3d.safetensors"))
    torch.set_num_threads(1)
    set_threads(1)
    learn(parser.parse_args())


if __name__ == "__main__":
    main()
