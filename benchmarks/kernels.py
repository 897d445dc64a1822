"""Time of the network on this machine: ``napari-msd bench``, without the command line's packages.

    python benchmarks/kernels.py [--device cuda] [--threads N] [--seconds S] [--case 30:4x128x128]
        [--only CONTENDER] [--json FILE]

Needs torch and numpy only; see `napari_msd.bench` for what is measured.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

import torch

from napari_msd.bench import CASES, CONTENDERS, parse_case, report
from napari_msd.native import set_threads


def main() -> None:
    """Validate and time every case."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, help="CPU threads (default: all cores)")
    parser.add_argument("--seconds", type=float, default=4.0, help="about how long each is timed")
    parser.add_argument("--case", action="append", type=parse_case, help="like 30:4x128x128")
    parser.add_argument("--only", action="append", choices=CONTENDERS)
    parser.add_argument("--json", type=Path, help="write the figures into this file, too")
    arguments = parser.parse_args()
    set_threads(arguments.threads)
    lines: list[str] = []
    figures: list[dict[str, object]] = []
    for line in report(
        arguments.case or CASES,
        arguments.only or CONTENDERS,
        arguments.device,
        arguments.seconds,
        lambda row: figures.append(dataclasses.asdict(row)),
    ):
        print(line, flush=True)
        lines.append(line)
    if arguments.json:
        text = json.dumps({"machine": lines[0], "figures": figures}, indent=1)
        arguments.json.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
