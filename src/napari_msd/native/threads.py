"""How many CPU threads the compiled core may use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from napari_msd.core.errors import SettingsError

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
    """Cores that this process may use; batch systems and containers may allow it only some."""
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    return min(cores, _own_quota() or cores)


@cache
def _own_quota() -> int | None:
    return quota_of_cores(Path("/"))


def quota_of_cores(root: Path) -> int | None:
    """How many cores' time the control groups of this process grant it, rounded up.

    With more threads than that, Linux stops all of them for the rest of each period (0.1 s) once
    its time is used up.

    Parameters
    ----------
    root
        Where ``proc`` and ``sys`` lie: ``/``, but in tests.

    Returns
    -------
    int or None
        At least 1; None where nothing limits it, as on other systems than Linux.
    """
    limits = [limit for group in _groups(root) if (limit := _limit(group)) is not None]
    return min(limits, default=None)


def _groups(root: Path) -> Iterator[Path]:
    """Folders of this process's control groups and of those around them, version 2 and 1.

    In a container the path in ``/proc`` may be the host's, while only the container's own group
    is there, as the topmost folder: folders that do not exist are of no importance.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    mounts = root / "sys/fs/cgroup"
    for line in lines:
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            tops = [mounts, mounts / "unified"]
        elif "cpu" in controllers.split(","):
            tops = [mounts / controllers, mounts / "cpu"]
        else:
            continue
        parts = [part for part in path.split("/") if part]
        for top in tops:
            for n in range(len(parts), -1, -1):
                yield top.joinpath(*parts[:n])


def _limit(group: Path) -> int | None:
    """Cores granted to one control group; None: as many as there are, or unknown."""
    try:
        if (group / "cpu.max").exists():
            quota, period = (group / "cpu.max").read_text(encoding="utf-8").split()
        else:
            quota, period = (
                (group / f"cpu.cfs_{name}_us").read_text(encoding="utf-8").strip()
                for name in ("quota", "period")
            )
        # "max" in version 2, -1 in version 1: no limit. Rounded up.
        return None if quota in ("max", "-1") else max(1, -(-int(quota) // int(period)))
    except (OSError, ValueError, ZeroDivisionError):
        return None
