"""The trainer process's own manners: quiet, polite, and gone when its viewer is gone."""

from __future__ import annotations

import os
import sys
import threading
from typing import TextIO, cast

import psutil

GRACE_SECONDS = 2.0
"""How long a step in progress may take to end by itself once the viewer is gone."""


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


def settle_in() -> None:
    """Run once, before appose's loop reads the first request."""
    sys.stdout = cast("TextIO", WholeLines(sys.stdout))
    threading.Thread(target=_end_with_the_viewer, name="viewer-watch", daemon=True).start()


def be_polite() -> None:
    """Let the viewer have its core whenever it wants one.

    Called once torch is loaded: at the lowest priority that alone could take a
    busy machine a minute.
    """
    process = psutil.Process()
    try:
        if psutil.WINDOWS:
            process.nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)
        elif hasattr(os, "sched_setscheduler"):
            # Linux: idle tasks yield at once to any other; nice 19 alone waits for a tick.
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        else:
            process.nice(19)
    except (psutil.Error, OSError) as error:
        print(f"The trainer keeps normal priority: {error}", file=sys.stderr)


def _end_with_the_viewer() -> None:
    """End this process when appose's main loop ends, which it does when stdin closes.

    The viewer's end of stdin closes when the viewer closes the trainer, and also
    when it crashes or is killed; task threads would keep this process alive.
    """
    threading.main_thread().join()
    ender = threading.Event()
    ender.wait(GRACE_SECONDS)
    os._exit(0)
