"""Times a call, and computes the shortest time possible on this machine."""

from __future__ import annotations

import ctypes
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from napari_msd.core.errors import MSDError
from napari_msd.native import abi, get_threads
from napari_msd.native.libraries import load_library


@dataclass(frozen=True)
class Timing:
    """Median and best time of some calls, in seconds."""

    median: float
    best: float


@dataclass(frozen=True)
class Floor:
    """Peak rates of this machine: operations and copied bytes per second."""

    flops: float | None
    bytes: float

    def seconds(self, flops: float, n_bytes: float) -> float:
        """The shortest time for this arithmetic and traffic, in seconds."""
        return max(flops / self.flops if self.flops else 0.0, n_bytes / self.bytes)


def machine(device: str) -> str:
    """Names of processor, GPU and torch version, and the number of threads used."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
        name = next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), name)
    text = f"{name}, {get_threads()} threads; torch {torch.__version__}"
    return f"{torch.cuda.get_device_name()}; {text}" if device == "cuda" else text


def measure_floor(device: str) -> Floor:
    """Measure the peak of float32 multiply-adds (None without a compiled core) and copy speed."""
    size = 2**26 if device == "cpu" else 2**28  # float32 numbers: beyond any cache
    source = torch.ones(size, device=device)
    target = torch.ones_like(source)
    with torch_threads(get_threads()):
        copying = timed(lambda: target.copy_(source), device, 1.0).best
    return Floor(measure_peak(device), 8 * size / copying)


def measure_peak(device: str) -> float | None:
    """Peak float32 operations per second (a multiply-add is two); None without a core."""
    library = load_library("cuda" if device == "cuda" else "cpu")
    if library is None:
        return None
    flops = ctypes.c_double()
    sink = torch.empty(16, device=device)
    stream = torch.cuda.current_stream().cuda_stream if device == "cuda" else None
    rounds = 1_000_000 if device == "cpu" else 20_000

    def work() -> None:
        code = library.functions.msd_fma_work(
            abi.FLOAT32, get_threads(), rounds, ctypes.byref(flops), sink.data_ptr(), stream
        )
        if code != abi.OK:
            raise MSDError(library.error_text(code))

    with torch_threads(1):
        best = timed(work, device, 0.4).best
    return flops.value / best


def measure_handover() -> float | None:
    """One-way time of a cache line between two threads of the CPU, in seconds; None if unknown.

    About 50 ns where both threads run on cores that share a cache, several times that where they
    do not. A virtual machine's host may move the cores at any time, so measure it beside a figure.
    """
    library = load_library("cpu")
    nanoseconds = ctypes.c_double()
    if library is None or get_threads() < 2:
        return None
    tries = []
    for _ in range(5):  # the least: another process may take one of the cores for a while
        code = library.functions.msd_handover(2000, ctypes.byref(nanoseconds))
        if code != abi.OK:
            raise MSDError(library.error_text(code))
        if nanoseconds.value > 0:
            tries.append(nanoseconds.value / 1e9)
    return min(tries, default=None)


def timed(call: Callable[[], object], device: str, seconds: float) -> Timing:
    """Measure median and best time of a call, after a warm-up; at least 3 calls unless slow.

    On a GPU, several calls are between two of its time stamps, so the host's wake-up time is not
    included. Gaps between launches are included if the host cannot keep up.
    """

    def once() -> float:
        start = time.perf_counter()
        call()
        if device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start

    first = once()
    if device == "cuda" and first > seconds:
        first = once()  # torch.compile compiled in the one before
    if device == "cuda" and first <= seconds:
        return _timed_on_the_card(call, once(), seconds)
    if first > seconds:
        return Timing(first, first)
    times = [once() for _ in range(max(3, min(200, int(seconds / max(first, 1e-6)))))]
    return Timing(statistics.median(times), min(times))


def _timed_on_the_card(call: Callable[[], object], about: float, seconds: float) -> Timing:
    in_one = max(1, min(50, int(5e-3 / about)))
    times = []
    for _ in range(max(3, min(100, int(seconds / (in_one * about))))):
        start = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        end = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        start.record()
        for _ in range(in_one):
            call()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end) / 1e3 / in_one)
    return Timing(statistics.median(times), min(times))


@contextmanager
def torch_threads(threads: int) -> Iterator[None]:
    """Limit the threads that torch uses inside the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
