"""The trainer process's own manners: quiet, polite, and gone when its viewer is gone."""

from __future__ import annotations

import os
import sys
import threading
from typing import TextIO, cast

import psutil

GRACE_SECONDS = 2.0
"""How long a step in progress may take to end by itself once the viewer is gone."""


NICE = 5
"""Priority of training on Linux and macOS: 0 is everybody's, 19 the least.

Of a core that another process at 0 wants as a whole, Linux gives a process at nice 19 1.5 %, at
10 10 % and at 5 25 %. Beside two busy programs on two cores, training keeps a fifth of its speed
at 5, a twelfth at 10 and nearly nothing at 19 (``benchmarks/priority.py``; docs/benchmarks.md).
"""

NICE_VARIABLE = "NAPARI_MSD_NICE"
"""Environment variable with another priority, a whole number; on Windows 0 is normal priority,
and above 0 is below normal."""


class WholeLines:
    """A text stream that passes on whole lines only.

    appose's answers are lines on stdout, printed from several threads; `print`
    writes text and line end separately, so two answers could tear each other apart.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._started = threading.local()

    def write(self, text: str) -> int:
        """Keep `text` until its line is complete."""
        whole, end, rest = (getattr(self._started, "text", "") + text).rpartition("\n")
        self._started.text = rest
        if end:
            with self._lock:
                self._stream.write(whole + end)
                self._stream.flush()
        return len(text)

    def flush(self) -> None:
        """Nothing to do: whole lines are passed on at once."""


def run() -> None:
    """The whole life of a trainer process.

    On Windows numpy can hang when it is imported later than this, while appose reads.
    """
    import numpy  # noqa: F401

    settle_in()
    from appose import python_worker

    import napari_msd.trainer.server  # noqa: F401

    python_worker.main()


def settle_in() -> None:
    """Run once, before appose's loop reads the first request."""
    sys.stdout = cast("TextIO", WholeLines(sys.stdout))
    threading.Thread(target=_end_with_the_viewer, name="viewer-watch", daemon=True).start()


def be_polite() -> None:
    """Let the viewer have its core whenever it wants one, without ever standing still.

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


def _end_with_the_viewer() -> None:
    """End this process when appose's main loop ends, which it does when stdin closes.

    The viewer's end of stdin closes when the viewer closes the trainer, and also
    when it crashes or is killed; task threads would keep this process alive.
    """
    threading.main_thread().join()
    ender = threading.Event()
    ender.wait(GRACE_SECONDS)
    os._exit(0)
