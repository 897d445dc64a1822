"""The two compiled cores: the installed CPU core, and the CUDA sources run on the CPU."""

from __future__ import annotations

import copy
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from napari_msd import MSDNet
from napari_msd.native import libraries, operator, set_threads
from napari_msd.native.core import Core
from napari_msd.network.reference import extend, mixed_scale_dense_reference

KERNELS = Path(__file__).parents[2] / "kernels"


@dataclass
class Case:
    """One compiled core, called through the same torch operator as MSDNet calls it."""

    core: Core
    backend: str

    map_dtype: torch.dtype | None = None

    def apply(self, net: MSDNet, image: Tensor, *parameters: Tensor) -> Tensor:
        """Logits with these packed parameters in place of the network's."""
        structure = (net.dilations, net.width, net.boundary, self.backend, self.map_dtype)
        return operator.mixed_scale_dense(image, *parameters, *structure)

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
        )


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
            dilation = net.dilations[i * net.width + j]
            weight, bias = (state[f"layers.{i}.{x}"][j : j + 1] for x in ("weight", "bias"))
            extended = extend(maps, dilation, net.boundary)
            channels.append(convolve(extended, weight, bias, dilation=dilation))
        hidden = torch.relu(torch.cat(channels, dim=1))
        maps = torch.cat([maps, Rounded.apply(hidden, dtype, gradients)], dim=1)
    return convolve(maps, state["output.weight"], state["output.bias"])


def build_shim(folder: Path) -> Path:
    """Compile kernels/cuda/*.cu with the host's C++ compiler; see cuda_host_shim.h."""
    compiler = os.environ.get("CXX") or shutil.which("c++")
    if compiler is None or sys.platform != "linux":
        pytest.skip("needs Linux and a C++ compiler")
    shim = KERNELS / "testing" / "cuda_host_shim"
    sources = [*sorted((KERNELS / "cuda").glob("*.cu")), shim / "cuda_host_shim.cpp"]
    unity = folder / "shim.cpp"
    unity.write_text("".join(f'#include "{source}"\n' for source in sources))
    library = folder / "libnapari_msd_shim.so"
    defines = {"VERSION": '"0"', "KIND": '"cuda-shim"', "TARGETS": '"host"'}
    subprocess.run(
        [
            *compiler.split(), "-std=c++17", "-O1", "-shared", "-fPIC", "-fvisibility=hidden",
            "-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas", "-DNAPARI_MSD_CUDA_SHIM",
            *(f"-DNAPARI_MSD_{name}={value}" for name, value in defines.items()),
            f"-I{shim}", *(f"-I{KERNELS / name}" for name in ("include", "common", "cuda")),
            str(unity), "-o", str(library),
        ],
        check=True,
    )  # fmt: skip
    return library


@pytest.fixture(scope="session")
def cpu_core() -> Core:
    library = libraries.load_library("cpu")
    if library is None:
        pytest.skip(libraries.library_status("cpu").reason)
    return Core(library)


@pytest.fixture(scope="session")
def shim_core(tmp_path_factory: pytest.TempPathFactory) -> Core:
    return Core(libraries.open_library(build_shim(tmp_path_factory.mktemp("shim"))))


