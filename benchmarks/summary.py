"""What the tables of `scribbles.py --save` say, as Markdown: means over families.

Inside a family the mean is over images, amounts of paint and seeds; then over families, so
that every kind of image weighs alike. Ours is compared with a rival on the cases that both
have, at the same mark, or with its only answer. Several tables are added up; where two have
the same case, contestant and mark the later one counts.

Run: ``python benchmarks/summary.py TABLE.csv [MORE.csv ...] [--half tuning] [--families]``
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from _tables import Score, read

OURS: Final = "ours"
KINDS: Final = {
    "iou_here": "IoU, painted image",
    "iou_there": "IoU, other image",
    "f1_here": "boundary F1",
}

CaseKey = tuple[str, str, float, int]
"""Family, image, amount, seed."""
Entry = tuple[str, str]
"""Contestant and mark."""
Scores = dict[Entry, dict[CaseKey, Score]]


@dataclass(frozen=True)
class Lead:
    """By how much ours is ahead of a rival in one kind of score, over families."""

    mean: float
    worst: float
    worst_family: str
    behind: int
    """Families where ours is lower."""
    families: int

    def __str__(self) -> str:
        return (
            f"{self.mean:+.3f}; {self.behind} of {self.families} behind; "
            f"worst {self.worst:+.3f} {self.worst_family}"
        )


def grouped(scores: Iterable[Score]) -> Scores:
    """Scores by contestant and mark, in the order they come; of equal ones the last."""
    groups: Scores = defaultdict(dict)
    for score in scores:
        case = score.family, score.image, score.amount, score.seed
        groups[score.method, score.mark][case] = score
    return dict(groups)


def by_family(values: dict[CaseKey, float]) -> dict[str, float]:
    """Mean of each family over its images, amounts and seeds, in alphabetical order."""
    families: dict[str, list[float]] = defaultdict(list)
    for (family, *_), value in values.items():
        families[family].append(value)
    return {family: float(np.mean(families[family])) for family in sorted(families)}


def lead(ours: dict[CaseKey, Score], theirs: dict[CaseKey, Score], kind: str) -> Lead | None:
    """Ours minus theirs on the cases that both have; None if there are none."""
    differences = by_family(
        {
            case: getattr(ours[case], kind) - getattr(theirs[case], kind)
            for case in ours
            if case in theirs
        }
    )
    if not differences:
        return None
    worst = min(differences, key=lambda family: differences[family])
    return Lead(
        float(np.mean(list(differences.values()))),
        differences[worst],
        worst,
        sum(value < 0 for value in differences.values()),
        len(differences),
    )


def means_table(groups: Scores) -> list[str]:
    """Lines of Markdown: for each contestant and mark the means over families."""
    lines = _head("", "families", "seconds", *KINDS.values())
    for (method, mark), scores in groups.items():
        seconds = _mean(scores, "seconds")
        cells = [f"{_mean(scores, kind):.3f}" for kind in KINDS]
        families = len({family for family, *_ in scores})
        lines.append(_line(f"{method} {mark}".strip(), str(families), f"{seconds:.1f}", *cells))
    return lines


def leads_table(groups: Scores) -> list[str]:
    """Lines of Markdown: ours minus each rival, for every mark of ours."""
    lines = _head("ours minus", *KINDS.values())
    for mark in (mark for method, mark in groups if method == OURS):
        for rival in dict.fromkeys(method for method, _ in groups if method != OURS):
            theirs = groups.get((rival, mark)) or groups.get((rival, ""))
            if theirs is None:
                continue
            leads = [lead(groups[OURS, mark], theirs, kind) for kind in KINDS]
            if all(leads):
                lines.append(_line(f"{rival}, {mark}", *map(str, leads)))
    return lines if len(lines) > 2 else []


def families_table(groups: Scores, kind: str) -> list[str]:
    """Lines of Markdown: one kind of score, each family a line, each contestant a column."""
    means = {
        f"{method} {mark}".strip(): by_family({c: getattr(s, kind) for c, s in scores.items()})
        for (method, mark), scores in groups.items()
    }
    lines = _head(KINDS[kind], *means)
    for family in sorted({family for column in means.values() for family in column}):
        cells = [f"{column[family]:.3f}" if family in column else "" for column in means.values()]
        lines.append(_line(family, *cells))
    return lines


def summary(scores: Iterable[Score], *, families: bool = False) -> str:
    """Everything as Markdown; with `families` also a table of each kind of score by family."""
    groups = grouped(scores)
    tables = [means_table(groups), leads_table(groups)]
    if families:
        tables += [families_table(groups, kind) for kind in KINDS]
    return "\n\n".join("\n".join(table) for table in tables if table)


def main() -> None:
    """Read and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tables", type=Path, nargs="*", help="of scribbles.py --save, .csv")
    parser.add_argument("--half", choices=["tuning", "reporting"], help="only this half")
    parser.add_argument("--amounts", type=float, nargs="+", help="only these amounts of paint")
    parser.add_argument("--families", action="store_true", help="each family too")
    arguments = parser.parse_args()
    if not arguments.tables:  # `make bench` runs every script as it is
        print("Give it tables that scribbles.py --save wrote.")
        return
    scores = [
        score
        for path in arguments.tables
        for score in read(path)
        if arguments.half in (None, score.half)
        and (arguments.amounts is None or score.amount in arguments.amounts)
    ]
    print(summary(scores, families=arguments.families))


def _mean(scores: dict[CaseKey, Score], kind: str) -> float:
    """Mean over the families of their means."""
    means = by_family({case: getattr(score, kind) for case, score in scores.items()})
    return float(np.mean(list(means.values())))


def _head(*cells: str) -> list[str]:
    return [_line(*cells), "|" + "---|" * len(cells)]


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
