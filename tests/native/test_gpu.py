"""The CUDA core on a real GPU; skipped where there is none.

`benchmarks/gpu_check.sh` runs these on a machine that has little more than torch.
"""

from __future__ import annotations

import dataclasses

import pytest
import torch

from napari_msd.native import libraries, operator
from napari_msd.native.core import Core

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")


@pytest.fixture
def gpu_case(cpu_case, monkeypatch):
    library = libraries.load_library("cuda")
    if library is None:
        pytest.skip(libraries.library_status("cuda").reason)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)  # the reference's convolutions
    monkeypatch.setattr(operator, "compiled_core", lambda *_: Core(library))
    return dataclasses.replace(cpu_case, core=Core(library), backend="cuda")


HALVES = [torch.float16]
if torch.cuda.is_available() and torch.cuda.get_device_capability() >= (8, 0):
    HALVES.append(torch.bfloat16)  # older cards have no such matrix units


def size_text(size):
    return "x".join(map(str, size))


def tame(make_net, *channels, **options):
    """A float32 network whose activations keep their size."""
    net = make_net(*channels, dtype=torch.float32, **options).cuda()
    with torch.no_grad():
        net.weight.mul_((net.depth * net.width) ** -0.5)
    return net


def random_image(*shape, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(2), dtype=dtype).cuda()


@pytest.mark.parametrize("boundary", ["reflect", "symmetric", "zeros"])
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (33, 17), (129, 151)], ids=size_text)
@pytest.mark.parametrize("width", [1, 2])
def test_any_size(gpu_case, make_net, assert_agrees, size, boundary, width):
    net = make_net(2, 3, depth=5, width=width, dilations=(1, 2, 7, 40), boundary=boundary).cuda()
    assert_agrees(gpu_case, net, random_image(3, 2, *size))


@pytest.mark.parametrize("boundary", ["reflect", "symmetric", "zeros"])
@pytest.mark.parametrize("size", [(1, 1, 1), (3, 4, 5), (9, 17, 33)], ids=size_text)
def test_three_dimensions(gpu_case, make_net, assert_agrees, size, boundary):
    net = make_net(2, 3, depth=4, width=2, dilations=(1, 2, 7), ndim=3, boundary=boundary).cuda()
    assert_agrees(gpu_case, net, random_image(2, 2, *size))


