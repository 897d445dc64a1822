"""A compiled core is tried before it is used: once per process, device and type of maps.

`napari_msd.network.self_check` compares it with the reference. A core that fails is set aside
(`native.set_aside`), so that everything here computes in plain torch; the reason goes to the log.
On a GPU what is right is then timed, and the fastest chosen (`napari_msd.network.path_times`).
Whoever makes networks for a person to use calls `try_core` first: `training.Trainer` does. Never
in the viewer's process, and in the trainer's before it is given anything to learn.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from napari_msd.core.core_trial import crashed_before, on_trial
from napari_msd.native import get_threads, set_aside
from napari_msd.native.aside import LibraryKind
from napari_msd.native.backend import device_number
from napari_msd.native.core import Schedule
from napari_msd.native.libraries import library_status
from napari_msd.native.schedules import choose_schedule, forget_schedules
from napari_msd.network.path_times import Path, path_times
from napari_msd.network.same_bits import difference_of_schedules
from napari_msd.network.self_check import NOTHING_COMPARED, first_error

CRASHED = "the process that tried it crashed"

_log = logging.getLogger(__name__)
_lock = threading.Lock()
_found: dict[tuple[LibraryKind, int, torch.dtype | None, int], str | None] = {}


def try_core(device: torch.device, map_dtype: torch.dtype | None = None) -> bool:
    """Compare the device's compiled core with the reference, unless that was done before.

    A core that is wrong with float32 maps is set aside. It takes about 75 ms on a CPU; on a GPU a
    few hundred, and the GPU's context is made if there is none yet.

    Parameters
    ----------
    device
        Where networks are to be computed.
    map_dtype
        How they will store maps: torch.float16 (CUDA), or None for float32.

    Returns
    -------
    bool
        Whether the core can be used with such maps; False where there is none.
    """
    kind = core_of(device)
    if kind is None:
        return False
    number = device_number(device)
    # With other threads the CPU core divides its work otherwise.
    key = (kind, number, map_dtype, get_threads() if kind == "cpu" else 0)
    with _lock:
        if not library_status(kind, number).usable:
            return False
        if key not in _found:
            _found[key] = _try(kind, device, map_dtype)
        error = _found[key]
        if error == NOTHING_COMPARED:  # for want of memory: later there may be more
            del _found[key]
            return map_dtype is None
        if error is not None and map_dtype is None:
            set_aside(kind, number, error)
    return error is None and library_status(kind, number).usable


def _try(kind: LibraryKind, device: torch.device, map_dtype: torch.dtype | None) -> str | None:
    """What is wrong with the core; where nothing is, how a GPU's passes are computed is chosen."""
    number = device_number(device)
    error = _compare(kind, device, map_dtype, "staged")
    # On a CPU its speed needs no trial: there the core is 3.8 to 17 times as fast as the blocked
    # torch that would take its place, whatever the network and the image (docs/benchmarks.md).
    if kind == "cuda" and error is None:
        _choose_path(device, number, map_dtype)
    return error


def _compare(
    kind: LibraryKind, device: torch.device, map_dtype: torch.dtype | None, schedule: Schedule
) -> str | None:
    """What is wrong with the core by a schedule; None: nothing."""
    began = time.perf_counter()
    with _on_trial(device, schedule) as crashed:
        error = CRASHED if crashed else first_error(kind, device, map_dtype, schedule)
    maps = "float32" if map_dtype is None else str(map_dtype).removeprefix("torch.")
    what = f"the compiled {kind.upper()} core on {device}, {maps} maps, {schedule}"
    if error is not None:
        _log.warning("Check of %s: %s", what, error)
    else:
        took = 1000 * (time.perf_counter() - began)
        _log.info("Check of %s: it agrees with the reference (%.0f ms)", what, took)
    return error


@contextmanager
def _on_trial(device: torch.device, schedule: Schedule) -> Iterator[bool]:
    """Log that a core is on trial while it is; yields whether that crashed an earlier process.

    Raises
    ------
    RuntimeError
        If the GPU's context is lost afterwards: then nothing can be computed on it in this process,
        and the viewer starts another one, which does without what was tried.
    """
    core = f"{device.type} {device_number(device)}" + " cooperative" * (schedule != "staged")
    crashed = crashed_before(core)
    if not crashed:
        _log.info(on_trial(core))
    yield crashed
    if device.type == "cuda" and not crashed:
        torch.zeros(1, device=device).cpu()
    _log.info(on_trial(None))


def _choose_path(device: torch.device, number: int, map_dtype: torch.dtype | None) -> None:
    """Have a GPU's passes take the fastest path that is right there, for training and prediction.

    Where plain torch trains faster than the core, the core is set aside, and nobody told.
    """
    schedules: list[Schedule] = ["staged"]
    if _cooperates(device, map_dtype):
        schedules.append("cooperative")
    for training in (True, False):
        # With 16-bit maps the core computes something else than torch would.
        rival: list[Path] = ["torch"] if training and map_dtype is None else []
        with _on_trial(device, schedules[-1]):
            times = path_times("cuda", device, map_dtype, [*schedules, *rival], training)
        work = "a training step" if training else "a prediction"
        told = ", ".join(f"{path} {milliseconds:.2f}" for path, milliseconds in times.items())
        _log.info("Milliseconds of %s on %s: %s", work, device, told)
        fastest: Path = min(times, key=times.__getitem__, default="staged")
        if fastest == "torch":
            set_aside("cuda", number, f"PyTorch is faster here (milliseconds: {told})", tell=False)
            return
        choose_schedule(number, map_dtype, training, fastest)


def _cooperates(device: torch.device, map_dtype: torch.dtype | None) -> bool:
    """Whether cooperative passes are right."""
    if _compare("cuda", device, map_dtype, "cooperative") is not None:
        return False
    with _on_trial(device, "cooperative") as crashed:
        error = CRASHED if crashed else difference_of_schedules("cuda", device, map_dtype)
    if error is not None:
        _log.warning("Check of cooperative passes on %s: %s", device, error)
    return error is None


def core_of(device: torch.device) -> LibraryKind | None:
    """The kind of core that computes on this device; None: there is none for it."""
    if device.type == "cpu":
        return "cpu"
    return "cuda" if device.type == "cuda" and torch.version.hip is None else None


def try_again() -> None:
    """Forget what was tried; for tests."""
    with _lock:
        _found.clear()
        forget_schedules()
