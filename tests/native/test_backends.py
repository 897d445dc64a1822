"""Every backend against the readable reference: logits, and the gradient of every input.

In float64 the CUDA core takes its direct kernels; float32 and 16-bit maps go block by block of 8
channels, see `test_backends_exact.py`. `test_random_networks.py` draws networks at random.
"""

from __future__ import annotations

import itertools
from functools import partial

import pytest
import torch

from napari_msd import MSDNet

from .oracle import BOUNDARIES, Case, on, random_image, size_text

every_boundary = pytest.mark.parametrize("boundary", BOUNDARIES)

SIZES = [(1, 1), (2, 3), (1, 33), (17, 2), (33, 17), (3, 129)]


# --- sizes and structures ----------------------------------------------------------------------


@every_boundary
@pytest.mark.parametrize("size", SIZES, ids=size_text)
@pytest.mark.parametrize("width", [1, 2])
def test_any_size(case, make_tame_net, assert_agrees, size, boundary, width):
    net = make_tame_net(
        2, 3, depth=6, width=width, dilations=(1, 2, 7, 40), boundary=boundary, dtype=torch.float64
    )
    assert_agrees(case, net, random_image(2, 2, *size))


@on("gpu")
@every_boundary
@pytest.mark.parametrize("width", [1, 2])
def test_an_image_of_many_tiles(case, make_net, assert_agrees, boundary, width):
    net = make_net(2, 3, depth=5, width=width, dilations=(1, 2, 7, 40), boundary=boundary)
    assert_agrees(case, net, random_image(3, 2, 129, 151))


@every_boundary
@pytest.mark.parametrize("width", [2, 3, 9])
def test_several_channels_per_layer_each_with_its_dilation(
    case, make_tame_net, assert_agrees, width, boundary
):
    net = make_tame_net(
        2,
        3,
        depth=4,
        width=width,
        dilations=(1, 4, 2, 7, 5),
        boundary=boundary,
        dtype=torch.float64,
    )
    assert_agrees(case, net, random_image(3, 2, 9, 12))


@every_boundary
def test_dilations_many_times_larger_than_the_image(case, make_net, assert_agrees, boundary):
    net = make_net(depth=4, dilations=(40, 7, 23, 100), boundary=boundary)
    assert_agrees(case, net, random_image(2, 1, 3, 5))


@every_boundary
def test_a_dilation_of_a_thousand_needs_no_memory_of_its_own(case, make_net, boundary):
    image = random_image(1, 1, 3, 3, device=case.device)
    # 1000 = 4 modulo reflect's period 4; symmetric's is 6; beyond the image zeros are all the same.
    same = 1000 % 6 if boundary == "symmetric" else 4
    far, near = (
        make_net(depth=2, dilations=(s,), boundary=boundary).to(case.device) for s in (1000, same)
    )
    torch.testing.assert_close(case.logits(far, image), case.logits(near, image), rtol=0, atol=0)


@pytest.mark.parametrize("n_classes", [1, 8, 9, 20])
def test_numbers_of_outputs_around_the_register_tiles(case, make_net, assert_agrees, n_classes):
    assert_agrees(case, make_net(1, n_classes, depth=2), random_image(1, 1, 5, 6))


@every_boundary
@pytest.mark.parametrize(
    ("width", "size"),
    [(1, (1, 1, 1)), (2, (3, 4, 5)), (3, (2, 1, 17)), (2, (5, 9, 17))],
    ids=lambda value: size_text(value) if isinstance(value, tuple) else str(value),
)
def test_three_dimensions(case, make_net, assert_agrees, width, size, boundary):
    net = make_net(2, 3, depth=3, width=width, dilations=(1, 2, 5), ndim=3, boundary=boundary)
    assert_agrees(case, net, random_image(2, 2, *size))


# Of volumes whose slices lie far apart, farther than their rows, and beyond the volume.
ALONG_Z = [(1, 1, 2), (5, 2, 1), (1, 40)]


@every_boundary
@pytest.mark.parametrize("along_z", ALONG_Z, ids=str)
@pytest.mark.parametrize("width", [1, 2])
def test_other_dilations_along_z(case, make_net, assert_agrees, width, along_z, boundary):
    net = make_net(
        2, 3, depth=4, width=width, dilations=(1, 2, 5), dilations_z=along_z, ndim=3,
        boundary=boundary,
    )  # fmt: skip
    assert_agrees(case, net, random_image(2, 2, 5, 6, 9))


def test_the_same_dilations_along_z_are_those_of_a_plane(case, make_net):
    image = random_image(2, 1, 4, 5, 9, device=case.device)
    same, given = (
        make_net(depth=4, dilations=(1, 3), dilations_z=along_z, ndim=3).to(case.device)
        for along_z in (None, (1, 3))
    )
    torch.testing.assert_close(case.logits(same, image), case.logits(given, image), rtol=0, atol=0)


