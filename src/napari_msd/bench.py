"""How fast this machine computes the network, beside what it could do at most.

Called by ``napari-msd bench`` and ``benchmarks/kernels.py``. Every piece of work is first
checked against the reference. GFLOP/s count the network's own arithmetic: two flops per
parameter and pixel forward, three times that for a step (forward and both gradients; the loss
is left out). The floor is the larger of two times, both measured in the same run: that
arithmetic at the peak of fused multiply-adds, and the least traffic at the speed of a copy.
"""

from __future__ import annotations

import copy
import ctypes
import importlib
import math
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from napari_msd.errors import MSDError, SettingsError
from napari_msd.native import abi, get_threads, library_statuses, operator
from napari_msd.native.core import Structure
from napari_msd.native.libraries import load_library
from napari_msd.network import MSDNet, mixed_scale_dense_reference

ALLOWED_ERROR = 1e-3
"""Relative to the largest value: no gradient of 100 layers in float32 is further off than this."""

ALLOWED_ERROR_16_BIT = 0.15
"""In the norm: a map within its rounding of 0 takes its gradient along or not, and that adds up."""


@dataclass(frozen=True)
class Case:
    """A network on a batch of images: "30:4x128x128" is depth 30 on 4 images of 128 x 128."""

    depth: int
    batch: int
    sizes: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.depth}:{'x'.join(map(str, (self.batch, *self.sizes)))}"


@dataclass(frozen=True)
class Timing:
    """Seconds of one thing, the median and the best of some calls."""

    median: float
    best: float


@dataclass(frozen=True)
class Floor:
    """What this machine can do at most: multiply-adds and copies, per second."""

    flops: float | None
    bytes: float

    def seconds(self, flops: float, n_bytes: float) -> float:
        """The least time for so much arithmetic and traffic."""
        return max(flops / self.flops if self.flops else 0.0, n_bytes / self.bytes)


CASES = tuple(
    Case(depth, batch, sizes)
    for batch, sizes in ((4, (128, 128)), (1, (512, 512)), (1, (1024, 1024)), (1, (64, 64, 64)))
    for depth in (30, 100)
)
_PACKAGES = {"dlsia": "dlsia.core.networks.msdnet", "msdnet": "msdnet"}
CONTENDERS = (
    "core", "core-graph", "core-16bit", "core-16bit-graph",
    "blocked", "naive", "compile", "dlsia", "msdnet",
)  # fmt: skip


def parse_case(text: str) -> Case:
    """Read "30:4x128x128" (or "30:1x64x64x64" in 3-D).

    Raises
    ------
    SettingsError
        When it is none.
    """
    depth, _, shape = text.partition(":")
    try:
        batch, *sizes = (int(part) for part in shape.split("x"))
        case = Case(int(depth), batch, tuple(sizes))
    except ValueError:
        case = Case(0, 0, ())
    if len(case.sizes) not in (2, 3) or min(case.depth, case.batch, *case.sizes) < 1:
        raise SettingsError(f"A case looks like 30:4x128x128, not {text!r}.")
    return case


def report(
    cases: Sequence[Case] = CASES,
    contenders: Sequence[str] = CONTENDERS,
    device: str = "cpu",
    seconds: float = 4.0,
) -> Iterator[str]:
    """Validate, time and describe every case, line by line.

    Parameters
    ----------
    cases
        What to time.
    contenders
        Any of `CONTENDERS`; packages that are not installed are left out with a line.
    device
        ``cpu`` or ``cuda``.
    seconds
        About how long each pass of each contender is timed, more where a single call takes
        longer; a step is left out where it would take more than ten times that.

    Raises
    ------
    MSDError
        When a core disagrees with the reference: then no time is worth anything.
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
    for name, module in _PACKAGES.items():
        if name in contenders:
            try:
                importlib.import_module(module)
            except ImportError as error:
                missing.append(name)
                yield f"{name} is left out: {error}"
    for case in cases:
        # Again each time: while another process had the cores, the first measurement was too low.
        peak_now = measure_peak(device)
        if peak_now and floor.flops and peak_now > floor.flops:
            floor = replace(floor, flops=peak_now)
        here = [name for name in contenders if name not in missing]
        yield from _report_case(case, here, device, seconds, floor)


def machine(device: str) -> str:
    """Names of processor, card and torch, with how much of them is used."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
        name = next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), name)
    text = f"{name}, {get_threads()} threads; torch {torch.__version__}"
    return f"{torch.cuda.get_device_name()}; {text}" if device == "cuda" else text


def prepared(case: Case, device: str) -> tuple[MSDNet, Tensor]:
    """A network with all parameters random, and an image batch."""
    torch.manual_seed(0)
    dilations = (1, 2, 4, 8, 16) if case.depth == 30 else range(1, 11)
    net = MSDNet(1, 2, depth=case.depth, dilations=dilations, ndim=len(case.sizes)).to(device)
    with torch.no_grad():
        net.output_weight.normal_(0, 0.1)
    return net, torch.randn(case.batch, 1, *case.sizes, device=device)


