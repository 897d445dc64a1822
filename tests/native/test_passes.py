"""Both compiled cores against the readable reference: logits and every gradient."""

from __future__ import annotations

import itertools
import math
import shutil
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_msd.native import operator, set_threads
from napari_msd.native.core import Core
from napari_msd.native.libraries import open_library

BOUNDARIES = ("reflect", "symmetric", "zeros")
ODD_SIZES = [(1, 1), (1, 33), (2, 3), (3, 1), (17, 2), (33, 17), (3, 129)]


def random_image(*shape: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(2), dtype=dtype)


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("size", ODD_SIZES)
def test_odd_sizes(case, make_net, assert_agrees, size, boundary):
    net = make_net(depth=6, dilations=(1, 2, 3, 5), boundary=boundary)
    assert_agrees(case, net, random_image(2, 1, *size))


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("width", [2, 3])
def test_several_channels_per_layer_each_with_its_dilation(
    case, make_net, assert_agrees, width, boundary
):
    net = make_net(2, 3, depth=3, width=width, dilations=(1, 4, 2, 7), boundary=boundary)
    assert_agrees(case, net, random_image(3, 2, 9, 17))


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_dilations_many_times_larger_than_the_image(case, make_net, assert_agrees, boundary):
    net = make_net(depth=4, dilations=(40, 7, 23, 100), boundary=boundary)
    assert_agrees(case, net, random_image(2, 1, 3, 5))


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_a_dilation_of_a_thousand_needs_no_memory_of_its_own(case, make_net, boundary):
    image = random_image(1, 1, 3, 3)
    far, near = (make_net(depth=2, dilations=(s,), boundary=boundary) for s in (1000, 4))
    # 1000 = 4 modulo reflect's period 4; symmetric's is 6; beyond the image zeros are all the same.
    if boundary == "symmetric":
        near = make_net(depth=2, dilations=(1000 % 6,), boundary=boundary)
    torch.testing.assert_close(case.logits(far, image), case.logits(near, image), rtol=0, atol=0)


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_float32(case, make_net, assert_agrees, boundary):
    net = make_net(depth=12, dilations=(1, 2, 4, 8), boundary=boundary, dtype=torch.float32)
    with torch.no_grad():
        net.weight.mul_(0.5)  # keep the activations' size, or the comparison is of overflow
    assert_agrees(case, net, random_image(2, 1, 24, 31, dtype=torch.float32))


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("size", [(1, 1), (33, 17), (7, 300)])
@pytest.mark.parametrize("width", [1, 3])
def test_float32_bit_for_bit(case, make_exact_net, assert_exact, size, boundary, width):
    dilations = (1, 2, 7, 40)
    net = make_exact_net(
        2, 3, depth=20 // width, width=width, dilations=dilations, boundary=boundary
    )
    assert_exact(case, net, (2, 2, *size))


def test_float32_bit_for_bit_in_three_dimensions(case, make_exact_net, assert_exact):
    net = make_exact_net(2, 3, depth=6, width=2, dilations=(1, 2, 7), ndim=3)
    assert_exact(case, net, (2, 2, 4, 9, 17))


@pytest.mark.parametrize("n_classes", [1, 8, 9, 20])
def test_numbers_of_outputs_around_the_register_tiles(case, make_net, assert_agrees, n_classes):
    assert_agrees(case, make_net(1, n_classes, depth=2), random_image(1, 1, 5, 6))


def test_the_gradient_is_the_derivative(case, make_net):
    for boundary, width in itertools.product(BOUNDARIES, (1, 2)):
        net = make_net(2, 2, depth=3, width=width, dilations=(1, 3, 2), boundary=boundary)
        image = random_image(2, 2, 4, 5).requires_grad_()
        parameters = [p.detach().clone().requires_grad_() for p in net.parameters()]
        # The CUDA sources on the CPU are slow: random directions instead of every entry.
        assert torch.autograd.gradcheck(
            partial(case.apply, net), (image, *parameters), fast_mode=case.backend == "cuda"
        )


@given(
    size=st.tuples(st.integers(1, 12), st.integers(1, 40)),
    batch=st.integers(1, 3),
    channels=st.integers(1, 3),
    classes=st.integers(1, 4),
    depth=st.integers(1, 7),
    width=st.integers(1, 3),
    dilations=st.lists(st.integers(1, 30), min_size=1, max_size=6),
    boundary=st.sampled_from(BOUNDARIES),
    threads=st.integers(1, 3),
)
@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_network_on_any_image(
    case, make_net, assert_agrees,
    size, batch, channels, classes, depth, width, dilations, boundary, threads,
):  # fmt: skip
    set_threads(threads)
    net = make_net(
        channels, classes, depth=depth, width=width, dilations=dilations, boundary=boundary
    )
    assert_agrees(case, net, random_image(batch, channels, *size))


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize(("width", "size"), [(1, (1, 1, 1)), (2, (3, 4, 5)), (3, (2, 1, 17))])
def test_three_dimensions(case, make_net, assert_agrees, width, size, boundary):
    net = make_net(2, 2, depth=3, width=width, dilations=(1, 2, 4), ndim=3, boundary=boundary)
    assert_agrees(case, net, random_image(2, 2, *size))


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_three_dimensions_with_teams_of_threads(cpu_case, make_net, assert_agrees, boundary):
    set_threads(2)
    net = make_net(1, 2, depth=6, dilations=(1, 3, 2, 9), ndim=3, boundary=boundary)
    with torch.no_grad():
        net.weight.mul_(0.2)
    assert_agrees(cpu_case, net, random_image(1, 1, 7, 12, 33))


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("size", [(129, 17), (17, 129), (40, 200)])
def test_larger_images_sweep_in_chunks(cpu_case, make_net, assert_agrees, size, boundary):
    # Several chunks of rows, a ring shorter than the image, rows with and without mirrored ends.
    net = make_net(1, 2, depth=13, dilations=(1, 16, 3, 33, 2), boundary=boundary)
    with torch.no_grad():
        net.weight.mul_(0.3)
    for threads in (1, 2):
        set_threads(threads)
        assert_agrees(cpu_case, net, random_image(1, 1, *size))


