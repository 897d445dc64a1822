"""How well is a volume segmented from strokes on three of its slices? Ours beside forests.

A simulated annotator paints on three slices (see `_annotator`). Ours learns from them in 2-D, in
2.5-D and in 3-D; beside it random forests on 2-D and on 3-D features. Scored are all pixels of all
other slices, by mean IoU over the classes.

Of the volumes (`_volume_cases`) some are synthetic; others are files, each cut into a half that
choices are made on (*tuning*) and one that is reported. Of each file there is a second case that
has every third slice only.

With ``--steps`` ours is measured after so many training steps and not after seconds: recipes can
be compared while other work runs on the machine. With ``--cpu`` the clock counts the seconds of all
cores together, which other work hardly changes; ``--threads 1`` makes them those of one quiet core.

Run: ``python benchmarks/volumes.py [--volumes FOLDER] [--half reporting] [--marks 10 60]``
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from _annotator import paint
from _cases import Labels
from _scores import mean_iou
from _volume_cases import VolumeCase, volume_cases
from _volume_contestants import Measure, VolumeAnswer, VolumeForest, VolumeNetwork

from napari_msd.cli.info import report
from napari_msd.core.settings import Settings
from napari_msd.core.space import MODES
from napari_msd.native import set_threads
from napari_msd.training import cores_to_ourselves

FORESTS = (VolumeForest("forest 2-D", 2), VolumeForest("forest 3-D", 3))

Marked = tuple[str, VolumeAnswer]
"""Contestant with its mark, and its answer."""
Scores = dict[str, dict[str, list[float]]]
"""By contestant and volume; one for each seed."""


def painted_slices(n: int) -> list[int]:
    """The three slices of `n` that are painted on."""
    return [n // 4, n // 2, 3 * n // 4]


def strokes_on(case: VolumeCase, amount: float, seed: int) -> Labels:
    """Annotation (Z, Y, X) of three slices; `amount` is the share of each that is painted."""
    strokes = np.zeros_like(case.truth)
    random = np.random.default_rng(seed)
    for z in painted_slices(len(strokes)):
        strokes[z] = paint(case.truth[z], amount, random)
    return strokes


def score(case: VolumeCase, labels: Labels) -> float:
    """Mean IoU on the slices that are not painted on."""
    scored = np.ones(case.truth.shape, bool)
    scored[painted_slices(len(scored))] = False
    return mean_iou(labels, case.truth, scored)


def race(
    case: VolumeCase, strokes: Labels, seed: int, arguments: argparse.Namespace
) -> Iterator[Marked]:
    """Answers of all contestants, ours at every mark."""
    measure: Measure = "steps" if arguments.steps else "CPU s" if arguments.cpu else "s"
    if not arguments.without_forests:
        for forest in FORESTS:
            yield forest.name, forest.answer(case, strokes, seed, measure)
    marks = sorted(arguments.steps or arguments.marks)
    for mode in arguments.modes:
        settings = Settings.from_preset(
            arguments.preset, mode=mode, context=arguments.context, seed=seed
        )
        network = VolumeNetwork(case, strokes, settings, measure)
        for mark in marks:
            yield f"ours {mode}, {mark:g} {measure}", network.answer(mark)


def main() -> None:
    """Race and print."""
    arguments = _arguments()
    print(*report(), sep="\n")
    scores: Scores = defaultdict(lambda: defaultdict(list))
    with cores_to_ourselves("auto"):
        if arguments.threads:
            set_threads(arguments.threads)
            torch.set_num_threads(arguments.threads)
        for case in volume_cases(arguments.volumes, arguments.half):
            for seed in arguments.seeds:
                strokes = strokes_on(case, arguments.amount, seed)
                for name, answer in race(case, strokes, seed, arguments):
                    found = score(case, answer.labels)
                    scores[name][case.name].append(found)
                    print(
                        f"{case.name:<18} seed {seed}  {name:<20} {found:.3f} IoU, "
                        f"{answer.learning:.1f} s learning, {answer.predicting:.1f} s predicting",
                        flush=True,
                    )
    print("", table(scores), sep="\n")


def table(scores: Scores) -> str:
    """Mean IoU over seeds by contestant and volume, and its mean over volumes, as Markdown."""
    volumes = list(dict.fromkeys(name for of in scores.values() for name in of))
    lines = ["| | " + " | ".join([*volumes, "mean"]) + " |", "|---" * (len(volumes) + 2) + "|"]
    for name, by_volume in scores.items():
        means = [float(np.mean(by_volume[volume])) for volume in volumes]
        cells = [f"{mean:.3f}" for mean in (*means, float(np.mean(means)))]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--volumes", type=Path, help="folder with NAME-image.tif and NAME-labels.tif"
    )
    parser.add_argument("--half", choices=("tuning", "reporting"), default="tuning")
    parser.add_argument("--amount", type=float, default=0.02, help="share of a slice, painted")
    marks = parser.add_mutually_exclusive_group()
    marks.add_argument("--marks", type=float, nargs="+", default=[10, 60], help="seconds")
    marks.add_argument("--steps", type=int, nargs="+", help="training steps instead of seconds")
    parser.add_argument("--cpu", action="store_true", help="count the seconds of all cores")
    parser.add_argument("--threads", type=int, help="of ours; all cores if not given")
    parser.add_argument("--modes", nargs="*", choices=MODES, default=list(MODES))
    parser.add_argument("--context", type=int, default=1, help="slices on each side, in 2.5-D")
    parser.add_argument("--preset", default="quick")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--without-forests", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
