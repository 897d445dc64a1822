"""Validates, times and describes every case."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from napari_msd.bench.agreement import validate
from napari_msd.bench.cases import CASES, Case, prepared
from napari_msd.bench.contenders import CONTENDERS, PACKAGES, contender
from napari_msd.bench.timing import (
    Floor,
    machine,
    measure_floor,
    measure_handover,
    measure_peak,
    timed,
    torch_threads,
)
from napari_msd.core.errors import SettingsError
from napari_msd.native import library_statuses, operator
from napari_msd.native.core import Structure
from napari_msd.network import MSDNet


@dataclass(frozen=True)
class Measured:
    """One line of the report, for a file.

    Parameters
    ----------
    case, contender, work
        Identify the measurement: "100:1x512x512", "core (cuda)", "forward" or "step".
    median, best
        Seconds of one call.
    flops
        Operations of one call.
    share_of_floor
        Shortest possible time divided by the median, 0 to 1.
    """

    case: str
    contender: str
    work: str
    median: float
    best: float
    flops: float
    share_of_floor: float


def report(
    cases: Sequence[Case] = CASES,
    contenders: Sequence[str] = CONTENDERS,
    device: str = "cpu",
    seconds: float = 4.0,
    measured: Callable[[Measured], object] = lambda _: None,
) -> Iterator[str]:
    """Validate, time and describe every case, line by line.

    Parameters
    ----------
    cases
        The cases to time.
    contenders
        Any of `CONTENDERS`; a line reports each package that is not installed.
    device
        ``cpu`` or ``cuda``.
    seconds
        Approximate time for each pass of each contender, longer if a single call takes longer.
        A step is skipped if it would take more than ten times as long.
    measured
        Called with each figure.

    Raises
    ------
    MSDError
        If a core disagrees with the reference.
    SettingsError
        For an unknown contender.
    """
    unknown = set(contenders) - set(CONTENDERS)
    if unknown:
        raise SettingsError(f"Contenders are {', '.join(CONTENDERS)}, not {min(unknown)!r}.")
    yield machine(device)
    for status in library_statuses():
        yield status.reason
    floor = measure_floor(device)
    peak = f"{floor.flops / 1e9:.1f} GFLOP/s" if floor.flops else "unknown"
    yield f"floor: multiply-adds {peak}, copy {floor.bytes / 1e9:.1f} GB/s (read + write)"
    missing = []
    for name, module in PACKAGES.items():
        if name in contenders:
            try:
                importlib.import_module(module)
            except ImportError as error:
                missing.append(name)
                yield f"{name} is left out: {error}"
    for case in cases:
        # Measured again for each case: a measurement beside another process is too low.
        peak_now = measure_peak(device)
        if peak_now and floor.flops and peak_now > floor.flops:
            floor = replace(floor, flops=peak_now)
        here = [name for name in contenders if name not in missing]
        yield from _report_case(case, here, device, seconds, floor, measured)


def _report_case(
    case: Case,
    contenders: Sequence[str],
    device: str,
    seconds: float,
    floor: Floor,
    measured: Callable[[Measured], object],
) -> Iterator[str]:
    net, image = prepared(case, device)
    error = validate(net)
    pixels = case.batch * image[0, 0].numel()
    flops, maps = 2.0 * net.n_parameters * pixels, 4.0 * net.n_maps * pixels
    yield ""
    yield (
        f"depth {case.depth}, {' x '.join(map(str, (case.batch, *case.sizes)))}: "
        f"{flops / 1e9:.1f} GFLOP forward, {maps / 2**20:.0f} MiB of maps{_memory(net, image)}; "
        f"agrees with the reference to {error:.0e}"
    )
    if floor.flops:
        yield f"  (peak of multiply-adds: {floor.flops / 1e9:.1f} GFLOP/s)"
    handover = measure_handover() if device == "cpu" else None
    if handover:
        yield f"  (a cache line passes from thread to thread in {handover * 1e9:.0f} ns)"
    # Minimum: each map is written and read once; a step adds its gradient and reads the map again.
    passes = (
        ("forward", flops, floor.seconds(flops, 2 * maps)),
        ("step", 3 * flops, floor.seconds(3 * flops, 5 * maps)),
    )
    for name in contenders:
        way = contender(name, net, image)
        if way is None:
            continue
        with torch_threads(way.torch_threads):
            for kind, work, least in passes:
                if kind == "step" and way.step_bytes > _free_memory(device) / 2:
                    gib = way.step_bytes / 2**30
                    yield f"  {way.name:24} {kind:8} left out: it would keep {gib:.1f} GiB"
                    break
                timing = timed(way.forward if kind == "forward" else way.step(), device, seconds)
                share = least / timing.median
                measured(
                    Measured(str(case), way.name, kind, timing.median, timing.best, work, share)
                )
                yield (
                    f"  {way.name:24} {kind:8} {timing.median * 1e3:10.2f} ms "
                    f"(best {timing.best * 1e3:10.2f}) {work / timing.median / 1e9:8.1f} GFLOP/s  "
                    f"{100 * share:5.1f} % of the floor"
                )
                if timing.median * 4 > 10 * seconds:
                    break


def _memory(net: MSDNet, image: Tensor) -> str:
    """The memory that the compiled core needs, as text; empty without a core."""
    if net.backend_in_use == "torch":
        return ""
    core = operator.compiled_core(net.backend_in_use or "cpu")
    structure = Structure(net.dilations, net.width, net.boundary)
    infer, step = (
        core.bytes_needed(image.shape, image.dtype, net.n_classes, structure, training=training)
        for training in (False, True)
    )
    return f"; the core needs {infer / 2**20:.0f} MiB, for a step {step / 2**20:.0f} MiB"


def _free_memory(device: str) -> float:
    if device == "cuda":
        return torch.cuda.mem_get_info()[0]
    if hasattr(os, "sysconf") and "SC_AVPHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return 8 * 2.0**30
