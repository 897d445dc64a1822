"""What every backend is compared with, and how one is called.

Imports only torch and pytest: the GPU's tests run on machines that have little more.
"""

from __future__ import annotations

import copy
import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import pytest
import torch
from torch import Tensor

from napari_msd import MSDNet
from napari_msd.native import operator
from napari_msd.native.core import Core, Schedule
from napari_msd.network.blocked import mixed_scale_dense_blocked
from napari_msd.network.reference import extend, mixed_scale_dense_reference

BOUNDARIES = ("reflect", "symmetric", "zeros")
HALVES = (torch.bfloat16, torch.float16)

# The fixture of each backend, by the name that tests show. The CUDA core's sources run on a GPU,
# or compiled for the CPU by a shim.
BACKENDS = {
    "cpu": pytest.param("cpu_case", id="cpu"),
    "cuda-shim": pytest.param("shim_case", id="cuda-shim"),
    "gpu": pytest.param("gpu_case", id="gpu", marks=pytest.mark.gpu),
    "blocked": pytest.param("blocked_case", id="blocked"),
}


def on(*backends: str) -> pytest.MarkDecorator:
    """A test that takes `case` runs on these backends only."""
    return pytest.mark.parametrize("case", [BACKENDS[name] for name in backends], indirect=True)


def size_text(size: tuple[int, ...]) -> str:
    """An id for a test's parameter, such as 33x17."""
    return "x".join(map(str, size))


@dataclass
class Case:
    """One backend, called as `MSDNet` calls it.

    Parameters
    ----------
    backend
        As in `MSDNet`: a compiled core, or blocked torch.
    core
        The compiled core that `napari_msd.native.operator` was given; None for blocked torch.
    device
        Where networks and images must be.
    map_dtype
        How maps are stored; None: as the image. Only the CUDA core stores them in 16 bits.
    schedule
        How the CUDA core divides a pass into launches.
    """

    backend: Literal["cpu", "cuda", "torch"]
    core: Core | None = None
    device: str = "cpu"
    map_dtype: torch.dtype | None = None
    schedule: Schedule = "staged"

    def apply(self, net: MSDNet, image: Tensor, *parameters: Tensor) -> Tensor:
        """Logits with these packed parameters in place of the network's."""
        structure = (net.dilations, net.width, net.boundary)
        if self.backend == "torch":
            return mixed_scale_dense_blocked(image, *parameters, *structure, net.dilations_z)
        return operator.mixed_scale_dense(
            image,
            *parameters,
            *structure,
            self.backend,
            self.map_dtype,
            net.dilations_z,
            self.schedule,
        )

    def logits(self, net: MSDNet, image: Tensor) -> Tensor:
        return self.apply(net, image, *net.parameters())

    @staticmethod
    def reference(net: MSDNet, image: Tensor) -> Tensor:
        state = net.state_dict(keep_vars=True)
        return mixed_scale_dense_reference(
            image,
            [state[f"layers.{i}.weight"] for i in range(net.depth)],
            [state[f"layers.{i}.bias"] for i in range(net.depth)],
            state["output.weight"],
            state["output.bias"],
            net.dilations,
            net.boundary,
            net.dilations_z,
        )


def random_image(*shape: int, dtype: torch.dtype = torch.float64, device: str = "cpu") -> Tensor:
    """The same normal numbers for the same shape."""
    generator = torch.Generator().manual_seed(2)
    return torch.randn(shape, generator=generator, dtype=dtype).to(device)


def random_net(
    in_channels: int = 1, n_classes: int = 2, *, dtype: torch.dtype = torch.float64, **options
) -> MSDNet:
    """A network whose every parameter is random, 1x1 weights included."""
    net = MSDNet(in_channels, n_classes, **options).to(dtype)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    return net


def tame_net(*channels: int, dtype: torch.dtype = torch.float32, **options) -> MSDNet:
    """`random_net` with activations that keep their size, or the comparison is of overflow."""
    net = random_net(*channels, dtype=dtype, **options)
    with torch.no_grad():
        net.weight.mul_((net.depth * net.width) ** -0.5)
    return net


