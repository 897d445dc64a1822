"""How good is the segmentation after so many seconds? Ours beside others that learn from strokes.

A simulated annotator paints strokes on an image (see `_annotator`). All learn from them. Scored
are the pixels of that image that were not painted (*here*), and another image of the kind, or
the other half of the same one (*there*): by mean IoU over the classes and by boundary F1 (2 px).
Pixels without a truth are never painted and never scored.

With ``--rounds N`` the annotator looks after the first mark, paints where the answer is
wrong, and so on N times: each contestant gets corrections of its own mistakes, and ours
the same seconds again after each.

With ``--steps`` ours is measured after so many training steps and not after seconds: recipes
can be compared while other work runs on the machine.

The rivals (`_rivals`, `_convpaint`) need packages that we do not: each is left out where its own
are missing. ``--save`` writes every score to a table that ``benchmarks/summary.py`` sums up and
``scripts/curves.py`` draws.

Run: ``python benchmarks/scribbles.py [--images FOLDER] [--amounts 0.005 0.02 0.08]``
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from _annotator import correct, paint
from _cases import Case, Labels
from _contestants import Answer, Measure, Network
from _convpaint import Convpaint
from _families import Half
from _rivals import ExtraTrees, Forest, PixelClassifier, chosen
from _scores import boundary_f1, mean_iou
from _scribble_cases import SETS, cases
from _tables import Score, append, require_appendable
from summary import KINDS, OURS, grouped, summary

from napari_msd.cli.info import report
from napari_msd.core.settings import Settings
from napari_msd.training import cores_to_ourselves

CORRECTIONS = 4
"""Strokes of one round of corrections."""

RIVALS: tuple[type[PixelClassifier], ...] = (Forest, ExtraTrees, Convpaint)
HALVES: dict[str, tuple[Half, ...]] = {
    "tuning": ("tuning",),
    "reporting": ("reporting",),
    "both": ("tuning", "reporting"),
}

Rivals = list[type[PixelClassifier]]
Marked = tuple[str, str, Answer, Labels]
"""Contestant, mark, answer, and all strokes that it was given."""


def race(
    case: Case,
    strokes: Labels,
    marks: list[float],
    measure: Measure,
    settings: Settings,
    rivals: Rivals,
) -> Iterator[Marked]:
    """Give every rival's only answer, and ours at every mark; no marks leave ours out."""
    for rival in rivals:
        yield rival.name, "", rival(case, settings.seed).answer(strokes), strokes
    if marks:
        network = Network(case, settings, measure)
        network.paint(strokes)
        for mark in marks:
            yield OURS, f"{mark:g} {measure}", network.answer(mark), strokes


def race_in_rounds(
    case: Case,
    strokes: Labels,
    mark: float | None,
    measure: Measure,
    rounds: int,
    settings: Settings,
    rivals: Rivals,
) -> Iterator[Marked]:
    """Everyone's own mistakes are corrected after each round; without a mark ours is left out."""
    answers: dict[str, Callable[[Labels], Answer]] = {
        rival.name: rival(case, settings.seed).answer for rival in rivals
    }
    if mark is not None:
        answers[OURS] = _Onwards(Network(case, settings, measure), mark).answer
    painted = dict.fromkeys(answers, strokes)
    for number in range(rounds + 1):
        for method, answer_to in answers.items():
            answer = answer_to(painted[method])
            yield method, f"round {number}", answer, painted[method]
            chance = np.random.default_rng((settings.seed, number))
            painted[method] = correct(
                case.here[1], answer.here, painted[method], CORRECTIONS, chance
            )


class _Onwards:
    """Ours, learning so much longer at every answer."""

    def __init__(self, network: Network, more: float) -> None:
        self._network, self._more = network, more
        self._mark = more

    def answer(self, strokes: Labels) -> Answer:
        """After all strokes, uint8 (Y, X), and as much learning again."""
        self._network.paint(strokes)
        answer = self._network.answer(self._mark)
        self._mark = self._network.spent + self._more  # also where it came to rest before
        return answer