@pytest.mark.parametrize("boundary", ["reflect", "symmetric", "zeros"])
@pytest.mark.parametrize("size", [(1, 1), (3, 129), (33, 17), (40, 700)], ids=size_text)
@pytest.mark.parametrize("width", [1, 3])
def test_float32_bit_for_bit(gpu_case, make_exact_net, assert_exact, size, boundary, width):
    options = {"width": width, "dilations": (1, 2, 7, 40), "boundary": boundary}
    net = make_exact_net(2, 3, depth=21 // width, **options).cuda()
    assert_exact(gpu_case, net, (3, 2, *size))


@pytest.mark.parametrize("dtype", [None, *HALVES])
@pytest.mark.parametrize("size", [(128, 128), (512, 512)], ids=size_text)
def test_the_shapes_of_training_bit_for_bit(gpu_case, make_exact_net, assert_exact, size, dtype):
    net = make_exact_net(1, 2, depth=30, dilations=(1, 2, 4, 8, 16)).cuda()
    assert_exact(gpu_case, net, (2, 1, *size), dtype)


def test_three_dimensions_bit_for_bit(gpu_case, make_exact_net, assert_exact):
    net = make_exact_net(2, 3, depth=6, width=2, dilations=(1, 2, 7), ndim=3).cuda()
    assert_exact(gpu_case, net, (2, 2, 9, 17, 33))


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("boundary", ["reflect", "zeros"])
@pytest.mark.parametrize("size", [(1, 1), (3, 129), (33, 17), (40, 700)], ids=size_text)
def test_16_bit_maps(gpu_case, make_net, assert_agrees_in_16_bits, size, boundary, dtype):
    net = tame(make_net, 2, 3, depth=20, width=2, dilations=(1, 2, 7, 40), boundary=boundary)
    assert_agrees_in_16_bits(gpu_case, net, random_image(3, 2, *size, dtype=torch.float32), dtype)


@pytest.mark.parametrize("dtype", HALVES)
def test_three_dimensions_block_by_block(gpu_case, make_net, assert_agrees_in_16_bits, dtype):
    net = tame(make_net, 2, 3, depth=12, width=2, dilations=(1, 2, 7), ndim=3)
    assert_agrees_in_16_bits(
        gpu_case, net, random_image(2, 2, 9, 17, 33, dtype=torch.float32), dtype
    )


@pytest.mark.parametrize("dtype", HALVES)
def test_autocast_stores_maps_in_16_bits(gpu_case, make_net, dtype):
    net = tame(make_net, depth=20)
    image = random_image(2, 1, 40, 50, dtype=torch.float32)
    with torch.autocast("cuda", dtype=dtype):
        logits = net(image)
    assert logits.dtype == torch.float32
    assert torch.equal(logits, dataclasses.replace(gpu_case, map_dtype=dtype).logits(net, image))


def test_the_same_bits_every_time(gpu_case, make_net):
    net = make_net(depth=20, dtype=torch.float32).cuda()
    image = random_image(4, 1, 96, 96, dtype=torch.float32)
    runs = [
        torch.autograd.grad(gpu_case.logits(net, image).square().sum(), net.weight)[0]
        for _ in range(4)
    ]
    assert all(torch.equal(runs[0], run) for run in runs[1:])


def test_a_training_step_in_a_graph(gpu_case, make_net):
    net = make_net(depth=5, dtype=torch.float32).cuda()
    image = random_image(2, 1, 40, 50, dtype=torch.float32)

    def step():
        logits = gpu_case.logits(net, image)
        return torch.autograd.grad(logits.square().sum(), tuple(net.parameters()))

    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        expected = step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        gradients = step()
    graph.replay()
    for got, wanted in zip(gradients, expected, strict=True):
        torch.testing.assert_close(got, wanted, rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [None, torch.float16])
def test_training_with_an_optimiser_in_a_graph(gpu_case, make_net, dtype):
    # Forward, loss, backward and ADAM captured once and replayed, as often without a graph.
    case = dataclasses.replace(gpu_case, map_dtype=dtype)
    image = random_image(2, 1, 40, 50, dtype=torch.float32)
    target = (image[:, 0] > 0).long()
    nets = [tame(make_net, depth=12) for _ in range(2)]
    steps = []
    for net in nets:
        optimiser = torch.optim.Adam(net.parameters(), lr=1e-3, capturable=True)

        def step(net=net, optimiser=optimiser):
            optimiser.zero_grad(set_to_none=True)
            loss = torch.nn.functional.cross_entropy(case.logits(net, image), target)
            loss.backward()
            optimiser.step()
            return loss

        steps.append(step)
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for step in steps:
            for _ in range(3):
                step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        loss = steps[0]()
    for _ in range(5):
        graph.replay()
        expected = steps[1]()
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(nets[0].weight, nets[1].weight)


def test_a_graphed_callable(gpu_case, make_net):
    net, image = tame(make_net, depth=12), random_image(2, 1, 40, 50, dtype=torch.float32)
    expected = torch.autograd.grad(net(image).square().sum(), net.weight)[0]
    graphed = torch.cuda.make_graphed_callables(net, (image,))
    got = torch.autograd.grad(graphed(image).square().sum(), net.weight)[0]
    torch.testing.assert_close(got, expected, rtol=0, atol=0)


def test_on_another_stream_and_in_a_graph(gpu_case, make_net):
    net = make_net(depth=5, dtype=torch.float32).cuda().requires_grad_(False)
    image = random_image(1, 1, 40, 50, dtype=torch.float32)
    expected = gpu_case.logits(net, image)
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        gpu_case.logits(net, image)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        logits = gpu_case.logits(net, image)
    graph.replay()
    torch.testing.assert_close(logits, expected, rtol=0, atol=0)