# Not on a GPU: there some pixel's sign before the ReLU would depend on the order of a sum.
@on("cpu", "cuda-shim", "blocked")
@every_boundary
def test_float32(case, make_tame_net, assert_agrees, boundary):
    net = make_tame_net(depth=20, dilations=(1, 2, 3, 5, 40), boundary=boundary)
    assert_agrees(case, net, random_image(2, 1, 24, 31, dtype=torch.float32))


# --- 16-bit maps -------------------------------------------------------------------------------


@on("cuda-shim", "gpu")
@every_boundary
@pytest.mark.parametrize("size", [(1, 1), (3, 129), (33, 17)], ids=size_text)
def test_16_bit_maps(case, half, make_tame_net, assert_agrees_in_16_bits, size, boundary):
    net = make_tame_net(2, 3, depth=20, dilations=(1, 2, 3, 5, 40), boundary=boundary)
    image = random_image(2, 2, *size, dtype=torch.float32)
    assert_agrees_in_16_bits(case, net, image, half)


@on("gpu")
@every_boundary
def test_16_bit_maps_of_wide_layers(case, half, make_tame_net, assert_agrees_in_16_bits, boundary):
    net = make_tame_net(2, 3, depth=20, width=2, dilations=(1, 2, 7, 40), boundary=boundary)
    assert_agrees_in_16_bits(case, net, random_image(3, 2, 40, 700, dtype=torch.float32), half)


@on("cuda-shim", "gpu")
@pytest.mark.parametrize("depth", [1, 7, 8, 9, 25])
def test_16_bit_maps_at_depths_around_the_blocks(
    case, half, make_tame_net, assert_agrees_in_16_bits, depth
):
    image = random_image(1, 1, 12, 13, dtype=torch.float32)
    assert_agrees_in_16_bits(case, make_tame_net(depth=depth), image, half)


@on("cuda-shim", "gpu")
@pytest.mark.parametrize("width", [2, 3, 9, 17])
def test_16_bit_maps_in_blocks_of_several_layers(
    case, half, make_tame_net, assert_agrees_in_16_bits, width
):
    # 4 and 2 layers to a block; one layer of more channels than a sweep takes at a time.
    net = make_tame_net(9, 2, depth=5, width=width, dilations=(1, 4, 2, 7))
    assert_agrees_in_16_bits(case, net, random_image(1, 9, 6, 11, dtype=torch.float32), half)


@on("cuda-shim", "gpu")
def test_16_bit_maps_of_rows_wider_than_a_tile(case, half, make_tame_net, assert_agrees_in_16_bits):
    net = make_tame_net(depth=17, dilations=(1, 2, 5))
    assert_agrees_in_16_bits(case, net, random_image(1, 1, 2, 601, dtype=torch.float32), half)


@on("cuda-shim", "gpu")
@every_boundary
@pytest.mark.parametrize("size", [(1, 1, 1), (3, 5, 7)], ids=size_text)
def test_16_bit_maps_in_three_dimensions(
    case, half, make_tame_net, assert_agrees_in_16_bits, size, boundary
):
    net = make_tame_net(2, 2, depth=10, width=2, dilations=(1, 2, 4), ndim=3, boundary=boundary)
    assert_agrees_in_16_bits(case, net, random_image(2, 2, *size, dtype=torch.float32), half)


@on("cuda-shim", "gpu")
@every_boundary
def test_16_bit_maps_with_other_dilations_along_z(
    case, half, make_tame_net, assert_agrees_in_16_bits, boundary
):
    net = make_tame_net(
        1, 2, depth=10, dilations=(1, 2, 4), dilations_z=(1, 7), ndim=3, boundary=boundary
    )
    assert_agrees_in_16_bits(case, net, random_image(1, 1, 4, 5, 7, dtype=torch.float32), half)


# --- what autograd may ask ---------------------------------------------------------------------


def test_the_gradient_is_the_derivative(case, make_net):
    for boundary, width in itertools.product(BOUNDARIES, (1, 2)):
        net = make_net(2, 2, depth=3, width=width, dilations=(1, 3, 2), boundary=boundary)
        net = net.to(case.device)
        image = random_image(2, 2, 4, 5, device=case.device).requires_grad_()
        parameters = [p.detach().clone().requires_grad_() for p in net.parameters()]
        # The CUDA sources on the CPU are slow: random directions instead of every entry.
        assert torch.autograd.gradcheck(
            partial(case.apply, net), (image, *parameters), fast_mode=case.backend != "cpu"
        )


def test_without_gradients_the_logits_are_the_same(case, make_net):
    net = make_net(depth=5).to(case.device)
    image = random_image(3, 1, 20, 20, device=case.device)
    with torch.no_grad():
        without = case.logits(net, image)
    assert not without.requires_grad
    torch.testing.assert_close(without, case.logits(net, image), rtol=0, atol=0)


