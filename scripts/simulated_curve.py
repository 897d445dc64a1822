"""Draw what `benchmarks/simulated.py --save` writes: class accuracy against training images.

Needs matplotlib.

Run: ``python scripts/simulated_curve.py TABLE.csv [...] --to CURVE.png``
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from pathlib import Path

import matplotlib as mpl

mpl.use("agg")
from matplotlib import pyplot as plt

CHANCE = 100 / 7
"""Per cent: six classes and the background, guessed."""


def main() -> None:
    """Read, draw, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tables", type=Path, nargs="+")
    parser.add_argument("--to", type=Path, required=True, help="the picture, .png or .svg")
    arguments = parser.parse_args()
    curves: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for table in arguments.tables:
        with table.open(newline="", encoding="utf-8") as file:
            for depth, dilations, images, _, accuracy in csv.reader(file):
                name = f"depth {depth}, dilations {dilations}"
                curves[name].append((int(images), float(accuracy)))
    figure, axes = plt.subplots(figsize=(5, 3.2), layout="constrained")
    for (name, points), colour in zip(curves.items(), ("#0072b2", "#d55e00"), strict=False):
        axes.plot(*zip(*points, strict=True), color=colour, marker="o", markersize=3, label=name)
    axes.axhline(CHANCE, color="0.5", linewidth=0.8, linestyle=":")
    axes.set(xlabel="training images", ylabel="class accuracy, %", ylim=(0, 100), xlim=(0, None))
    axes.grid(alpha=0.25)
    axes.legend()
    figure.savefig(arguments.to, dpi=110)


if __name__ == "__main__":
    main()