@pytest.mark.parametrize("depth", [1, 2, 31, 110])
@pytest.mark.parametrize("width", [1, 3])
def test_any_depth(cpu_case, make_net, assert_agrees, depth, width):
    net = make_net(1, 2, depth=depth, width=width)
    with torch.no_grad():
        net.weight.mul_(1 / math.sqrt(depth * width))  # keep the activations' size
    assert_agrees(cpu_case, net, random_image(1, 1, 20, 23))


@pytest.mark.parametrize(("batch", "threads"), [(1, 2), (3, 2), (2, 5), (5, 3), (1, 7)])
def test_teams_of_threads_agree(cpu_case, make_net, assert_agrees, batch, threads):
    # Large enough that all these threads are really used, also by teams on one image.
    set_threads(threads)
    net = make_net(1, 2, depth=9, dilations=(1, 5, 2))
    with torch.no_grad():
        net.weight.mul_(0.3)
    assert_agrees(cpu_case, net, random_image(batch, 1, 64, 96))


def test_the_same_threads_give_the_same_bits(cpu_case, make_net):
    set_threads(2)
    net = make_net(1, 2, depth=9, dtype=torch.float32)
    image = random_image(3, 1, 64, 96, dtype=torch.float32)
    runs = [
        torch.autograd.grad(cpu_case.logits(net, image).square().sum(), net.weight)[0]
        for _ in range(4)
    ]
    assert all(torch.equal(runs[0], run) for run in runs[1:])


def test_nan_spreads_as_in_torch(case, make_net):
    image = random_image(1, 1, 6, 7)
    image[0, 0, 2, 3] = float("nan")
    net = make_net(depth=2, dilations=(1, 2))
    ours, theirs = case.logits(net, image), case.reference(net, image)
    assert ours.isnan().any()
    assert torch.equal(ours.isnan(), theirs.isnan())


def test_gradients_where_the_activation_is_nan(case, make_net):
    image = torch.full((1, 1, 3, 3), float("nan"), dtype=torch.float64)
    net = make_net(depth=1)
    ours, theirs = (
        torch.autograd.grad(compute(net, image).sum(), net.bias)[0]
        for compute in (case.logits, case.reference)
    )
    torch.testing.assert_close(ours, theirs)


def test_an_empty_batch(case, make_net):
    net = make_net(depth=3)
    image = torch.zeros(0, 1, 8, 9, dtype=torch.float64, requires_grad=True)
    logits = case.logits(net, image)
    logits.sum().backward()
    assert logits.shape == (0, 2, 8, 9)
    assert image.grad.shape == image.shape
    assert all(not parameter.grad.any() for parameter in net.parameters())


def test_non_contiguous_images_and_gradients(case, make_net):
    net = make_net(2, 2, depth=3)
    image = random_image(2, 9, 8, 2).permute(0, 3, 1, 2)
    gradient = random_image(1, 1, 1, 1).expand(2, 2, 9, 8)
    ours, theirs = (
        torch.autograd.grad(compute(net, image), net.weight, gradient)[0]
        for compute in (case.logits, case.reference)
    )
    torch.testing.assert_close(ours, theirs)


def test_without_gradients_the_logits_are_the_same(case, make_net):
    net = make_net(depth=5)
    image = random_image(3, 1, 20, 20)
    with torch.no_grad():
        without = case.logits(net, image)
    assert not without.requires_grad
    torch.testing.assert_close(without, case.logits(net, image), rtol=0, atol=0)


@pytest.mark.parametrize("variant", ["baseline", "avx2", "avx512"])
def test_every_instruction_set_agrees(
    cpu_case, cpu_core, make_net, assert_agrees, monkeypatch, tmp_path, variant
):
    # A copy under another name is another library to the loader: it chooses its variant anew.
    copy = tmp_path / f"libnapari_msd_cpu_{variant}{cpu_core.library.path.suffix}"
    shutil.copy(cpu_core.library.path, copy)
    monkeypatch.setenv("NAPARI_MSD_CPU_VARIANT", variant)
    core = Core(open_library(copy))
    monkeypatch.setattr(operator, "compiled_core", lambda *_: core)
    case = replace(cpu_case, core=core)
    names = {"baseline": "baseline", "avx2": "AVX2", "avx512": "AVX-512"}
    assert core.library.variant in (names[variant], cpu_core.library.variant, "NEON")
    for dtype in (torch.float32, torch.float64):
        net = make_net(2, 3, depth=5, width=2, dilations=(1, 2, 4), dtype=dtype)
        with torch.no_grad():
            net.weight.mul_(0.3)
        assert_agrees(case, net, random_image(2, 2, 21, 50, dtype=dtype))


def test_subnormals_are_zero_inside_and_untouched_outside(cpu_case, make_net):
    net = make_net(depth=2, dtype=torch.float32)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
        net.output_weight[:] = 1e30
        image = torch.full((1, 1, 64, 64), 1e-40)
        assert not cpu_case.logits(net, image).any()
    tiny = np.float32(1e-40)
    assert tiny * np.float32(1) != 0