@pytest.fixture(params=["cpu", "cuda-shim"])
def case(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Case:
    fixture, backend = {"cpu": ("cpu_core", "cpu"), "cuda-shim": ("shim_core", "cuda")}[
        request.param
    ]
    core = request.getfixturevalue(fixture)
    monkeypatch.setattr(operator, "compiled_core", lambda *_: core)
    return Case(core, backend)


@pytest.fixture
def cpu_case(cpu_core: Core, monkeypatch: pytest.MonkeyPatch) -> Case:
    monkeypatch.setattr(operator, "compiled_core", lambda *_: cpu_core)
    return Case(cpu_core, "cpu")


@pytest.fixture(autouse=True)
def default_threads() -> Iterator[None]:
    yield
    set_threads(None)


@pytest.fixture
def shim_case(shim_core: Core, monkeypatch: pytest.MonkeyPatch) -> Case:
    monkeypatch.setattr(operator, "compiled_core", lambda *_: shim_core)
    return Case(shim_core, "cuda")


@pytest.fixture
def make_net() -> Callable[..., MSDNet]:
    """A network whose every parameter is random, 1x1 weights included."""

    def make(
        in_channels: int = 1, n_classes: int = 2, *, dtype: torch.dtype = torch.float64, **options
    ):
        net = MSDNet(in_channels, n_classes, **options).to(dtype)
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
        return net

    return make


@pytest.fixture
def assert_agrees() -> Callable[..., None]:
    """Logits and all gradients of a core against the reference, for one random output gradient."""

    def check(case: Case, net: MSDNet, image: Tensor) -> None:
        # Sums of a few hundred terms in another order: a few hundred roundings relative to the
        # largest value. float32 2^-24 * 400 = 2e-5; float64 the same count.
        tolerance = 2e-5 if image.dtype == torch.float32 else 1e-12
        image = image.detach().requires_grad_()
        expected = case.reference(net, image)
        gradient = torch.randn(
            expected.shape, generator=torch.Generator().manual_seed(1), dtype=image.dtype
        ).to(image.device)
        tensors = [image, *net.parameters()]
        logits = case.logits(net, image)
        pairs = zip(
            [logits, *torch.autograd.grad(logits, tensors, gradient)],
            [expected, *torch.autograd.grad(expected, tensors, gradient)],
            strict=True,
        )
        for got, wanted in pairs:
            assert got.shape == wanted.shape
            scale = max(1.0, float(wanted.detach().abs().max()))
            torch.testing.assert_close(got / scale, wanted / scale, rtol=0, atol=tolerance)

    return check


@pytest.fixture
def assert_agrees_in_16_bits() -> Callable[..., None]:
    """Logits and all gradients with 16-bit maps against the float64 oracle with rounded maps."""

    def check(case: Case, net: MSDNet, image: Tensor, dtype: torch.dtype) -> None:
        case = replace(case, map_dtype=dtype)
        with torch.no_grad():
            net.weight.copy_(net.weight.to(dtype))  # what the matrix units multiply with
        exact = copy.deepcopy(net).double()
        image = image.detach().requires_grad_()
        exact_image = image.detach().double().requires_grad_()
        expected = reference_with_rounded_maps(exact, exact_image, dtype)
        gradient = torch.randn(
            expected.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float32
        ).to(image.device)
        logits = case.logits(net, image)
        assert logits.dtype == torch.float32
        parameters = (image, *net.parameters())
        got = [logits, *torch.autograd.grad(logits, parameters, gradient)]
        parameters = (exact_image, *exact.parameters())
        wanted = [expected, *torch.autograd.grad(expected, parameters, gradient.double())]
        # What is left: where a float32 sum rounds to the other neighbour than the exact one (rare),
        # and in the gradients the rounding of each delta, 2^-9 in bfloat16 and 2^-12 in float16,
        # which adds up over the layers like a random walk. So in the norm, not at each pixel.
        rounding = 2.0**-9 if dtype == torch.bfloat16 else 2.0**-12
        for a, b in zip(got, wanted, strict=True):
            assert a.shape == b.shape
            assert a.dtype == torch.float32
            error = float((a.detach().double() - b.detach()).norm() / b.detach().norm())
            assert error < 4 * rounding

    return check


def sparse_integers(shape: tuple[int, ...], number: int, generator: torch.Generator) -> Tensor:
    """Zeros but for `number` places per row of the first axis, which hold 1 or -1."""
    values = torch.zeros(shape[0], math.prod(shape[1:]), dtype=torch.float32)
    for row in values:
        places = torch.randperm(len(row), generator=generator)[:number]
        row[places] = torch.randint(0, 2, (len(places),), generator=generator) * 2.0 - 1
    return values.reshape(shape)


@pytest.fixture
def make_exact_net() -> Callable[..., MSDNet]:
    """A float32 network of sparse integers, in which no sum rounds: see `assert_exact`."""

    def make(in_channels: int = 1, n_classes: int = 2, **options) -> MSDNet:
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

    return make


@pytest.fixture
def assert_exact() -> Callable[..., None]:
    """Logits and all gradients of a core equal the reference's, bit for bit.

    With integers in place of random numbers every order of summation gives the same bits, as long
    as no partial sum reaches 2^24 (float32) or, in what is stored in 16 bits, 2^11 (float16) or
    2^8 (bfloat16). So a difference is an error in the core and never rounding: a random network
    has pixels whose sign before the ReLU depends on the order, and there whole gradients differ.
    """

    def check(
        case: Case, net: MSDNet, shape: tuple[int, ...], map_dtype: torch.dtype | None = None
    ) -> None:
        generator = torch.Generator().manual_seed(1)
        device = net.weight.device
        image = torch.randint(-2, 3, shape, generator=generator).float().to(device)
        size = (shape[0], net.n_classes, *shape[2:])
        gradient = torch.randint(-1, 2, size, generator=generator).float()
        # Few pixels with a gradient keep the sums of the weights' gradients small.
        gradient *= (torch.rand(size, generator=generator) < 1000 / gradient.numel()).float()
        gradient[(..., *(0 for _ in shape[2:]))] = 1.0
        gradient = gradient.to(device)

        def results(net: MSDNet, logits_of, image: Tensor, gradient: Tensor) -> list[Tensor]:
            image = image.detach().requires_grad_()
            tensors = [image, *net.parameters()]
            logits = logits_of(net, image)
            return [logits, *torch.autograd.grad(logits, tensors, gradient)]

        exact = copy.deepcopy(net).double()
        expected = results(exact, case.reference, image.double(), gradient.double())
        # The same sums over absolute values bound every partial sum in any order.
        bound = copy.deepcopy(exact)
        with torch.no_grad():
            for parameter in bound.parameters():
                parameter.abs_()
        largest = results(bound, case.reference, image.double().abs(), gradient.double().abs())
        assert max(float(x.detach().abs().max()) for x in largest) < 2.0**24
        if map_dtype is not None:  # whatever the core stores in 16 bits must fit
            rounded = results(
                exact,
                lambda net, image: reference_with_rounded_maps(net, image, map_dtype, True),
                image.double(),
                gradient.double(),
            )
            assert all(map(torch.equal, rounded, expected))
        got = results(net, replace(case, map_dtype=map_dtype).logits, image, gradient)
        names = ["logits", "image", *(name for name, _ in net.named_parameters())]
        for name, value, wanted in zip(names, got, expected, strict=True):
            assert torch.equal(value.double(), wanted), f"{name} differ"

    return check
