"""Which schedule the CUDA core follows on each GPU, as its trial there has found out.

`napari_msd.network.trial` chooses, `MSDNet` asks. Without a trial every pass is staged.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from napari_msd.native.backend import device_number
from napari_msd.native.core import CoreFailedError, Schedule, Structure
from napari_msd.native.operator import compiled_core
from napari_msd.native.untraced import untraced

_log = logging.getLogger(__name__)
_chosen: dict[tuple[int, torch.dtype | None, bool], Schedule] = {}
_given_up: dict[int, int] = {}


def choose_schedule(
    device: int, map_dtype: torch.dtype | None, training: bool, schedule: Schedule
) -> None:
    """Follow this schedule from now on.

    Parameters
    ----------
    device
        Number of the GPU.
    map_dtype
        For passes that store maps so: torch.float16, or None for float32.
    training
        For passes with gradients, or for those without.
    schedule
        ``staged`` or ``cooperative``.
    """
    _chosen[device, map_dtype, training] = schedule


@untraced  # it queries the machine
def schedule_of(image: Tensor, n_classes: int, structure: Structure, training: bool) -> Schedule:
    """The schedule of a pass over `image`: the chosen one, or staged where it cannot be followed.

    Parameters
    ----------
    image
        (N, in_channels, [Z,] Y, X), on a GPU.
    n_classes
        Outputs of the network.
    structure
        Of the network; its schedule is ignored.
    training
        Whether a backward pass follows.
    """
    number = device_number(image.device)
    chosen = _chosen.get((number, structure.map_dtype, training), "staged")
    if chosen == "staged":
        return chosen
    core = compiled_core("cuda", number)
    wanted = replace(structure, schedule=chosen)
    with torch.cuda.device(image.device):
        able = core.can_run(image.shape, image.dtype, n_classes, wanted, training)
    return chosen if able else "staged"


@untraced
def confirmed(work: Callable[[Schedule], Tensor], schedule: Schedule, image: Tensor) -> Tensor:
    """Do a pass over `image` by a schedule; without gradients again, staged, if it went wrong.

    With gradients the result may be wrong: who trains asks `times_given_up` after each step. So
    must who captures passes, after each replay.
    """
    result = work(schedule)
    if schedule == "staged" or torch.is_grad_enabled() or torch.cuda.is_current_stream_capturing():
        return result
    # An error of an earlier pass counts, too: at worst this one is done once more for nothing.
    before = _given_up.get(device_number(image.device), 0)
    return result if times_given_up(image.device) == before else work("staged")


def times_given_up(device: torch.device) -> int:
    """How often cooperative passes on a GPU were found to have gone wrong, in this process.

    A larger number than before means that blocks of threads gave up waiting for one another: what
    was computed since may be wrong, and captured passes have to be captured anew. New passes are
    staged from then on, and the log says so. Waits for the GPU's work where passes are cooperative,
    and costs nothing elsewhere.
    """
    number = device_number(device) if device.type == "cuda" else -1
    mine = [
        key for key, schedule in _chosen.items() if (key[0], schedule) == (number, "cooperative")
    ]
    if mine:
        try:
            with torch.cuda.device(device):
                compiled_core("cuda", number).check_waits(torch.empty(0, device=device))
        except CoreFailedError as error:
            _log.warning("Every pass on %s is staged from now on: %s", device, error)
            for key in mine:
                _chosen[key] = "staged"
            _given_up[number] = _given_up.get(number, 0) + 1
    return _given_up.get(number, 0)


def forget_schedules() -> None:
    """Every pass is staged again; for tests."""
    _chosen.clear()
    _given_up.clear()
