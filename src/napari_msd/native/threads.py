"""How many CPU threads the compiled core may use."""

from __future__ import annotations

import os

from napari_msd.errors import SettingsError

_threads: int | None = None


def get_threads() -> int:
    """CPU threads of a pass: what `set_threads` said, else every core this process may use."""
    return _threads if _threads is not None else available_cores()


def set_threads(threads: int | None) -> None:
    """Use this many CPU threads from the next pass on; None goes back to all available cores.

    Raises
    ------
    SettingsError
        For a number below 1.
    """
    global _threads
    if threads is not None and threads < 1:
        raise SettingsError(f"The number of threads must be at least 1, not {threads}.")
    _threads = threads


def available_cores() -> int:
    """Cores that this process may run on (a batch system may allow fewer than there are)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
