"""The torch operator: torch's own checks, what is saved, what errors say."""

from __future__ import annotations

import ctypes
import math
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from napari_msd import MSDNet
from napari_msd.core.errors import MSDError, OutOfMemoryError, SettingsError
from napari_msd.native import abi, libraries, operator
from napari_msd.native.core import Core, Structure, UnsupportedError

from .oracle import on


@pytest.mark.parametrize("keep_maps", [False, True])
def test_torch_accepts_the_operator(cpu_case, make_net, keep_maps):
    net = make_net(depth=2, dilations=(1, 2), dtype=torch.float32)
    image = torch.randn(2, 1, 5, 6, requires_grad=keep_maps)
    parameters = [p if keep_maps else p.detach() for p in net.parameters()]
    rest = ("staged", keep_maps)
    torch.library.opcheck(
        torch.ops.napari_msd.mixed_scale_dense.default,
        (image, *parameters, list(net.dilations), None, 1, "reflect", "cpu", None, *rest),
    )


@pytest.mark.parametrize("keep_maps", [False, True])
def test_torch_accepts_the_operator_with_other_dilations_along_z(cpu_case, make_net, keep_maps):
    net = make_net(depth=2, dilations=(1, 2), dilations_z=(1, 1), ndim=3, dtype=torch.float32)
    image = torch.randn(2, 1, 3, 5, 6, requires_grad=keep_maps)
    parameters = [p if keep_maps else p.detach() for p in net.parameters()]
    dilations = (list(net.dilations), list(net.dilations_z))
    torch.library.opcheck(
        torch.ops.napari_msd.mixed_scale_dense.default,
        (image, *parameters, *dilations, 1, "reflect", "cpu", None, "staged", keep_maps),
    )


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_torch_accepts_the_operator_with_16_bit_maps(shim_case, make_net, dtype):
    net = make_net(depth=2, dilations=(1, 2), dtype=torch.float32)
    image = torch.randn(2, 1, 5, 7, requires_grad=True)
    options = (1, "reflect", "cuda", dtype, "staged", True)
    torch.library.opcheck(
        torch.ops.napari_msd.mixed_scale_dense.default,
        (image, *net.parameters(), list(net.dilations), None, *options),
    )


@on("cpu", "cuda-shim")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [(1, 1), (3, 17), (96, 96), (5, 64)])
def test_the_operator_and_the_cores_agree_on_what_is_saved(case, make_net, size, dtype):
    net = make_net(2, 3, depth=3, width=2, dtype=dtype)
    image = torch.zeros(3, 2, *size, dtype=dtype)
    structure = Structure(net.dilations, net.width, net.boundary)
    plane = operator.plane_numbers(size, image.element_size(), case.backend)
    assert case.core.maps_size(image, net.output_weight, structure) == 3 * net.n_maps * plane


def test_what_a_core_does_not_serve_is_refused_with_the_sizes(cpu_core, make_net):
    net = make_net(depth=2, ndim=3)
    structure = Structure(net.dilations, net.width, net.boundary)
    image = torch.zeros(1, 1, 4, 5, 6, dtype=torch.float64)
    problem = cpu_core._problem(image, net.output_weight, structure, keep_maps=False)
    with pytest.raises(UnsupportedError, match=r"4 x 5 x 6 pixels.*depth 2"):
        cpu_core._check(abi.UNSUPPORTED, problem)


@pytest.mark.parametrize(("in_channels", "served"), [(500, True), (520, False)])
def test_images_of_more_numbers_than_one_launch_takes_are_refused(shim_core, in_channels, served):
    # Almost 2^29 pixels: a block for each 128 numbers, and at most 2^31 - 1 blocks.
    structure = Structure((1,), 1, "reflect")
    shape = (1, in_channels, 2**14, 2**15 - 8)
    assert shim_core.can_run(shape, torch.float32, 2, structure, False) == served


def test_the_cpu_core_ignores_the_schedule(cpu_case, make_net):
    net, image = make_net(depth=9), torch.randn(2, 1, 9, 11, dtype=torch.float64)
    cooperative = replace(cpu_case, schedule="cooperative")
    gradients = [
        torch.autograd.grad(case.logits(net, image).square().sum(), tuple(net.parameters()))
        for case in (cpu_case, cooperative)
    ]
    for one, other in zip(*gradients, strict=True):
        assert torch.equal(one, other)
    cpu_case.core.check_waits(image)


@on("cpu", "cuda-shim")
@pytest.mark.parametrize("number", [-1, 2])
def test_an_unknown_schedule_is_refused(case, make_net, number):
    net = make_net(depth=2)
    structure = Structure(net.dilations, net.width, net.boundary)
    image = torch.zeros(1, 1, 4, 5)
    problem = case.core._problem(image, net.output_weight, structure, keep_maps=False)
    problem.schedule = number
    with pytest.raises(MSDError, match="outside its range"):
        case.core._memory(problem)


