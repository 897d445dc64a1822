"""Training steps per second beside busy programs, at several priorities of the trainer.

Starts programs that keep a core busy each (at nice 0), trains in a real trainer process for
some seconds, and prints training steps per second. The priority is given through the
environment variable ``NAPARI_MSD_NICE``. What a low priority is good for, a window that never
waits for the trainer, is measured by ``ui_gap.py``, to be run with the same variable.

Run: ``python benchmarks/priority.py [--nice 0 10 19] [--busy 0 1 2] [--seconds 8]``
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

import numpy as np

from napari_msd.core.settings import Settings
from napari_msd.core.space import Space
from napari_msd.document import Painted
from napari_msd.trainer.client import TrainerClient
from napari_msd.trainer.messages import Event, Progress
from napari_msd.trainer.priority import NICE_VARIABLE

BUSY = "print(flush=True)\nwhile True: pass"


@contextmanager
def busy_programs(number: int) -> Iterator[None]:
    """So many other programs that never wait for anything."""
    command = [sys.executable, "-c", BUSY]
    programs = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(number)]
    try:
        for program in programs:
            assert program.stdout is not None
            program.stdout.readline()  # it runs
        yield
    finally:
        for program in programs:
            program.kill()
            program.communicate()


class Steps:
    """Keeps the newest step, and whether the trainer says that it is starved."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self.step = 0
        self.starved = False

    def __call__(self, session: int, event: Event) -> None:
        """Take an event."""
        if isinstance(event, Progress):
            with self._condition:
                self.step, self.starved = event.step, event.starved
                self._condition.notify_all()

    def wait_for(self, step: int) -> None:
        """Wait until so many steps are done."""
        with self._condition:
            self._condition.wait_for(lambda: self.step >= step, 120)


def image_and_strokes(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Two noisy halves with strokes on both."""
    rng = np.random.default_rng(0)
    image = np.where(np.arange(size) < size // 2, 50.0, 100.0) + rng.normal(0, 10, (size, size))
    strokes = np.zeros((size, size), np.uint8)
    strokes[20:-20, size // 4 : size // 4 + 4] = 1
    strokes[20:-20, -size // 4 : -size // 4 + 4] = 2
    return image.astype(np.float32), strokes


def steps_per_second(busy: int, seconds: float) -> tuple[float, bool]:
    """Steps per second beside so many busy programs, and whether starvation was told."""
    image, strokes = image_and_strokes(512)
    steps = Steps()
    client = TrainerClient(steps)
    try:
        space = Space("YX", image.shape)
        client.open(Settings.from_preset("quick"), {0: space}, lambda box: image)
        client.set_strokes([Painted(space.whole(0), strokes)])
        client.set_view(space.whole(0))
        client.set_live(True)
        steps.wait_for(10)
        with busy_programs(busy):
            began, first = perf_counter(), steps.step
            threading.Event().wait(seconds)
            passed = perf_counter() - began
            return (steps.step - first) / passed, steps.starved
    finally:
        client.close()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nice", type=int, nargs="+", default=[0, 10, 19])
    parser.add_argument("--busy", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--seconds", type=float, default=8.0)
    arguments = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, ", end="")
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(f"load {load:.1f}, {platform.system()}, Python {platform.python_version()}")
    print("steps per second beside k busy programs")
    print("nice " + "".join(f"{f'k = {k}':>14}" for k in arguments.busy))
    for nice in arguments.nice:
        os.environ[NICE_VARIABLE] = str(nice)
        print(f"{nice:4} ", end="", flush=True)
        for busy in arguments.busy:
            rate, starved = steps_per_second(busy, arguments.seconds)
            print(f"{rate:5.1f}{' starved' if starved else '':9}", end="", flush=True)
        print()


if __name__ == "__main__":
    main()