def naive(net: MSDNet, image: Tensor) -> Tensor:
    """The network of one channel per layer as one writes it down: concatenate, pad, convolve."""
    state = net.state_dict(keep_vars=True)
    convolve = F.conv2d if net.ndim == 2 else F.conv3d
    maps = image
    for i, dilation in enumerate(net.dilations):
        padded = F.pad(maps, (dilation,) * (2 * net.ndim), mode="reflect")
        hidden = convolve(
            padded, state[f"layers.{i}.weight"], state[f"layers.{i}.bias"], dilation=dilation
        )
        maps = torch.cat([maps, torch.relu(hidden)], dim=1)
    return convolve(maps, state["output.weight"], state["output.bias"])


def validate(net: MSDNet, in_16_bits: bool = False) -> float:
    """Largest difference between the fast path and the reference, relative to the largest value.

    Compares logits and all gradients on a small image; raises if they do not agree. With 16-bit
    maps differences are taken in the norm.
    """
    size = 40 if net.ndim == 2 else 20
    device = net.weight.device
    image = torch.randn(1, 1, *(size,) * net.ndim, device=device)
    gradient = torch.randn(1, net.n_classes, *(size,) * net.ndim, device=device)
    parameters = tuple(net.parameters())
    with _autocast(in_16_bits):
        logits = net(image)
    got = [logits, *torch.autograd.grad(logits, parameters, gradient)]
    exact = copy.deepcopy(net).double()
    state = exact.state_dict(keep_vars=True)
    wanted = mixed_scale_dense_reference(
        image.double(),
        [state[f"layers.{i}.weight"] for i in range(net.depth)],
        [state[f"layers.{i}.bias"] for i in range(net.depth)],
        state["output.weight"],
        state["output.bias"],
        net.dilations,
        net.boundary,
    )
    expected = [wanted, *torch.autograd.grad(wanted, tuple(exact.parameters()), gradient.double())]
    order = 2.0 if in_16_bits else math.inf
    worst = max(
        float(torch.linalg.vector_norm(a.detach() - b.detach(), order))
        / float(torch.linalg.vector_norm(b.detach(), order))
        for a, b in zip(got, expected, strict=True)
    )
    if not worst < (ALLOWED_ERROR_16_BIT if in_16_bits else ALLOWED_ERROR):
        raise MSDError(f"{net.backend_reason} It disagrees with the reference by {worst:.1e}.")
    return worst


def measure_floor(device: str) -> Floor:
    """Peak of float32 multiply-adds (None without a compiled core) and speed of copying."""
    size = 2**26 if device == "cpu" else 2**28  # float32 numbers: beyond any cache
    source = torch.ones(size, device=device)
    target = torch.ones_like(source)
    with _torch_threads(get_threads()):
        copying = timed(lambda: target.copy_(source), device, 1.0).best
    return Floor(measure_peak(device), 8 * size / copying)


def measure_peak(device: str) -> float | None:
    """Most float32 operations per second, a multiply-add counting as two; None without a core."""
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

    with _torch_threads(1):
        best = timed(work, device, 0.4).best
    return flops.value / best


def timed(call: Callable[[], object], device: str, seconds: float) -> Timing:
    """Median and best time of a call, after one that warms up; at least three unless it is slow."""

    def once() -> float:
        start = time.perf_counter()
        call()
        if device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start

    first = once()
    if first > seconds:
        return Timing(first, first)
    times = [once() for _ in range(max(3, min(200, int(seconds / max(first, 1e-6)))))]
    return Timing(statistics.median(times), min(times))


@dataclass(frozen=True)
class _Contender:
    name: str
    forward: Callable[[], Tensor]
    parameters: tuple[Tensor, ...]
    torch_threads: int
    step_bytes: float = 0.0
    """What a training step keeps, where that grows with the square of the depth."""
    graph: bool = False
    """Captured once as a CUDA graph, then replayed."""


