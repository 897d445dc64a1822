"""The blocked torch path against the readable reference: logits and every gradient."""

from __future__ import annotations

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_msd.network import MSDNet, mixed_scale_dense_reference

BOUNDARIES = ("reflect", "symmetric", "zeros")


def random_net(*arguments, dtype=torch.float64, **options):
    net = MSDNet(*arguments, backend="torch", **options).to(dtype)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    return net


def random_image(*shape, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(2), dtype=dtype)


def reference(net, image):
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


def assert_agrees(net, image, tolerance=1e-12):
    image = image.requires_grad_()
    tensors = [image, *net.parameters()]
    results = []
    for logits in (net(image), reference(net, image)):
        gradient = random_image(*logits.shape).to(logits.dtype)
        results.append([logits, *torch.autograd.grad(logits, tensors, gradient)])
    assert net.backend_in_use == "torch"
    for got, wanted in zip(*results, strict=True):
        scale = float(wanted.detach().abs().amax()) if wanted.numel() else 1.0
        scale = max(1.0, scale)
        torch.testing.assert_close(got / scale, wanted / scale, rtol=0, atol=tolerance)


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (17, 129), (33, 2)])
def test_odd_sizes_and_dilations_beyond_the_image(size, boundary):
    net = random_net(2, 3, depth=10, dilations=(1, 2, 7, 40), boundary=boundary)
    with torch.no_grad():
        net.weight.mul_(0.3)
    assert_agrees(net, random_image(2, 2, *size))


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("width", [2, 3, 9])
def test_several_channels_per_layer(width, boundary):
    net = random_net(1, 2, depth=4, width=width, dilations=(1, 4, 2, 7), boundary=boundary)
    with torch.no_grad():
        net.weight.mul_(0.3)
    assert_agrees(net, random_image(2, 1, 9, 12))


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_three_dimensions(boundary):
    net = random_net(2, 2, depth=3, width=2, dilations=(1, 2, 5), ndim=3, boundary=boundary)
    assert_agrees(net, random_image(2, 2, 3, 4, 5))


def test_float32():
    net = random_net(1, 2, depth=20, dtype=torch.float32)
    with torch.no_grad():
        net.weight.mul_(0.3)
    # Sums of a few hundred float32 terms in another order: 400 * 2^-24.
    assert_agrees(net, random_image(1, 1, 24, 31, dtype=torch.float32), 2e-5)


@given(
    size=st.tuples(st.integers(1, 12), st.integers(1, 20)),
    batch=st.integers(0, 3),
    channels=st.integers(1, 3),
    depth=st.integers(1, 12),
    width=st.integers(1, 3),
    dilations=st.lists(st.integers(1, 30), min_size=1, max_size=6),
    boundary=st.sampled_from(BOUNDARIES),
)
@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_network_on_any_image(size, batch, channels, depth, width, dilations, boundary):
    net = random_net(channels, 2, depth=depth, width=width, dilations=dilations, boundary=boundary)
    with torch.no_grad():
        net.weight.mul_(0.3)
    assert_agrees(net, random_image(batch, channels, *size))


def test_the_gradient_is_the_derivative():
    net = random_net(1, 2, depth=3, dilations=(1, 3, 2))

    def logits(image, *parameters):
        names = [name for name, _ in net.named_parameters()]
        return torch.func.functional_call(net, dict(zip(names, parameters, strict=True)), (image,))

    parameters = [p.detach().clone().requires_grad_() for p in net.parameters()]
    assert torch.autograd.gradcheck(
        logits, (random_image(1, 1, 4, 5).requires_grad_(), *parameters)
    )


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_stays_near(dtype):
    net = random_net(1, 2, depth=6, dtype=torch.float32)
    image = random_image(1, 1, 16, 16, dtype=torch.float32)
    with torch.no_grad():
        exact = net(image)
        near = net.to(dtype)(image.to(dtype)).float()
    # A few roundings of the maps, each 2^-8 (bfloat16) or 2^-11 of the value.
    bound = 0.05 if dtype == torch.bfloat16 else 0.01
    assert float((near - exact).abs().max() / exact.abs().max()) < bound


def test_memory_grows_with_the_maps_not_with_the_square_of_the_depth():
    kept = []

    def pack(tensor):
        kept.append(tensor.untyped_storage().nbytes())
        return tensor

    net = random_net(1, 2, depth=30, dtype=torch.float32)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        net(random_image(1, 1, 32, 32, dtype=torch.float32))
    parameters = 4 * net.n_parameters
    assert sum(kept) <= 4 * net.n_maps * 32 * 32 + parameters


def test_autocast_does_not_round():
    net = random_net(1, 2, depth=3, dtype=torch.float32)
    image = random_image(1, 1, 8, 8, dtype=torch.float32)
    with torch.no_grad():
        plain = net(image)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(net(image), plain)


def test_a_training_step_can_be_compiled_around():
    net = random_net(1, 2, depth=2, dtype=torch.float32)
    torch.compile(net, backend="aot_eager")(torch.randn(1, 1, 8, 8)).sum().backward()
    assert net.output_bias.grad.tolist() == [64.0, 64.0]


def test_nan_spreads_as_in_the_reference():
    image = random_image(1, 1, 6, 7)
    image[0, 0, 2, 3] = float("nan")
    for boundary in BOUNDARIES:
        net = random_net(1, 2, depth=2, dilations=(1, 2), boundary=boundary)
        assert torch.equal(net(image).isnan(), reference(net, image).isnan())
