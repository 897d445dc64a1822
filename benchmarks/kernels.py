"""Time of the network on this machine: ``napari-msd bench``, without the command line's packages.

    python benchmarks/kernels.py [--device cuda] [--threads N] [--seconds S] [--case 30:4x128x128]

Needs torch and numpy only; see `napari_msd.bench` for what is measured.
"""

from __future__ import annotations

import argparse

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
    arguments = parser.parse_args()
    set_threads(arguments.threads)
    for line in report(
        arguments.case or CASES,
        arguments.only or CONTENDERS,
        arguments.device,
        arguments.seconds,
    ):
        print(line, flush=True)


if __name__ == "__main__":
    main()