def main() -> None:
    """Race and print."""
    arguments = _arguments()
    print(*report(), sep="\n")
    rivals = chosen(arguments.rivals, RIVALS)
    scores: list[Score] = []
    with cores_to_ourselves("auto"):
        for case in cases(arguments.images, HALVES[arguments.half], arguments.set, arguments.pairs):
            if arguments.only and not {case.name, case.family} & set(arguments.only):
                continue
            for amount in arguments.amounts:
                of_case = [
                    score
                    for seed in arguments.seeds
                    for score in _scores(case, amount, seed, arguments, rivals)
                ]
                _print(case.name, amount, of_case)
                scores += of_case
    print("", summary(scores, families=True), sep="\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--images",
        type=Path,
        nargs="+",
        action="extend",
        default=[],
        help="folders with NAME-image.tif and NAME-instances.tif, or families, in them or below",
    )
    parser.add_argument("--set", choices=SETS, default="all", help="which cases")
    parser.add_argument("--half", choices=HALVES, default="tuning")
    parser.add_argument("--pairs", type=int, default=1, help="of images in each family")
    parser.add_argument("--only", nargs="+", help="names of cases or families to race on")
    parser.add_argument("--amounts", type=float, nargs="+", default=[0.005, 0.02, 0.08])
    marks = parser.add_mutually_exclusive_group()
    marks.add_argument("--marks", type=float, nargs="+", default=[1, 2, 5, 10, 30], help="seconds")
    marks.add_argument("--steps", type=int, nargs="+", help="training steps instead of seconds")
    marks.add_argument("--without-ours", action="store_true", help="rivals only")
    parser.add_argument("--rounds", type=int, default=0, help="of corrections, the first mark each")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    names = [rival.name for rival in RIVALS]
    parser.add_argument("--rivals", nargs="*", choices=names, default=names, help="all if not said")
    parser.add_argument("--preset", default="quick")
    parser.add_argument("--label-smoothing", type=float, default=0.2, help="to see its effect")
    parser.add_argument("--save", type=Path, help="table of all scores, .csv, added to")
    arguments = parser.parse_args()
    if arguments.rounds and arguments.steps is not None and min(arguments.steps) < 1:
        parser.error("--rounds needs --steps of at least 1, or nothing is learned between them")
    if arguments.pairs < 1:
        parser.error("--pairs must be at least 1")
    if arguments.save:
        try:
            require_appendable(arguments.save)
        except ValueError as error:
            parser.error(str(error))
    return arguments


def _scores(
    case: Case, amount: float, seed: int, arguments: argparse.Namespace, rivals: Rivals
) -> Iterator[Score]:
    """One race with one seed."""
    here, there = case.here[1], case.there[1]
    strokes = paint(here, amount, np.random.default_rng(seed))
    settings = Settings.from_preset(
        arguments.preset, seed=seed, label_smoothing=arguments.label_smoothing
    )
    measure: Measure = "s" if arguments.steps is None else "steps"
    marks = sorted(arguments.marks if arguments.steps is None else arguments.steps)
    if arguments.without_ours:
        marks = []
    if arguments.rounds:
        first = marks[0] if marks else None
        answers = race_in_rounds(case, strokes, first, measure, arguments.rounds, settings, rivals)
    else:
        answers = race(case, strokes, marks, measure, settings, rivals)
    for method, mark, answer, painted in answers:
        score = Score(
            case.family,
            case.half,
            case.name,
            amount,
            seed,
            method,
            mark,
            answer.seconds,
            mean_iou(answer.here, here, (painted == 0) & (here > 0)),
            mean_iou(answer.there, there, there > 0),
            boundary_f1(answer.here, here),
        )
        if arguments.save:
            append(arguments.save, score)
        yield score


def _print(image: str, amount: float, scores: list[Score]) -> None:
    """One line for each contestant and mark: seconds and scores, mean over the seeds."""
    for (method, mark), of_seeds in grouped(scores).items():
        kinds = {"seconds": "s", **KINDS}
        cells = [
            f"{np.mean([getattr(score, kind) for score in of_seeds.values()]):.3f} {title}"
            for kind, title in kinds.items()
        ]
        print(f"{image:<24} {amount:>6.1%}  {method:<11}{mark:<10} {', '.join(cells)}", flush=True)


if __name__ == "__main__":
    main()