@on("cpu", "cuda-shim")
@pytest.mark.parametrize(
    ("shape", "depth", "training"),
    [
        ((2**20, 1, 2**20, 2**20), 2, False),
        ((2**20, 1, 2**20, 2**20), 2, True),
        ((2**62, 1, 1, 1), 2, True),
        ((2**10, 1, 2**20, 2**20), 5000, True),  # 2^64 bytes and some
    ],
)
def test_a_size_that_no_memory_holds_is_refused(case, shape, depth, training):
    with pytest.raises(MSDError):
        bytes_needed(case.core, shape, depth, training)


@pytest.mark.parametrize("depth", [1, 10])
def test_the_largest_sizes_are_counted_right(cpu_core, depth):
    shape = (2**10, 1, 2**20, 2**20)
    maps = 4 * (depth + 1) * math.prod(shape)
    assert maps < bytes_needed(cpu_core, shape, depth, training=True) < 2.5 * maps


def bytes_needed(core: Core, shape: tuple[int, ...], depth: int, training: bool) -> int:
    """`Core.bytes_needed` without a tensor of that shape, which torch would refuse first."""
    structure = Structure((1,) * depth, 1, "reflect")
    like, weight = torch.zeros(1, 1, 2, 2), torch.empty(2, depth + 1, device="meta")
    problem = core._problem(like, weight, structure, keep_maps=training)
    problem.batch, problem.sizes = shape[0], (1, *shape[2:])
    memory = core._memory(problem)
    return memory.maps + memory.forward_workspace + memory.backward_workspace


def test_memory_for_a_plan_that_is_not_there_is_an_error_not_a_crash():
    # In a process of its own: 2**24 channels' plan does not fit, and on a core that lets
    # exceptions out the process ends.
    script = """
import ctypes, resource, sys
from napari_msd.native import abi
from napari_msd.native.libraries import load_library
library = load_library("cpu")
channels = 2**24
problem = abi.Problem(
    1, (1, 4, 4), (ctypes.c_int32 * channels)(*[1] * channels), 1, channels, 1, 2, 2, 0, 0, 1, 1, 0
)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**20, used + 2**20))
sys.exit(100 + library.functions.msd_memory_needed(problem, abi.Memory()))
"""
    if sys.platform != "linux" or libraries.load_library("cpu") is None:
        pytest.skip("needs Linux and the compiled CPU core")
    result = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True)
    assert result.returncode == 100 + abi.OUT_OF_MEMORY, result.stderr.decode()


def test_a_step_needs_twice_the_maps_and_little_more(cpu_core):
    structure = Structure(tuple(range(1, 11)) * 10, 1, "reflect")
    shape, maps = (1, 1, 512, 512), 4 * 101 * 512**2
    step = cpu_core.bytes_needed(shape, torch.float32, 2, structure, training=True)
    assert 2 * maps < step < 1.2 * 2 * maps
    infer = cpu_core.bytes_needed(shape, torch.float32, 2, structure, training=False)
    assert infer < 1.2 * maps
    # Images of a batch that are not computed at the same time share their maps.
    many = cpu_core.bytes_needed((50, *shape[1:]), torch.float32, 2, structure, training=False)
    assert many < 50 * maps / 5


@on("cpu", "cuda-shim")
@pytest.mark.parametrize("dtype", [abi.FLOAT32, abi.FLOAT64])
def test_multiply_adds_to_compare_with(case, dtype):
    flops, sink = ctypes.c_double(), torch.zeros(16)
    code = case.core.library.functions.msd_fma_work(
        dtype, 2, 3, ctypes.byref(flops), sink.data_ptr(), None
    )
    assert code == abi.OK
    assert flops.value > 0


@on("cpu", "cuda-shim")
def test_the_handover_of_a_cache_line_is_the_cpu_cores_to_measure(case):
    functions, nanoseconds = case.core.library.functions, ctypes.c_double(-1)
    assert functions.msd_handover(1, ctypes.byref(nanoseconds)) != abi.OK
    code = functions.msd_handover(2000, ctypes.byref(nanoseconds))
    if case.backend == "cpu":
        assert code == abi.OK
        assert nanoseconds.value >= 0  # 0 where no second core is free
    else:
        assert code == abi.UNSUPPORTED


