"""A compiled core that crashes the process that tries it: how the process above learns of it.

The trainer writes to its log what is on trial (`on_trial`), at once, so that the line arrives even
if the next instruction is illegal on this processor. The viewer reads it (`read_on_trial`) and
tells the next trainer by its environment, which then does without that core.
"""

from __future__ import annotations

import os
import re
import signal

VARIABLE = "NAPARI_MSD_CRASHED_CORES"
"""Environment variable of a trainer: what crashed an earlier one (``cpu 0,cuda 1 cooperative``)."""

_LINE = re.compile(r"core on trial: (?:none|(\w+ \d+(?: \w+)?))$")
_ENDED = {"SIGKILL", "SIGTERM", "SIGINT", "SIGHUP"}
"""Signals that come from outside."""


def on_trial(core: str | None) -> str:
    """What to log when a trial begins ("cpu 0", "cuda 1 cooperative": core, device), or ends."""
    return f"core on trial: {core or 'none'}"


def read_on_trial(line: str, before: str | None) -> str | None:
    """The core that is on trial after a line of the log, where `before` was until then."""
    found = _LINE.search(line)
    return found[1] if found else before


def crashed(return_code: int) -> bool:
    """Whether a process with this return code ended by itself, with an error or a fault."""
    if return_code < 0:
        try:
            return signal.Signals(-return_code).name not in _ENDED
        except ValueError:
            return True
    return return_code > 0


def crashed_before(core: str) -> bool:
    """Whether the trial of `core` crashed an earlier trainer of the same viewer."""
    return core in os.environ.get(VARIABLE, "").split(",")
