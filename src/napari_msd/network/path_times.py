"""How long the ways to compute a pass take on a GPU: the core by each schedule, and plain torch.

Some 100 ms, once per process, GPU and type of maps; `napari_msd.network.trial` chooses by it.
"""

from __future__ import annotations

import logging
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from napari_msd.core.settings import Settings
from napari_msd.native import operator
from napari_msd.native.aside import LibraryKind
from napari_msd.native.backend import device_number
from napari_msd.native.core import Schedule
from napari_msd.native.operator import mixed_scale_dense
from napari_msd.network.blocked import mixed_scale_dense_blocked
from napari_msd.network.msdnet import MSDNet

Path = Schedule | Literal["torch"]
Work = Callable[[], Sequence[Tensor]]

TILE = 512
"""Side of the image that is predicted, in pixels; training has the patches of the settings."""

WARM_UPS, REPEATS = 2, 5

ALIKE = 0.02
"""How much torch's results may differ from the core's, relative to their norm: a few maps differ
where rounding decides the sign before a ReLU."""

_event = partial(torch.cuda.Event, enable_timing=True)

_log = logging.getLogger(__name__)


@torch.inference_mode(False)  # the caller may be predicting
def path_times(
    kind: LibraryKind,
    device: torch.device,
    map_dtype: torch.dtype | None,
    paths: Sequence[Path],
    training: bool,
) -> dict[Path, float]:
    """Milliseconds of a pass over what the default settings train on, or over a tile.

    Parameters
    ----------
    kind
        The core, usable on `device`.
    device
        Where to compute.
    map_dtype
        How the core stores maps: torch.float16, or None for float32.
    paths
        Schedules of the core, and ``torch`` for blocked torch.
    training
        Time outputs and gradients of a batch of patches, on a GPU captured in a graph; else the
        outputs of one tile.

    Returns
    -------
    dict
        Median of a few passes for each path, without those that cannot compute this, fail, differ
        from the first path (a schedule in any bit) or from their own first pass.
    """
    found: dict[Path, float] = {}
    first: list[Tensor] | None = None
    for path in paths:
        try:
            work = _pass(kind, device, map_dtype, path, training)
            results = [tensor.clone() for tensor in work()]
            if path == "cooperative":
                operator.compiled_core(kind, device_number(device)).check_waits(results[0])
            if first is not None and not _agree(path, results, first):
                _log.warning("%s passes on %s differ from %s ones", path, device, paths[0])
                continue
            first = first or results
            milliseconds, last = _timed(work, device, captured=training and path != "torch")
            if path == "cooperative":
                operator.compiled_core(kind, device_number(device)).check_waits(results[0])
            if not _agree(path, last, results):
                _log.warning("Repeated %s passes on %s differ from the first", path, device)
                continue
            found[path] = milliseconds
        except Exception as error:  # of any kind: the others are still to be timed
            found.pop(path, None)
            _log.info("No %s passes on %s: %s", path, device, error)
    return found


def _pass(
    kind: LibraryKind,
    device: torch.device,
    map_dtype: torch.dtype | None,
    path: Path,
    training: bool,
) -> Work:
    """Work that returns what a pass computes: outputs, or gradients of all parameters."""
    settings = Settings()
    generator = torch.Generator().manual_seed(0)
    net = MSDNet(1, 2, settings.depth, settings.width, settings.dilations, generator=generator)
    net.output_weight.data.normal_(generator=generator)  # new ones are zero, as all gradients then
    net = net.to(device, torch.float32)  # whatever torch's default is
    side, number = (settings.patch_size, settings.patches_per_step) if training else (TILE, 1)
    image = torch.randn(number, 1, side, side, generator=generator, dtype=torch.float32).to(device)
    parameters = (net.weight, net.bias, net.output_weight, net.output_bias)
    structure = (net.dilations, net.width, net.boundary)

    def outputs() -> Tensor:
        if path == "torch":
            return mixed_scale_dense_blocked(image, *parameters, *structure)
        return mixed_scale_dense(image, *parameters, *structure, kind, map_dtype, schedule=path)

    def work() -> Sequence[Tensor]:
        with torch.set_grad_enabled(training):
            if not training:
                return [outputs()]
            return torch.autograd.grad(outputs().square().mean(), parameters)

    return work


def _agree(path: Path, results: Sequence[Tensor], others: Sequence[Tensor]) -> bool:
    """Whether two passes found the same: each schedule the same bits, torch the same numbers."""
    if path != "torch":
        return all(map(torch.equal, results, others))
    # The comparison is false for NaN.
    return all(
        bool((a - b).norm() <= ALIKE * b.norm()) for a, b in zip(results, others, strict=True)
    )


def _timed(work: Work, device: torch.device, captured: bool) -> tuple[float, Sequence[Tensor]]:
    """Median of a few passes, and what the last one found; `captured` in a graph as in training."""
    times = []
    if device.type != "cuda":  # in tests
        for _ in range(REPEATS):
            began = time.perf_counter()
            results = work()
            times.append(1000 * (time.perf_counter() - began))
        return statistics.median(times), results
    with torch.cuda.device(device):
        if captured:
            work = _graph(work)
        for _ in range(WARM_UPS):
            work()
        for _ in range(REPEATS):
            start, end = _event(), _event()
            start.record()
            results = work()
            end.record()
            end.synchronize()
            times.append(float(start.elapsed_time(end)))
        return statistics.median(times), results


def _graph(work: Work) -> Work:
    """Work that replays a capture of `work`."""
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):  # autograd wants to have run on such a stream before
        work()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    # "thread_local": other threads of this process may use the GPU meanwhile
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        results = work()

    def replay() -> Sequence[Tensor]:
        graph.replay()
        return results

    return replay
