"""The implementations of the network that are compared."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from napari_msd.bench.agreement import autocast, validate
from napari_msd.core.errors import MSDError
from napari_msd.native import get_threads
from napari_msd.native.core import Schedule, Structure
from napari_msd.native.libraries import load_library
from napari_msd.native.operator import compiled_core, mixed_scale_dense
from napari_msd.network import MSDNet

PACKAGES = {"dlsia": "dlsia.core.networks.msdnet", "msdnet": "msdnet"}
"""Other MS-D implementations: contender name, and the module that contains it."""

CONTENDERS = (
    "core", "core-graph", "core-16bit", "core-16bit-graph",
    "core-cooperative", "core-cooperative-graph", "core-cooperative-16bit",
    "core-cooperative-16bit-graph",
    "blocked", "naive", "compile", *PACKAGES,
)  # fmt: skip

Call = Callable[[], object]


@dataclass(frozen=True)
class Contender:
    """One implementation that computes a case.

    Parameters
    ----------
    name
        As the report shows it.
    forward
        Computes the logits, and keeps nothing for a gradient.
    step
        Prepares a training step and returns the call to be timed: forward and all gradients,
        without the loss.
    torch_threads
        Number of threads that torch may use meanwhile.
    step_bytes
        Bytes that a step keeps, if they grow with the square of the depth.
    """

    name: str
    forward: Call
    step: Callable[[], Call]
    torch_threads: int
    step_bytes: float = 0.0


def contender(name: str, net: MSDNet, image: Tensor) -> Contender | None:
    """Prepare a contender for this case; None if it cannot compute it."""
    threads = get_threads()
    parameters = tuple(net.parameters())
    # Concatenation keeps a further copy of all maps in each layer, padded and not.
    all_concatenations = 2.0 * 4 * net.depth**2 / 2 * image.numel()
    if name.startswith("core-cooperative"):
        return _cooperative(net, image, in_16_bits="16bit" in name, graph="graph" in name)
    if name.startswith("core"):
        return _core(net, image, in_16_bits="16bit" in name, graph="graph" in name)
    if name == "blocked":

        def blocked() -> Tensor:
            net.backend = "torch"
            try:
                return cast(Tensor, net(image))
            finally:
                net.backend = "auto"

        return _of_torch("torch blocked", blocked, parameters, threads)
    if name == "naive":
        return _of_torch(
            "torch naive", lambda: naive(net, image), parameters, threads, all_concatenations
        )
    if name == "compile" and image.is_cuda:
        compiled = torch.compile(lambda: naive(net, image))
        return _of_torch("torch.compile", compiled, parameters, threads, all_concatenations)
    if name == "dlsia" and net.ndim == 2:
        return _dlsia(net, image, threads, all_concatenations)
    if name == "msdnet" and net.ndim == 2 and image.shape[0] == 1 and not image.is_cuda:
        return _msdnet(net, image, threads)
    return None


def naive(net: MSDNet, image: Tensor) -> Tensor:
    """The network of width 1 in its simplest form: concatenate, pad, convolve."""
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


def _of_torch(
    name: str,
    forward: Callable[[], Tensor],
    parameters: tuple[Tensor, ...],
    threads: int,
    step_bytes: float = 0.0,
    graph: bool = False,
) -> Contender:
    """Gradients by autograd; with `graph` captured once as a CUDA graph, then replayed."""
    without_gradient = torch.no_grad()(forward)

    def step() -> Call:
        gradient = torch.randn_like(without_gradient())

        def call() -> object:
            return torch.autograd.grad(forward(), parameters, gradient)

        return _captured(call) if graph else call

    return Contender(
        name, _captured(without_gradient) if graph else without_gradient, step, threads, step_bytes
    )


def _captured(call: Call) -> Call:
    """Capture the call as a CUDA graph."""
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


def _core(net: MSDNet, image: Tensor, in_16_bits: bool, graph: bool) -> Contender | None:
    net.backend = "auto"
    net(image)
    if net.backend_in_use == "torch" or ((in_16_bits or graph) and not image.is_cuda):
        return None
    if in_16_bits:
        validate(net, in_16_bits)

    def forward() -> Tensor:
        with autocast(in_16_bits):
            return cast(Tensor, net(image))

    words = [str(net.backend_in_use), *["16 bit"] * in_16_bits, *["graph"] * graph]
    # torch's threads keep spinning after their work, on the cores that the compiled core needs.
    return _of_torch(f"core ({', '.join(words)})", forward, tuple(net.parameters()), 1, graph=graph)


def _cooperative(net: MSDNet, image: Tensor, in_16_bits: bool, graph: bool) -> Contender | None:
    """The CUDA core by its cooperative schedule, whatever a trial has chosen."""
    map_dtype = torch.float16 if in_16_bits else None
    structure = Structure(
        net.dilations, net.width, net.boundary, map_dtype, net.dilations_z, "cooperative"
    )
    if not image.is_cuda or load_library("cuda", image.device.index or 0) is None:
        return None
    core = compiled_core("cuda", image.device.index or 0)
    if not core.can_run(image.shape, image.dtype, net.n_classes, structure, training=True):
        return None

    def passes(schedule: Schedule) -> Tensor:
        return mixed_scale_dense(
            image, net.weight, net.bias, net.output_weight, net.output_bias, net.dilations,
            net.width, net.boundary, "cuda", map_dtype, net.dilations_z, schedule,
        )  # fmt: skip

    with torch.no_grad():
        same = torch.equal(passes("cooperative"), passes("staged"))
    core.check_waits(image)
    if not same:
        raise MSDError("A cooperative pass gives other bits than a staged one.")
    words = ["cuda", "cooperative", *["16 bit"] * in_16_bits, *["graph"] * graph]
    return _of_torch(
        f"core ({', '.join(words)})", lambda: passes("cooperative"), tuple(net.parameters()), 1,
        graph=graph,
    )  # fmt: skip


def _dlsia(net: MSDNet, image: Tensor, threads: int, step_bytes: float) -> Contender:
    networks = importlib.import_module(PACKAGES["dlsia"])
    theirs = networks.MixedScaleDenseNetwork(
        in_channels=1,
        out_channels=net.n_classes,
        num_layers=None,
        layer_width=None,
        max_dilation=None,
        custom_msdnet=np.array(net.dilations)[None, :],  # (width, layers)
        normalization=None,
        padding_mode="reflect",
        convolution=torch.nn.Conv2d,
    ).to(image.device)
    return _of_torch(
        "dlsia", lambda: theirs(image), tuple(theirs.parameters()), threads, step_bytes
    )


def _msdnet(net: MSDNet, image: Tensor, threads: int) -> Contender:
    msdnet = importlib.import_module(PACKAGES["msdnet"])
    msdnet.operations.setthreads(threads)
    theirs = msdnet.network.MSDNet(net.depth, None, 1, net.n_classes, gpu=False)
    theirs.dl = np.array(net.dilations, np.int32)
    theirs.initialize()
    picture = image[0].numpy()

    def step() -> Call:
        gradient = np.random.default_rng(0).standard_normal(theirs.forward(picture).shape)
        gradient = gradient.astype(np.float32)

        def call() -> object:
            theirs.forward(picture, returnoutput=False)
            theirs.backward(gradient)
            theirs.gradient_zero()
            theirs.gradient()
            return theirs.getgradients()

        return call

    return Contender("msdnet (C)", lambda: theirs.forward(picture), step, threads)
