"""Make faults happen, and print a table of what came of them.

Run: ``make faults``, or ``PYTHONPATH=scripts python -m faults [--only NAME ...] [--times N]``
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from importlib.metadata import version
from pathlib import Path

import psutil

from faults.catalogue import SCENARIOS
from faults.scenario import Row, perform

HEADER = ["fault", "times", "lost", "what the person is told", "measured"]


def main() -> int:
    """Run what was asked for; 1 if anything went wrong, else 0."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = [scenario.name for scenario in SCENARIOS]
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--times", type=int, help="how often each, instead of the usual number")
    parser.add_argument("--short", action="store_true", help="as the tests do, in seconds")
    parser.add_argument("--to", type=Path, help="a file for the table, in Markdown")
    arguments = parser.parse_args()
    rows: list[Row] = []
    before = _load()
    for scenario in SCENARIOS:
        if arguments.only and scenario.name not in arguments.only:
            continue
        began = time.perf_counter()
        print(f"{scenario.name} ...", file=sys.stderr, flush=True)
        rows.append(perform(scenario, arguments.times, short=arguments.short))
        print(f"    {' | '.join(rows[-1].cells()[1:])}", file=sys.stderr)
        print(f"    {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
    text = f"{conditions(before)}\n\n{table(rows)}\n"
    print(text)
    if arguments.to is not None:
        arguments.to.write_text(text, "utf-8")
    return int(any(row.losses or row.problems for row in rows))


def table(rows: list[Row]) -> str:
    """Rows as Markdown."""
    lines = [HEADER, ["---"] * len(HEADER), *(row.cells() for row in rows)]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)


def conditions(before: str) -> str:
    """What the figures depend on, as a sentence."""
    memory = psutil.virtual_memory().total / 2**30
    versions = ", ".join(f"{name} {version(name)}" for name in ("napari-msd", "napari", "torch"))
    return (
        f"Measured on {platform.system()} ({platform.machine()}, {psutil.cpu_count()} logical "
        f"cores, {memory:.0f} GiB), Python {platform.python_version()}, {versions}; load average "
        f"{before} before, {_load()} after."
    )


def _load() -> str:
    return f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"


if __name__ == "__main__":
    sys.exit(main())
