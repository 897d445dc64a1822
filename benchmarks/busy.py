"""How long passes of the compiled CPU core take while other processes want the cores, too.

The script starts its busy neighbours itself: processes that only count. Shared out fairly, k
neighbours and a pass on n cores leave the pass n/(k + n) of the machine, so it may take (k + n)/n
times as long as quiet; the bound is twice that. A run is within it if its mean is, and for
512 x 512 only if every single pass is. "others" says how many cores anything else had meanwhile:
above 0.1 the figures are spoilt. ``--library FOLDER`` measures a second build in turn.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

from napari_msd.bench.agreement import validate
from napari_msd.bench.cases import parse_case, prepared
from napari_msd.bench.timing import machine
from napari_msd.native import operator, set_threads
from napari_msd.native.core import Core
from napari_msd.native.libraries import load_library, open_library
from napari_msd.native.threads import available_cores

KINDS = ("30:1x96x96 forward", "30:4x128x128 step", "100:1x512x512 forward")
# Ends when this process closes the pipe, also by being killed.
NEIGHBOUR = """
import os, sys, threading
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0))).start()
print(flush=True)
while True:
    pass
"""


@dataclass
class Run:
    """Seconds of the passes of one run, and cores that were used by other processes."""

    times: list[float]
    others: float

    @property
    def mean(self) -> float:
        """Seconds."""
        return statistics.mean(self.times)


@contextmanager
def neighbours(number: int) -> Iterator[list[psutil.Process]]:
    """Busy processes while the block runs; all count when it begins."""
    command = [sys.executable, "-c", NEIGHBOUR]
    pipe = subprocess.PIPE
    running = [subprocess.Popen(command, stdin=pipe, stdout=pipe) for _ in range(number)]
    try:
        for process in running:
            process.stdout.readline()
        yield [psutil.Process(process.pid) for process in running]
    finally:
        for process in running:
            process.kill()
            process.communicate()


def measure(call: Callable[[], object], seconds: float, busy: list[psutil.Process]) -> Run:
    """Time calls for so long, at least two."""

    def used() -> tuple[float, float]:
        everything = psutil.cpu_times()
        ours = [psutil.Process(), *busy]
        idle = everything.idle + getattr(everything, "iowait", 0)
        return sum(everything[:8]) - idle, sum(sum(p.cpu_times()[:2]) for p in ours)

    call()
    before, start, times = used(), time.perf_counter(), []
    while time.perf_counter() - start < seconds or len(times) < 2:
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    wall, after = time.perf_counter() - start, used()
    others = (after[0] - before[0] - (after[1] - before[1])) / wall
    return Run(times, max(0.0, others))


def report(kind: str, threads: int, builds: dict[str, Core], arguments: argparse.Namespace) -> None:
    """Measure one kind of pass and print its lines."""
    case, _, what = kind.partition(" ")
    net, image = prepared(parse_case(case), "cpu")

    def call() -> None:
        with torch.set_grad_enabled(what == "step"):
            logits = net(image)
        if what == "step":
            logits.sum().backward()

    set_threads(threads)
    runs: dict[tuple[str, int], list[Run]] = defaultdict(list)
    for _ in range(arguments.runs):
        for k in (0, *arguments.neighbours):
            with neighbours(k) as busy:
                for name, core in builds.items():
                    operator.compiled_core = lambda *_, core=core: core
                    if not runs[name, k]:
                        validate(net)
                    runs[name, k].append(measure(call, arguments.seconds, busy))
    for (name, k), measured in runs.items():
        quiet = statistics.median(run.mean for run in runs[name, 0])
        bound = 2 * (k + available_cores()) / available_cores()
        worst = [max(r.times) if "512x512" in kind else r.mean for r in measured]
        times = sorted(t for run in measured for t in run.times)
        mean = statistics.median(run.mean for run in measured)
        figures = (mean, statistics.median(times), times[int(0.9 * len(times))], times[-1])
        print(
            f"{kind:22} {threads} {k} {name:9}", *(f"{1e3 * x:9.2f}" for x in figures),
            f"{mean / quiet:6.2f} {bound:5.1f}  {sum(w <= bound * quiet for w in worst):2}"
            f"/{len(measured)}  {statistics.median(r.others for r in measured):5.2f}", flush=True,
        )  # fmt: skip


def main() -> None:
    """Measure every kind of pass with every number of threads, quiet and beside neighbours."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--library", type=Path, help="folder of another build (CMake's)")
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=1.0, help="of one run")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--neighbours", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--only", choices=KINDS, action="append")
    parser.add_argument("--quick", action="store_true", help="3 runs of 0.3 s")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.runs, arguments.seconds = 3, 0.3
    builds = {"installed": Core(load_library("cpu"))}
    if arguments.library:
        builds["other"] = Core(open_library(next(arguments.library.rglob("*napari_msd_cpu.*"))))
    torch.set_num_threads(1)  # torch's idle threads spin: they would be neighbours, too
    print(f"{machine('cpu')}; {available_cores()} cores; milliseconds")
    columns = ("mean", "median", "p90", "max", "ratio", "bound", "within", "others")
    print(f"{'pass':22} t k {'build':9}", *(f"{c:>9}" for c in columns[:4]), *columns[4:])
    for kind in arguments.only or KINDS:
        for threads in arguments.threads:
            report(kind, threads, builds, arguments)


if __name__ == "__main__":
    main()
