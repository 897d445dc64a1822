"""How many CPU threads the compiled core may use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from napari_msd.core.errors import SettingsError
from napari_msd.native.cpu_topology import fast_processor_cores

_threads: int | None = None


def get_threads() -> int:
    """CPU threads of a pass: the number from `set_threads`, else one per fast physical core.

    For work whose threads wait for one another, see `cpu_topology`.
    """
    if _threads is not None:
        return _threads
    available = available_cores()
    return min(available, _fast_processor_cores() or available)


def get_all_threads() -> int:
    """CPU threads of work that threads take in turn: the set number, else every available core.

    There a slow core, or the second thread of one, takes less of the work and delays nobody.
    """
    return _threads if _threads is not None else available_cores()


def set_threads(threads: int | None) -> None:
    """Use this many CPU threads from the next pass on; None: what this machine does best with.

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
    """Number of logical cores for this process; batch systems and containers may limit it."""
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    return min(cores, _own_quota() or cores)


@cache
def _fast_processor_cores() -> int | None:
    return fast_processor_cores()


@cache
def _own_quota() -> int | None:
    return quota_of_cores(Path("/"))


def quota_of_cores(root: Path) -> int | None:
    """CPU quota of this process's control groups, in cores, rounded up.

    With more threads, Linux suspends all of them for the rest of each period (0.1 s) once the
    quota is used up.

    Parameters
    ----------
    root
        Folder that contains ``proc`` and ``sys``: ``/``, except in tests.

    Returns
    -------
    int or None
        At least 1; None without a quota, as on systems other than Linux.
    """
    limits = [limit for group in _groups(root) if (limit := _limit(group)) is not None]
    return min(limits, default=None)


def _groups(root: Path) -> Iterator[Path]:
    """Folders of this process's control groups and their parents, version 2 and 1.

    In a container the path in ``/proc`` may be the host's, while only the container's own group
    exists, as the topmost folder; so folders that do not exist are ignored.
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
    """Quota of one control group, in cores; None: unlimited or unknown."""
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