def exact_net(in_channels: int = 1, n_classes: int = 2, **options) -> MSDNet:
    """A float32 network of sparse integers, in which no sum rounds: see `assert_exact`."""
    net = MSDNet(in_channels, n_classes, **options)
    generator = torch.Generator().manual_seed(0)
    state = net.state_dict()
    for name, values in state.items():
        if name.endswith("weight"):
            # Few inputs per filter, drawn from all earlier maps: values grow slowly.
            number = 3 if name.startswith("layers") else 5
            state[name] = sparse_integers(tuple(values.shape), number, generator)
        else:
            state[name] = torch.randint(-1, 2, values.shape, generator=generator).float()
    net.load_state_dict(state)
    return net


def sparse_integers(shape: tuple[int, ...], number: int, generator: torch.Generator) -> Tensor:
    """Zeros but for `number` places per row of the first axis, which hold 1 or -1."""
    values = torch.zeros(shape[0], math.prod(shape[1:]), dtype=torch.float32)
    for row in values:
        places = torch.randperm(len(row), generator=generator)[:number]
        row[places] = torch.randint(0, 2, (len(places),), generator=generator) * 2.0 - 1
    return values.reshape(shape)


class Rounded(torch.autograd.Function):
    """Numbers as a 16-bit type stores them; so is the gradient, or it passes through."""

    @staticmethod
    def forward(ctx, x: Tensor, dtype: torch.dtype, gradients: bool) -> Tensor:
        ctx.dtype = dtype if gradients else x.dtype
        return x.to(dtype).to(x.dtype)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None]:
        return gradient.to(ctx.dtype).to(gradient.dtype), None, None


def reference_with_rounded_maps(
    net: MSDNet, image: Tensor, dtype: torch.dtype, gradients: bool = False
) -> Tensor:
    """`mixed_scale_dense_reference`, but every map is rounded once it is computed."""
    state = net.state_dict(keep_vars=True)
    convolve = torch.conv2d if net.ndim == 2 else torch.conv3d
    maps = Rounded.apply(image, dtype, False)
    for i in range(net.depth):
        channels = []
        for j in range(net.width):
            q = i * net.width + j
            dilation = (net.dilations[q],) * net.ndim
            if net.dilations_z is not None:
                dilation = (net.dilations_z[q], *dilation[1:])
            weight, bias = (state[f"layers.{i}.{x}"][j : j + 1] for x in ("weight", "bias"))
            extended = extend(maps, dilation, net.boundary)
            channels.append(convolve(extended, weight, bias, dilation=dilation))
        hidden = torch.relu(torch.cat(channels, dim=1))
        maps = torch.cat([maps, Rounded.apply(hidden, dtype, gradients)], dim=1)
    return convolve(maps, state["output.weight"], state["output.bias"])


def results(
    logits_of: Callable[[MSDNet, Tensor], Tensor], net: MSDNet, image: Tensor, gradient: Tensor
) -> list[Tensor]:
    """Logits, then the gradients of the image and of every parameter."""
    image = image.detach().requires_grad_()
    logits = logits_of(net, image)
    gradients = torch.autograd.grad(logits, [image, *net.parameters()], gradient)
    return [logits.detach(), *gradients]


_computed: dict[tuple, list[Tensor]] = {}


def expected_results(
    logits_of: Callable[..., Tensor],
    net: MSDNet,
    image: Tensor,
    gradient: Tensor,
    *options: object,
) -> list[Tensor]:
    """`results` in float64 of ``logits_of(net, image, *options)``, computed once for all backends.

    That takes much longer than what it is compared with, and every backend gets the same problems.
    """
    tensors = [image, gradient, *net.parameters()]
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(tensor.detach().cpu().numpy().tobytes())
    key = (
        logits_of, *options, net.ndim, net.dilations, net.dilations_z, net.width, net.boundary,
        *(tuple(tensor.shape) for tensor in tensors), image.device.type, digest.digest(),
    )  # fmt: skip
    if key not in _computed:
        _computed[key] = results(
            lambda net, image: logits_of(net, image, *options),
            copy.deepcopy(net).double(),
            image.double(),
            gradient.double(),
        )
    return _computed[key]


def random_gradient(net: MSDNet, image: Tensor) -> Tensor:
    """A gradient of the logits of that image."""
    shape = (image.shape[0], net.n_classes, *image.shape[2:])
    generator = torch.Generator().manual_seed(1)
    return torch.randn(shape, generator=generator, dtype=image.dtype).to(image.device)