def _report_case(
    case: Case, contenders: Sequence[str], device: str, seconds: float, floor: Floor
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
    # At least: each map written and read once; for a step its gradient, too, and the map again.
    passes = (
        ("forward", flops, floor.seconds(flops, 2 * maps)),
        ("step", 3 * flops, floor.seconds(3 * flops, 5 * maps)),
    )
    for name in contenders:
        contender = _contender(name, net, image)
        if contender is None:
            continue
        with _torch_threads(contender.torch_threads):
            for kind, work, least in passes:
                call = _forward(contender) if kind == "forward" else _step(contender)
                if kind == "step" and contender.step_bytes > _free_memory(device) / 2:
                    yield f"  {contender.name:24} {kind:8} left out: {_gib(contender.step_bytes)}"
                    break
                timing = timed(_captured(call) if contender.graph else call, device, seconds)
                yield (
                    f"  {contender.name:24} {kind:8} {timing.median * 1e3:10.2f} ms "
                    f"(best {timing.best * 1e3:10.2f}) {work / timing.median / 1e9:8.1f} GFLOP/s  "
                    f"{100 * least / timing.median:5.1f} % of the floor"
                )
                if timing.median * 4 > 10 * seconds:
                    break


def _forward(contender: _Contender) -> Callable[[], object]:
    return torch.no_grad()(contender.forward)


def _step(contender: _Contender) -> Callable[[], object]:
    with torch.no_grad():
        gradient = torch.randn_like(contender.forward())

    def step() -> object:
        return torch.autograd.grad(contender.forward(), contender.parameters, gradient)

    return step


def _captured(call: Callable[[], object]) -> Callable[[], object]:
    """The same work as a CUDA graph."""
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        call()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        kept = call()

    def replay() -> object:
        graph.replay()
        return kept

    return replay


def _autocast(in_16_bits: bool) -> AbstractContextManager[object]:
    """Under which the CUDA core stores maps in 16 bits."""
    if not in_16_bits:
        return nullcontext()
    bfloat16 = torch.cuda.get_device_capability() >= (8, 0)
    return torch.autocast("cuda", dtype=torch.bfloat16 if bfloat16 else torch.float16)


def _contender(name: str, net: MSDNet, image: Tensor) -> _Contender | None:
    """How a contender computes this case; None where it cannot."""
    threads = get_threads()
    parameters = tuple(net.parameters())
    if name.startswith("core"):
        return _core(net, image, in_16_bits="16bit" in name, graph="graph" in name)
    if name == "blocked":

        def blocked() -> Tensor:
            net.backend = "torch"
            try:
                return cast(Tensor, net(image))
            finally:
                net.backend = "auto"

        return _Contender("torch blocked", blocked, parameters, threads)
    if name == "naive":
        kept = 2.0 * 4 * net.depth**2 / 2 * image.numel()
        return _Contender("torch naive", lambda: naive(net, image), parameters, threads, kept)
    if name == "compile" and image.is_cuda:
        compiled = torch.compile(lambda: naive(net, image))
        kept = 2.0 * 4 * net.depth**2 / 2 * image.numel()
        return _Contender("torch.compile", compiled, parameters, threads, kept)
    if name == "dlsia" and net.ndim == 2:
        return _dlsia(net, image, threads)
    if name == "msdnet" and net.ndim == 2 and image.shape[0] == 1:
        return _msdnet(net, image, threads)
    return None


def _core(net: MSDNet, image: Tensor, in_16_bits: bool, graph: bool) -> _Contender | None:
    net.backend = "auto"
    net(image)
    if net.backend_in_use == "torch" or ((in_16_bits or graph) and not image.is_cuda):
        return None
    if in_16_bits:
        validate(net, in_16_bits)

    def forward() -> Tensor:
        with _autocast(in_16_bits):
            return cast(Tensor, net(image))

    words = [str(net.backend_in_use), *["16 bit"] * in_16_bits, *["graph"] * graph]
    # torch's threads spin for a while after their work, on the very cores that ours need.
    return _Contender(f"core ({', '.join(words)})", forward, tuple(net.parameters()), 1, 0.0, graph)


def _dlsia(net: MSDNet, image: Tensor, threads: int) -> _Contender:
    networks = importlib.import_module(_PACKAGES["dlsia"])
    theirs = networks.MixedScaleDenseNetwork(
        in_channels=1,
        out_channels=net.n_classes,
        num_layers=None,
        layer_width=None,
        max_dilation=None,
        custom_msdnet=np.array(net.dilations)[:, None],
        normalization=None,
        padding_mode="reflect",
        convolution=torch.nn.Conv2d,
    ).to(image.device)
    kept = 2.0 * 4 * net.depth**2 / 2 * image.numel()
    return _Contender("dlsia", lambda: theirs(image), tuple(theirs.parameters()), threads, kept)


def _msdnet(net: MSDNet, image: Tensor, threads: int) -> _Contender:
    msdnet = importlib.import_module("msdnet")
    dilations = msdnet.dilations.SetDilations(list(net.dilations))
    theirs = msdnet.network.MSDNet(net.depth, dilations, 1, net.n_classes, gpu=False)
    theirs.initialize()
    picture = image[0].cpu().numpy()
    return _Contender(
        "msdnet (C)", lambda: torch.from_numpy(theirs.forward(picture)), (), threads, float("inf")
    )


def _memory(net: MSDNet, image: Tensor) -> str:
    """What the compiled core asks for, as text; empty without one."""
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


def _gib(n_bytes: float) -> str:
    return f"it would keep {n_bytes / 2**30:.1f} GiB" if n_bytes < 2**60 else "forward only"


@contextmanager
def _torch_threads(threads: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
