"""Draw what `benchmarks/scribbles.py --save` writes: scores against seconds and rounds.

Needs matplotlib.

Run: ``python scripts/curves.py TABLE.csv --to CURVES.png``
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from pathlib import Path

import matplotlib as mpl
import numpy as np

mpl.use("agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

OURS = "ours"
COLOURS = {  # Okabe & Ito's, told apart by everyone
    OURS: "#0072b2",
    "forest": "#d55e00",
    "extratrees": "#e69f00",
    "convpaint": "#009e73",
}

SCORES = {
    "iou_here": "IoU, painted image",
    "iou_there": "IoU, other image",
    "f1_here": "boundary F1",
}

Rows = list[dict[str, str]]


def read(path: Path) -> Rows:
    """The lines of a saved table."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def mean_and_spread(rows: Rows, score: str) -> tuple[float, float, float]:
    """Seconds and score, mean over families and seeds; the score's deviation over seeds.

    The mean of a family is over its images, so that every kind of image weighs alike.
    """
    by_seed: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        by_seed[row["seed"]][row["family"]].append(float(row[score]))
    means = [
        np.mean([np.mean(values) for values in families.values()]) for families in by_seed.values()
    ]
    seconds = np.mean([float(row["seconds"]) for row in rows])
    spread = float(np.std(means, ddof=1)) if len(means) > 1 else 0.0
    return float(seconds), float(np.mean(means)), spread


def points_of(rows: Rows, method: str, score: str) -> list[tuple[float, float, float]]:
    """`mean_and_spread` of a contestant at each of its marks; empty where it took no part."""
    mine = [row for row in rows if row["method"] == method]
    marks = list(dict.fromkeys(row["mark"] for row in mine))
    return [mean_and_spread([r for r in mine if r["mark"] == m], score) for m in marks]


def draw_seconds(axes: Axes, rows: Rows, score: str) -> None:
    """Ours as a line over the seconds from the click, a rival as the point where it answers."""
    for method, colour in COLOURS.items():
        points = points_of(rows, method, score)
        if not points:
            continue
        seconds, means, spreads = zip(*points, strict=True)
        axes.errorbar(
            seconds, means, spreads, color=colour, marker="o", markersize=4, capsize=2, label=method
        )
        if method != OURS:
            axes.axhline(means[0], color=colour, linewidth=0.8, linestyle=":")
    axes.set_xscale("log")
    axes.set_xticks([1, 2, 5, 10, 30], ["1", "2", "5", "10", "30"])
    axes.minorticks_off()
    axes.grid(alpha=0.25)


def draw_rounds(axes: Axes, rows: Rows, score: str) -> None:
    """The score after each round of corrections."""
    rounds = list(dict.fromkeys(row["mark"] for row in rows))
    for method, colour in COLOURS.items():
        points = points_of(rows, method, score)
        means, spreads = [point[1] for point in points], [point[2] for point in points]
        axes.errorbar(
            range(len(points)), means, spreads, color=colour, marker="o", markersize=4, capsize=2
        )
    axes.set_xticks(range(len(rounds)))
    axes.grid(alpha=0.25)


def main() -> None:
    """Read, draw, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", type=Path, help="of scores against seconds")
    parser.add_argument("--rounds", type=Path, help="table of a race in rounds")
    parser.add_argument("--to", type=Path, required=True, help="the picture, .png or .svg")
    arguments = parser.parse_args()
    rows = read(arguments.table)
    amounts = sorted({float(row["amount"]) for row in rows})
    n_columns = len(amounts) + (arguments.rounds is not None)
    figure, grid = plt.subplots(
        len(SCORES),
        n_columns,
        figsize=(2.9 * n_columns, 7),
        sharex="col",
        sharey="row",
        squeeze=False,
        layout="constrained",
    )
    for line, (score, title) in zip(grid, SCORES.items(), strict=True):
        line[0].set_ylabel(title)
        for axes, amount in zip(line, amounts, strict=False):
            draw_seconds(axes, [r for r in rows if float(r["amount"]) == amount], score)
        if arguments.rounds:
            draw_rounds(line[-1], read(arguments.rounds), score)
    for axes, amount in zip(grid[0], amounts, strict=False):
        axes.set_title(f"{amount:.1%} painted", fontsize=10)
    for axes in grid[-1][: len(amounts)]:
        axes.set_xlabel("seconds from the click")
    if arguments.rounds:
        grid[0][-1].set_title("then corrected", fontsize=10)
        grid[-1][-1].set_xlabel("rounds of corrections")
    grid[0][0].legend()
    figure.savefig(arguments.to, dpi=110)


if __name__ == "__main__":
    main()
