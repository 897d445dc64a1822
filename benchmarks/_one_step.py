"""One training step of the CUDA core for a profiler, and what the profiler said of it.

    ncu --csv --metrics gpu__time_duration.sum,... python _one_step.py > FILE
    python _one_step.py --summary FILE

The step is a forward and a backward pass over 512 x 512 pixels at depth 100, float32 maps, then
the same with float16 maps, each staged and then cooperative. The kernels' names carry the type of
the maps.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import re
from collections import defaultdict
from pathlib import Path

import torch

from napari_msd.bench.cases import Case, prepared
from napari_msd.native.core import Schedule
from napari_msd.native.operator import mixed_scale_dense


def step(depth: int, side: int) -> None:
    """Forward and backward with the compiled core, with maps of float32 and of float16."""
    net, image = prepared(Case(depth, 1, (side, side)), "cuda")
    schedules: tuple[Schedule, ...] = ("staged", "cooperative")
    for dtype, schedule in itertools.product((None, torch.float16), schedules):
        logits = mixed_scale_dense(
            image, *net.parameters(), net.dilations, 1, net.boundary, "cuda", dtype, None, schedule
        )
        torch.autograd.grad(logits.square().mean(), tuple(net.parameters()))
    torch.cuda.synchronize()


def summary(path: Path) -> None:
    """Print launches, time and executed warp instructions of each kernel, the slowest first."""
    lines = path.read_text(encoding="utf-8").splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith('"ID"'))
    totals: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for row in csv.DictReader(lines[start:]):
        scopes = r"void |napari_msd::|\(anonymous namespace\)::|<unnamed>::|\(int\)|\(bool\)"
        name = re.sub(scopes, "", row["Kernel Name"]).partition("(")[0]
        value = float(row["Metric Value"].replace(",", ""))
        if "time" in row["Metric Name"]:
            scale = {"ns": 1e-3, "nsecond": 1e-3, "us": 1.0, "usecond": 1.0, "ms": 1e3}
            totals[name]["us"] += value * scale[row["Metric Unit"]]
            totals[name]["launches"] += 1
        elif "inst" in row["Metric Name"]:
            totals[name]["instructions"] += value
        else:
            totals[name]["registers"] = value
    print(f"{'kernel':60} {'launches':>8} {'ms':>8} {'us each':>8} {'Minstr':>8} {'regs':>5}")
    for name, row in sorted(totals.items(), key=lambda item: -item[1]["us"]):
        print(
            f"{name[:60]:60} {row['launches']:8.0f} {row['us'] / 1e3:8.3f} "
            f"{row['us'] / row['launches']:8.2f} {row['instructions'] / 1e6:8.1f} "
            f"{row['registers']:5.0f}"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--summary", type=Path, help="an ncu report as CSV to add up")
    parser.add_argument("--depth", type=int, default=100)
    parser.add_argument("--side", type=int, default=512, help="pixels along an edge")
    arguments = parser.parse_args()
    if arguments.summary:
        summary(arguments.summary)
    else:
        step(arguments.depth, arguments.side)