def assert_agrees(case: Case, net: MSDNet, image: Tensor) -> None:
    """Logits and all gradients of a backend against the reference, for one random gradient."""
    # Sums of a few hundred terms in another order: a few hundred roundings relative to the
    # largest value. float32 2^-24 * 400 = 2e-5; float64 the same count.
    tolerance = 2e-5 if image.dtype == torch.float32 else 1e-12
    net, image = net.to(case.device), image.to(case.device)
    gradient = random_gradient(net, image)
    pairs = zip(
        results(case.logits, net, image, gradient),
        expected_results(Case.reference, net, image, gradient),
        strict=True,
    )
    for got, wanted in pairs:
        assert got.shape == wanted.shape
        scale = max(1.0, float(wanted.abs().amax())) if wanted.numel() else 1.0
        torch.testing.assert_close(got.double() / scale, wanted / scale, rtol=0, atol=tolerance)


def assert_agrees_in_16_bits(case: Case, net: MSDNet, image: Tensor, dtype: torch.dtype) -> None:
    """Logits and all gradients with 16-bit maps against the float64 oracle with rounded maps."""
    case = replace(case, map_dtype=dtype)
    net, image = net.to(case.device), image.to(case.device)
    with torch.no_grad():
        net.weight.copy_(net.weight.to(dtype))  # what the matrix units multiply with
    gradient = random_gradient(net, image)
    got = results(case.logits, net, image, gradient)
    wanted = expected_results(reference_with_rounded_maps, net, image, gradient, dtype)
    # What is left: where a float32 sum rounds to the other neighbour than the exact one (rare),
    # and in the gradients the rounding of each delta, 2^-9 in bfloat16 and 2^-12 in float16,
    # which adds up over the layers like a random walk. So in the norm, not at each pixel.
    rounding = 2.0**-9 if dtype == torch.bfloat16 else 2.0**-12
    for a, b in zip(got, wanted, strict=True):
        assert a.shape == b.shape
        assert a.dtype == torch.float32
        assert float((a.double() - b).norm() / b.norm()) < 4 * rounding


def assert_exact(
    case: Case, net: MSDNet, shape: Sequence[int], map_dtype: torch.dtype | None = None
) -> None:
    """Logits and all gradients of a backend equal the reference's, bit for bit.

    With integers in place of random numbers every order of summation gives the same bits, as long
    as no partial sum reaches 2^24 (float32) or, in what is stored in 16 bits, 2^11 (float16) or
    2^8 (bfloat16). So a difference is an error in the core and never rounding: a random network
    has pixels whose sign before the ReLU depends on the order, and there whole gradients differ.
    """
    generator = torch.Generator().manual_seed(1)
    net = net.to(case.device)
    image = torch.randint(-2, 3, tuple(shape), generator=generator).float().to(case.device)
    size = (shape[0], net.n_classes, *shape[2:])
    gradient = torch.randint(-1, 2, size, generator=generator).float()
    # Few pixels with a gradient keep the sums of the weights' gradients small.
    gradient *= (torch.rand(size, generator=generator) < 1000 / gradient.numel()).float()
    gradient[(..., *(0 for _ in shape[2:]))] = 1.0
    gradient = gradient.to(case.device)

    expected = expected_results(Case.reference, net, image, gradient)
    # The same sums over absolute values bound every partial sum in any order.
    bound = copy.deepcopy(net)
    with torch.no_grad():
        for parameter in bound.parameters():
            parameter.abs_()
    largest = expected_results(Case.reference, bound, image.abs(), gradient.abs())
    assert max(float(x.abs().max()) for x in largest) < 2.0**24
    if map_dtype is not None:  # whatever the core stores in 16 bits must fit
        rounded = expected_results(
            reference_with_rounded_maps, net, image, gradient, map_dtype, True
        )
        assert all(map(torch.equal, rounded, expected))
    got = results(replace(case, map_dtype=map_dtype).logits, net, image, gradient)
    names = ["logits", "image", *(name for name, _ in net.named_parameters())]
    for name, value, wanted in zip(names, got, expected, strict=True):
        assert torch.equal(value.double(), wanted), f"{name} differ"


def everything(case: Case, net: MSDNet, image: Tensor) -> list[Tensor]:
    """Logits and all gradients of a pass, as one list."""
    image = image.detach().requires_grad_()
    logits = case.logits(net, image)
    with torch.no_grad():
        without_gradients = case.logits(net, image)
    gradient = torch.linspace(-1, 1, logits.numel(), dtype=logits.dtype, device=logits.device)
    gradient = gradient.reshape(logits.shape)
    gradients = torch.autograd.grad(logits, (image, *net.parameters()), gradient)
    return [logits.detach(), without_gradients, *gradients]
