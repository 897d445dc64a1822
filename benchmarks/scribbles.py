"""How good is the segmentation after so many seconds? Ours beside a random forest.

A simulated annotator paints strokes on half of an image (see `_annotator`). Both learn
from them; scored are the pixels that were not painted in that half (*here*), and the
whole other half (*there*), by mean IoU over the classes and by boundary F1 (2 px).

With ``--rounds N`` the annotator looks after the first mark, paints where the answer is
wrong, and so on N times: each contestant gets corrections of its own mistakes, and ours
the same seconds again after each.

The forest needs scikit-learn, and is left out where that is not installed. ``--save``
writes every score to a table that ``scripts/curves.py`` draws.

Run: ``python benchmarks/scribbles.py [--images FOLDER] [--amounts 0.005 0.02 0.08]``
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from _annotator import correct, paint
from _contestants import Answer, Forest, Network
from _scores import boundary_f1, mean_iou
from _scribble_cases import Case, Labels, cases

from napari_msd.config import Settings
from napari_msd.info import report
from napari_msd.training import cores_to_ourselves

CORRECTIONS = 4
"""Strokes of one round of corrections."""

KINDS = ("iou_here", "iou_there", "f1_here", "seconds")


@dataclass(frozen=True)
class Score:
    """One answer's; a line of the saved table. `mark` is "forest", seconds, or a round."""

    image: str
    amount: float
    seed: int
    method: str
    mark: str
    seconds: float
    iou_here: float
    iou_there: float
    f1_here: float


def race(
    case: Case, strokes: Labels, marks: list[float], settings: Settings, with_forest: bool
) -> Iterator[tuple[str, str, Answer, Labels]]:
    """Method, mark, answer and strokes: the forest once, ours at every mark."""
    if with_forest:
        yield "forest", "forest", Forest(case, settings.seed).answer(strokes), strokes
    network = Network(case, settings)
    network.paint(strokes)
    for mark in marks:
        yield "ours", f"{mark:g} s", network.answer(mark), strokes


def race_in_rounds(
    case: Case, strokes: Labels, seconds: float, rounds: int, settings: Settings, with_forest: bool
) -> Iterator[tuple[str, str, Answer, Labels]]:
    """Method, round, answer and strokes: everyone's own mistakes are corrected after each round."""
    network = Network(case, settings)
    forest = Forest(case, settings.seed) if with_forest else None
    both: dict[str, Labels] = {**({"forest": strokes} if forest else {}), "ours": strokes}
    mark = seconds
    for number in range(rounds + 1):
        for method, painted in both.items():
            if method == "forest" and forest is not None:
                answer = forest.answer(painted)
            else:
                network.paint(painted)
                answer = network.answer(mark)
                mark = answer.seconds + seconds  # also where it came to rest before
            yield method, f"{method} {number}", answer, painted
            chance = np.random.default_rng((settings.seed, number))
            both[method] = correct(case.here[1], answer.here, painted, CORRECTIONS, chance)


def main() -> None:
    """Race and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, help="folder of NAME-image.tif, NAME-instances.tif")
    parser.add_argument("--half", choices=["tuning", "reporting"], default="tuning")
    parser.add_argument("--amounts", type=float, nargs="+", default=[0.005, 0.02, 0.08])
    parser.add_argument("--marks", type=float, nargs="+", default=[1, 2, 5, 10, 30])
    parser.add_argument("--rounds", type=int, default=0, help="of corrections, the first mark each")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--preset", default="quick")
    parser.add_argument("--label-smoothing", type=float, default=0.2, help="to see its effect")
    parser.add_argument("--only", nargs="+", help="names of the cases to race on")
    parser.add_argument("--save", type=Path, help="table of all scores, .csv, added to")
    arguments = parser.parse_args()
    print(*report(), sep="\n")
    with_forest = find_spec("sklearn") is not None
    if not with_forest:
        print("The forest is left out: pip install scikit-learn to race against it.")
    totals: dict[str, list[dict[str, float]]] = defaultdict(list)
    with cores_to_ourselves("auto"):
        for case in cases(arguments.images, arguments.half):
            if arguments.only and case.name not in arguments.only:
                continue
            for amount in arguments.amounts:
                scores = [
                    score
                    for seed in arguments.seeds
                    for score in _scores(case, amount, seed, arguments, with_forest)
                ]
                for kind in KINDS:
                    means = _means(scores, kind)
                    if not totals:
                        print(_row("image", "paint", "", means, "{0:>10}"))
                    totals[kind].append(means)
                    print(_row(case.name, f"{amount:.1%}", kind, means), flush=True)
    for kind, rows in totals.items():
        means = {mark: float(np.mean([row[mark] for row in rows])) for mark in rows[0]}
        print(_row("mean", "", kind, means))


def _scores(
    case: Case, amount: float, seed: int, arguments: argparse.Namespace, with_forest: bool
) -> Iterator[Score]:
    """One race with one seed."""
    strokes = paint(case.here[1], amount, np.random.default_rng(seed))
    settings = Settings.from_preset(
        arguments.preset, seed=seed, label_smoothing=arguments.label_smoothing
    )
    marks = sorted(arguments.marks)
    if arguments.rounds:
        answers = race_in_rounds(case, strokes, marks[0], arguments.rounds, settings, with_forest)
    else:
        answers = race(case, strokes, marks, settings, with_forest)
    here, there = case.here[1], case.there[1]
    for method, mark, answer, painted in answers:
        score = Score(
            case.name,
            amount,
            seed,
            method,
            mark,
            answer.seconds,
            mean_iou(answer.here, here, painted == 0),
            mean_iou(answer.there, there, there > 0),
            boundary_f1(answer.here, here),
        )
        if arguments.save:
            _append(arguments.save, score)
        yield score


def _means(scores: list[Score], kind: str) -> dict[str, float]:
    """Mean over the seeds, by mark."""
    by_mark: dict[str, list[float]] = defaultdict(list)
    for score in scores:
        by_mark[score.mark].append(getattr(score, kind))
    return {mark: float(np.mean(values)) for mark, values in by_mark.items()}


def _row(
    image: str, paint: str, kind: str, means: dict[str, float], cell: str = "{1:>10.3f}"
) -> str:
    return f"{image:<24}{paint:>7}  {kind:<10}" + "".join(
        cell.format(mark, value) for mark, value in means.items()
    )


def _append(path: Path, score: Score) -> None:
    is_new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Score)])
        if is_new:
            writer.writeheader()
        writer.writerow(asdict(score))


if __name__ == "__main__":
    main()