def test_nothing_is_saved_without_gradients(case, make_net):
    net = make_net(depth=3).to(case.device).requires_grad_(False)
    assert case.logits(net, random_image(1, 1, 8, 8, device=case.device)).grad_fn is None


def test_a_frozen_image_gets_no_gradient(case, make_net):
    net = make_net(depth=3).to(case.device)
    image = random_image(1, 1, 8, 8, device=case.device)
    case.logits(net, image).sum().backward()
    assert image.grad is None
    assert net.weight.grad.any()


def test_second_derivatives_are_refused_not_wrong(case, make_net):
    net = make_net(depth=2).to(case.device)
    image = random_image(1, 1, 4, 4, device=case.device).requires_grad_()
    (gradient,) = torch.autograd.grad(
        case.logits(net, image).square().sum(), image, create_graph=True
    )
    with pytest.raises(RuntimeError):
        gradient.sum().backward()


def test_an_empty_batch(case, make_net):
    net = make_net(depth=3).to(case.device)
    image = torch.zeros(0, 1, 8, 9, dtype=torch.float64, device=case.device, requires_grad=True)
    logits = case.logits(net, image)
    logits.sum().backward()
    assert logits.shape == (0, 2, 8, 9)
    assert image.grad.shape == image.shape
    assert all(not parameter.grad.any() for parameter in net.parameters())


def test_non_contiguous_images_and_gradients(case, make_net):
    net = make_net(2, 2, depth=3).to(case.device)
    image = random_image(2, 9, 8, 2, device=case.device).permute(0, 3, 1, 2)
    gradient = random_image(1, 1, 1, 1, device=case.device).expand(2, 2, 9, 8)
    ours, theirs = (
        torch.autograd.grad(compute(net, image), net.weight, gradient)[0]
        for compute in (case.logits, case.reference)
    )
    torch.testing.assert_close(ours, theirs)


def test_the_gradient_is_the_derivative_with_other_dilations_along_z(case, make_net):
    for boundary in BOUNDARIES:
        net = make_net(
            1, 2, depth=3, dilations=(1, 3), dilations_z=(2, 1), ndim=3, boundary=boundary
        ).to(case.device)
        image = random_image(1, 1, 3, 3, 4, device=case.device).requires_grad_()
        parameters = [p.detach().clone().requires_grad_() for p in net.parameters()]
        assert torch.autograd.gradcheck(
            partial(case.apply, net), (image, *parameters), fast_mode=case.backend != "cpu"
        )


# --- numbers that are none, and always the same numbers ----------------------------------------


@every_boundary
def test_nan_spreads_as_in_the_reference(case, make_net, boundary):
    image = random_image(1, 1, 6, 7, device=case.device)
    image[0, 0, 2, 3] = float("nan")
    net = make_net(depth=2, dilations=(1, 2), boundary=boundary).to(case.device)
    ours = case.logits(net, image).cpu()
    # On the CPU: a convolution by transforms, as on a GPU, would spread it over whole tiles.
    theirs = case.reference(net.cpu(), image.cpu())
    assert ours.isnan().any()
    assert torch.equal(ours.isnan(), theirs.isnan())


def test_gradients_where_the_activation_is_nan(case, make_net):
    image = torch.full((1, 1, 3, 3), float("nan"), dtype=torch.float64, device=case.device)
    net = make_net(depth=1).to(case.device)
    ours, theirs = (
        torch.autograd.grad(compute(net, image).sum(), net.bias)[0]
        for compute in (case.logits, case.reference)
    )
    torch.testing.assert_close(ours, theirs)


def test_the_same_bits_every_time(case, make_net):
    net = make_net(depth=20, dtype=torch.float32).to(case.device)
    image = random_image(2, 1, 33, 40, dtype=torch.float32, device=case.device)
    runs = [
        torch.autograd.grad(case.logits(net, image).square().sum(), net.weight)[0] for _ in range(3)
    ]
    assert all(torch.equal(runs[0], run) for run in runs[1:])


# --- as a network's backend --------------------------------------------------------------------


@on("cpu", "blocked")
def test_autocast_on_the_cpu_does_not_round(case: Case, make_net):
    net = make_net(depth=3, backend=case.backend, dtype=torch.float32)
    image = random_image(1, 1, 8, 8, dtype=torch.float32)
    with torch.no_grad():
        plain = net(image)
        assert net.backend_in_use == case.backend
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(net(image), plain)
            if case.backend == "cpu":
                assert net(image.bfloat16()).dtype == torch.float32


@on("cpu", "blocked")
def test_a_training_step_can_be_compiled_around(case: Case):
    net = MSDNet(1, 2, depth=2, backend=case.backend)
    compiled = torch.compile(net, backend="aot_eager")
    compiled(torch.randn(1, 1, 8, 8)).sum().backward()
    assert net.output_bias.grad.tolist() == [64.0, 64.0]
