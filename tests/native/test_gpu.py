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
    monkeypatch.setattr(operator, "compiled_core", lambda _backend: Core(library))
    return dataclasses.replace(cpu_case, core=Core(library), backend="cuda")


def random_image(*shape, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(2), dtype=dtype).cuda()


@pytest.mark.parametrize("boundary", ["reflect", "symmetric", "zeros"])
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (33, 17), (129, 151)])
@pytest.mark.parametrize("width", [1, 2])
def test_any_size(gpu_case, make_net, assert_agrees, size, boundary, width):
    net = make_net(2, 3, depth=5, width=width, dilations=(1, 2, 7, 40), boundary=boundary).cuda()
    assert_agrees(gpu_case, net, random_image(3, 2, *size))


@pytest.mark.parametrize("boundary", ["reflect", "symmetric", "zeros"])
@pytest.mark.parametrize("size", [(1, 1, 1), (3, 4, 5), (9, 17, 33)])
def test_three_dimensions(gpu_case, make_net, assert_agrees, size, boundary):
    net = make_net(2, 3, depth=4, width=2, dilations=(1, 2, 7), ndim=3, boundary=boundary).cuda()
    assert_agrees(gpu_case, net, random_image(2, 2, *size))


def test_float32(gpu_case, make_net, assert_agrees):
    net = make_net(depth=30, dilations=(1, 2, 4, 8, 16), dtype=torch.float32).cuda()
    with torch.no_grad():
        net.weight.mul_(0.3)
    assert_agrees(gpu_case, net, random_image(4, 1, 96, 96, dtype=torch.float32))


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
