"""The priority of training: it yields to the viewer without ever standing still."""

from __future__ import annotations

import os
import sys
import threading

import psutil

NICE = 5
"""Priority of training on Linux and macOS: 0 is everybody's, 19 the least.

Of a core that another process at 0 wants as a whole, Linux gives a process at nice 19 1.5 %, at
10 10 % and at 5 25 %. Beside two busy programs on two cores, training keeps a fifth of its speed
at 5, a twelfth at 10 and nearly nothing at 19 (``benchmarks/priority.py``; docs/benchmarks.md).
"""

NICE_VARIABLE = "NAPARI_MSD_NICE"
"""Environment variable with another priority, a whole number; on Windows 0 is normal priority,
and above 0 is below normal."""


def lower_priority() -> None:
    """Let the viewer have its core whenever it wants one.

    Called once torch is loaded and the compiled core has its threads, by the thread that
    trains. Only what computes yields: heartbeats and requests come through on a busy
    machine, too.
    """
    nice = wanted_nice()
    try:
        if psutil.WINDOWS:
            if nice > 0:
                psutil.Process().nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)
        elif psutil.LINUX:
            nice = max(nice, os.getpriority(os.PRIO_PROCESS, 0))  # not everybody may go up
            for thread in _computing_threads():
                os.setpriority(os.PRIO_PROCESS, thread, nice)
        else:
            psutil.Process().nice(nice)
    except (psutil.Error, OSError) as error:
        print(f"The trainer keeps normal priority: {error}", file=sys.stderr)


def wanted_nice() -> int:
    """Priority of training, see `NICE` and `NICE_VARIABLE`."""
    try:
        return int(os.environ[NICE_VARIABLE])
    except (KeyError, ValueError):
        return NICE


def _computing_threads() -> set[int]:
    """Linux keeps a priority for every thread: this one's, and those that are not Python's."""
    every = {thread.id for thread in psutil.Process().threads()}
    pythons = {thread.native_id for thread in threading.enumerate()}
    return (every - pythons) | {threading.get_native_id()}
