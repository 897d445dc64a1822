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

BEGIN, END = "<!-- make faults: begin -->", "<!-- make faults: end -->"
HEADER = ["fault", "times", "lost", "what the person is told", "measured"]


def main() -> int:
    """Run what was asked for; 1 if anything went wrong, else 0."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = [scenario.name for scenario in SCENARIOS]
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--times", type=int, help="how often each, instead of the usual number")
    parser.add_argument("--short", action="store_true", help="as the tests do, in seconds")
    parser.add_argument(
        "--to",
        type=Path,
        help="a Markdown file; where it has the marks of docs/reliability.md, rows are put there",
    )
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
    print(f"{conditions(before)}\n\n{table([row.cells() for row in rows])}\n")
    if arguments.to is not None:
        old = arguments.to.read_text("utf-8") if arguments.to.exists() else ""
        new = updated(old, conditions(before), [row.cells() for row in rows])
        arguments.to.write_text(new, "utf-8")
    return int(any(row.losses or row.problems for row in rows))


def table(rows: list[list[str]]) -> str:
    """Rows as Markdown."""
    lines = [HEADER, ["---"] * len(HEADER), *rows]
    cells = [[" ".join(cell.replace("|", "/").split()) for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def updated(document: str, about: str, rows: list[list[str]]) -> str:
    """A document with these rows: in place of those of the same faults, and behind the others.

    Parameters
    ----------
    document
        Text with `BEGIN` and `END`; without them all of it is replaced.
    about
        The conditions of these rows.
    rows
        Cells, see `Row.cells`.
    """
    before, _, rest = document.partition(BEGIN)
    middle, end, after = rest.partition(END)
    if not end:
        before, middle, after = "", "", ""
    lines = [line for line in middle.splitlines() if line.startswith("| ")][2:]
    known = {row[0]: row for row in ([c.strip() for c in line[1:-1].split("|")] for line in lines)}
    if known.keys() - {row[0] for row in rows}:
        about += " Rows of earlier runs on the same machine stand beside these."
    known |= {row[0]: row for row in rows}
    return f"{before}{BEGIN}\n{about}\n\n{table(list(known.values()))}\n{END}{after or chr(10)}"


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
