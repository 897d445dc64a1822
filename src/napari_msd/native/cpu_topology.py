"""How many cores share the work of a pass well: one thread per physical core, fast cores only.

The compiled CPU core's threads work on neighbouring rows of an image and wait for one another, so a
pass runs at the pace of its slowest thread: four fast cores with four slow ones can take longer
than the four fast ones alone, and two threads of one physical core share its arithmetic and its
cache. Only the number is decided here; the system's scheduler, which puts busy threads on fast
cores, places them. None of this was measured on a hybrid processor.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path


def fast_processor_cores() -> int | None:
    """Number of fast physical cores that this process may use; None: the system does not tell."""
    if sys.platform == "linux":
        return of_linux(Path("/"), os.sched_getaffinity(0))
    if sys.platform == "darwin":
        return of_macos(_sysctl)
    if sys.platform == "win32":
        return of_windows(*_windows_cores())
    return None


# --- Linux -------------------------------------------------------------------------------------


def of_linux(root: Path, allowed: Collection[int]) -> int | None:
    """Count fast physical cores by what Linux tells of them.

    Parameters
    ----------
    root
        Folder that contains ``sys``: ``/``, except in tests.
    allowed
        Numbers of the logical CPUs that the process may use.

    Returns
    -------
    int or None
        At least 1; None if the system does not tell which CPUs are threads of one core.
    """
    devices = root / "sys/devices"
    # There only on processors of Intel that have fast and slow cores.
    fast = _cpus(devices / "cpu_core/cpus")
    candidates = {cpu for cpu in allowed if cpu in fast} or set(allowed)
    capacities: dict[frozenset[int], int] = {}
    for cpu in candidates:
        folder = devices / f"system/cpu/cpu{cpu}"
        siblings = _cpus(folder / "topology/thread_siblings_list")
        if not siblings:
            return None
        capacities[siblings] = _number(folder / "cpu_capacity") or 1024  # of the fastest: ARM's
    return _worthwhile(capacities.values())


def _worthwhile(speeds: Iterable[int]) -> int | None:
    """How many of these cores are fastest together, if all go at the pace of the slowest."""
    ordered = sorted(speeds, reverse=True)
    counts = range(1, len(ordered) + 1)
    return max(counts, key=lambda count: (count * ordered[count - 1], count), default=None)


def _cpus(path: Path) -> frozenset[int]:
    """The CPUs of a list like ``0-3,8``; none if there is no such file."""
    try:
        text = path.read_text(encoding="ascii").strip()
        return frozenset(_expanded(text)) if text else frozenset()
    except (OSError, ValueError):
        return frozenset()


def _expanded(text: str) -> Iterator[int]:
    for part in text.split(","):
        first, dash, last = part.partition("-")
        yield from range(int(first), int(last if dash else first) + 1)


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


# --- macOS -------------------------------------------------------------------------------------


def of_macos(sysctl: Callable[[str], int | None]) -> int | None:
    """Count performance cores: of Apple's processors level 0, of Intel's all physical ones.

    Parameters
    ----------
    sysctl
        The value of a name, or None.
    """
    return sysctl("hw.perflevel0.physicalcpu") or sysctl("hw.physicalcpu")


def _sysctl(name: str) -> int | None:
    value = ctypes.c_int32(0)
    size = ctypes.c_size_t(ctypes.sizeof(value))
    try:
        function = ctypes.CDLL(None).sysctlbyname
    except (OSError, AttributeError):
        return None
    code = function(
        name.encode(), ctypes.byref(value), ctypes.byref(size), None, ctypes.c_size_t(0)
    )
    return value.value if code == 0 and value.value > 0 else None


# --- Windows -----------------------------------------------------------------------------------

_CORE = 0
"""RelationProcessorCore: records of GetLogicalProcessorInformationEx that are of physical cores."""


def of_windows(records: bytes, allowed: int) -> int | None:
    """Count the cores of the highest efficiency class (the fastest) in a list of Windows.

    Parameters
    ----------
    records
        What GetLogicalProcessorInformationEx gives of cores: records of the relationship, the
        record's size, flags, efficiency class, 20 bytes, the number of groups, and for each
        group 8 bytes of mask, the group's number and 6 bytes.
    allowed
        Mask of the logical processors that the process may use; 0: unknown. It is of one group, so
        it is ignored where there are several, of more than 64 processors.
    """
    found: list[tuple[int, list[tuple[int, int]]]] = []
    start = 0
    while start + 32 <= len(records):
        relationship, size = struct.unpack_from("<II", records, start)
        efficiency, groups = struct.unpack_from("<xB20xH", records, start + 8)
        masks = [
            struct.unpack_from("<QH", records, start + 32 + 16 * i)
            for i in range(groups)
            if start + 48 + 16 * i <= len(records)
        ]
        if relationship == _CORE:
            found.append((efficiency, masks))
        if size < 32:
            break
        start += size
    if len({group for _, masks in found for _, group in masks}) > 1:
        allowed = 0
    classes = [
        efficiency
        for efficiency, masks in found
        if not allowed or any(mask & allowed for mask, _ in masks)
    ]
    return classes.count(max(classes)) if classes else None


def _windows_cores() -> tuple[bytes, int]:
    """The records and the mask that `of_windows` reads; empty and 0 if Windows refuses."""
    if sys.platform != "win32":
        return b"", 0
    kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    size = ctypes.c_uint32(0)
    kernel.GetLogicalProcessorInformationEx(_CORE, None, ctypes.byref(size))
    buffer = ctypes.create_string_buffer(size.value)
    if not kernel.GetLogicalProcessorInformationEx(_CORE, buffer, ctypes.byref(size)):
        return b"", 0
    process, system = ctypes.c_size_t(0), ctypes.c_size_t(0)
    kernel.GetCurrentProcess.restype = ctypes.c_void_p
    kernel.GetProcessAffinityMask.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
    found = kernel.GetProcessAffinityMask(
        kernel.GetCurrentProcess(), ctypes.byref(process), ctypes.byref(system)
    )
    return buffer.raw[: size.value], process.value if found else 0