def test_a_core_that_reports_a_failure_names_the_sizes(cpu_core, make_net):
    net = make_net(depth=2)
    structure = Structure((0, 0), 1, "reflect")  # no such dilation
    image = torch.zeros(1, 1, 4, 5, dtype=torch.float64)
    with pytest.raises(MSDError, match="4 x 5 pixels"):
        cpu_core.forward(image, *net.parameters(), structure, keep_maps=False)


@on("cpu", "cuda-shim")
@pytest.mark.parametrize(
    ("ndim", "along_z"), [(2, (1, 1)), (3, (1, 0)), (3, (2**30 + 1, 1))], ids=str
)
def test_dilations_along_z_that_a_core_cannot_take_are_refused(case, make_net, ndim, along_z):
    net = make_net(depth=2, ndim=ndim)
    image = torch.zeros(1, 1, *(4, 5, 6)[-ndim:], dtype=torch.float64)
    structure = Structure((1, 1), 1, "reflect", dilations_z=along_z)
    with pytest.raises(MSDError, match="outside its range"):
        case.core.forward(image, *net.parameters(), structure, keep_maps=False)


def test_out_of_memory_says_how_much_was_needed(cpu_core, make_net):
    net = make_net(depth=2)
    structure = Structure(net.dilations, net.width, net.boundary)
    problem = cpu_core._problem(
        torch.zeros(1, 1, 4, 5), net.output_weight, structure, keep_maps=False
    )
    with pytest.raises(OutOfMemoryError, match=r"4 x 5 pixels.* GiB"):
        cpu_core._allocate(torch.zeros(1), 2**60, problem)
    with pytest.raises(OutOfMemoryError, match="4 x 5 pixels"):
        cpu_core._check(abi.OUT_OF_MEMORY, problem)


@on("cpu", "cuda-shim")
def test_an_inference_pass_needs_no_memory_for_gradients(case):
    structure = Structure((1, 2, 3) * 4, 1, "reflect")
    image, output_weight = torch.zeros(2, 1, 40, 50), torch.zeros(2, 13)
    for_inference, for_training = (
        case.core._memory(case.core._problem(image, output_weight, structure, keep_maps))
        for keep_maps in (False, True)
    )
    assert for_training.backward_workspace > 4 * 12 * image.numel()
    if case.backend == "cuda":
        assert for_inference.backward_workspace == 0
    assert for_inference.maps <= for_training.maps


def test_a_training_step_with_16_bit_maps_can_be_compiled_around(shim_case, make_net):
    shim_case.map_dtype = torch.bfloat16
    net, image = make_net(depth=2, dtype=torch.float32), torch.randn(1, 1, 8, 9)
    compiled = torch.compile(lambda image: shim_case.logits(net, image), backend="aot_eager")
    torch.testing.assert_close(compiled(image), shim_case.logits(net, image))
    compiled(image).sum().backward()
    assert net.output_bias.grad.tolist() == [72.0, 72.0]


def test_a_failure_carries_the_name_that_the_gpu_gave_it(shim_case, make_net, monkeypatch):
    net, image = make_net(depth=2), torch.zeros(1, 1, 4, 5, dtype=torch.float64)
    monkeypatch.setenv("NAPARI_MSD_SHIM_MACHINE", "refusing")
    with pytest.raises(MSDError, match=r"4 x 5 pixels.*failure \(cudaErrorLaunchOutOfResources\)"):
        shim_case.logits(net, image)
    monkeypatch.delenv("NAPARI_MSD_SHIM_MACHINE")
    shim_case.logits(net, image)
    assert shim_case.core.library.error_text(abi.DEVICE_FAILED) == "the GPU reported a failure"


@pytest.mark.parametrize("number", range(5))
def test_tensors_of_other_types_never_reach_the_library(cpu_core, number):
    net = MSDNet(1, 2, depth=2)
    tensors = [torch.zeros(1, 1, 5, 6), *(parameter.detach() for parameter in net.parameters())]
    tensors[number] = tensors[number].half()
    structure = Structure(net.dilations, 1, "reflect")
    with pytest.raises(SettingsError, match="not float16, float32"):
        cpu_core.forward(*tensors, structure, True)


@pytest.mark.parametrize("number", [0, 2, 3])
def test_gradients_of_other_types_never_reach_the_library(cpu_core, number):
    net = MSDNet(1, 2, depth=2)
    structure = Structure(net.dilations, 1, "reflect")
    parameters = [parameter.detach() for parameter in net.parameters()]
    logits, maps = cpu_core.forward(torch.zeros(1, 1, 5, 6), *parameters, structure, True)
    tensors = [logits, maps, parameters[0], parameters[2]]
    tensors[number] = tensors[number].double()
    with pytest.raises(SettingsError, match="not float32, float64"):
        cpu_core.backward(*tensors, structure, True)
