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
COLUMNS = "     mean    median       p90       max  ratio bound within others"
# Ends when this process closes the pipe, also by being killed.
NEIGHBOUR = """
import os, sys, threading
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0))).start()
print(flush=True)
while True:
    pass
"""


@contextmanager
def neighbours(number: int) -> Iterator[list[psutil.Process]]:
    """Busy processes while the block runs; all count when it begins."""
    command, pipe = [sys.executable, "-c", NEIGHBOUR], subprocess.PIPE
    running = [subprocess.Popen(command, stdin=pipe, stdout=pipe) for _ in range(number)]
    try:
        for process in running:
            process.stdout.readline()
        yield [psutil.Process(process.pid) for process in running]
    finally:
        for process in running:
            process.kill()
            process.communicate()


def measure(
    call: Callable[[], object], seconds: float, busy: list[psutil.Process]
) -> tuple[list[float], float]:
    """Time of each of some calls, at least two; and how many cores all others used meanwhile."""

    def used_by_others() -> float:
        cores = psutil.cpu_times()
        used = sum(cores[:8]) - cores.idle - getattr(cores, "iowait", 0)
        return used - sum(sum(p.cpu_times()[:2]) for p in (psutil.Process(), *busy))

    call()
    before, start, times = used_by_others(), time.perf_counter(), []
    while time.perf_counter() - start < seconds or len(times) < 2:
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return times, max(0.0, used_by_others() - before) / (time.perf_counter() - start)


def report(kind: str, threads: int, builds: dict[str, Core], options: argparse.Namespace) -> None:
    """Measure one kind of pass and print its lines."""
    case, what = kind.split()
    net, image = prepared(parse_case(case), "cpu")

    def call() -> None:
        with torch.set_grad_enabled(what == "step"):
            logits = net(image)
        if what == "step":
            logits.sum().backward()

    set_threads(threads)
    runs, others = defaultdict(list), defaultdict(list)
    for _ in range(options.runs):
        for k in (0, *options.neighbours):
            with neighbours(k) as busy:
                for name, core in builds.items():
                    operator.compiled_core = lambda *_, core=core: core
                    if (name, 0) not in runs:
                        validate(net)
                    times, by_others = measure(call, options.seconds, busy)
                    runs[name, k].append(times)
                    others[name, k].append(by_others)
    for (name, k), measured in runs.items():
        quiet = statistics.median(map(statistics.mean, runs[name, 0]))
        mean = statistics.median(map(statistics.mean, measured))
        bound = 2 * (k + available_cores()) / available_cores()
        worst = map(max if "512x512" in case else statistics.mean, measured)
        times = sorted(t for run in measured for t in run)
        figures = (mean, statistics.median(times), times[int(0.9 * len(times))], times[-1])
        print(
            f"{kind:22} {threads} {k} {name:9}", *(f"{1e3 * x:9.2f}" for x in figures),
            f"{mean / quiet:6.2f} {bound:5.1f} {sum(t <= bound * quiet for t in worst):3}"
            f"/{len(measured):<2} {statistics.median(others[name, k]):6.2f}", flush=True,
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
    options = parser.parse_args()
    if options.quick:
        options.runs, options.seconds = 3, 0.3
    builds = {"installed": Core(load_library("cpu"))}
    if options.library:
        builds["other"] = Core(open_library(next(options.library.rglob("*napari_msd_cpu.*"))))
    torch.set_num_threads(1)  # torch's idle threads spin: they would be neighbours, too
    print(f"{machine('cpu')}; {available_cores()} cores; milliseconds")
    print(f"{'pass':22} t k {'build':9} {COLUMNS}")
    for kind in options.only or KINDS:
        for threads in options.threads:
            report(kind, threads, builds, options)


if __name__ == "__main__":
    main()
