"""What only a GPU has: autocast, streams, graphs.

`benchmarks/gpu_check.sh` runs these, and the `gpu` cases of `test_backends.py` and
`test_backends_exact.py`, on a machine that has little more than torch.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from .oracle import everything, on, random_image, size_text

pytestmark = pytest.mark.gpu


@on("gpu")
def test_autocast_stores_maps_in_16_bits(case, half, make_tame_net):
    net = make_tame_net(depth=20).cuda()
    image = random_image(2, 1, 40, 50, dtype=torch.float32, device="cuda")
    with torch.autocast("cuda", dtype=half):
        logits = net(image)
    assert logits.dtype == torch.float32
    assert torch.equal(logits, replace(case, map_dtype=half).logits(net, image))


def test_a_training_step_in_a_graph(gpu_case, make_net):
    net = make_net(depth=5, dtype=torch.float32).cuda()
    image = random_image(2, 1, 40, 50, dtype=torch.float32, device="cuda")

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
def test_training_with_an_optimiser_in_a_graph(gpu_case, make_tame_net, dtype):
    # Forward, loss, backward and ADAM captured once and replayed, as often without a graph.
    case = replace(gpu_case, map_dtype=dtype)
    image = random_image(2, 1, 40, 50, dtype=torch.float32, device="cuda")
    target = (image[:, 0] > 0).long()
    nets = [make_tame_net(depth=12).cuda() for _ in range(2)]
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


def test_a_graphed_callable(gpu_case, make_tame_net):
    net = make_tame_net(depth=12).cuda()
    image = random_image(2, 1, 40, 50, dtype=torch.float32, device="cuda")
    expected = torch.autograd.grad(net(image).square().sum(), net.weight)[0]
    graphed = torch.cuda.make_graphed_callables(net, (image,))
    got = torch.autograd.grad(graphed(image).square().sum(), net.weight)[0]
    torch.testing.assert_close(got, expected, rtol=0, atol=0)


def test_on_another_stream_and_in_a_graph(gpu_case, make_net):
    net = make_net(depth=5, dtype=torch.float32).cuda().requires_grad_(False)
    image = random_image(1, 1, 40, 50, dtype=torch.float32, device="cuda")
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


COOPERATIVE = [
    # batch, size, width, depth, type of maps
    (2, (33, 17), 1, 26, None),
    (3, (33, 17), 3, 10, torch.float16),
    (1, (512, 512), 1, 100, None),
    (1, (512, 512), 1, 100, torch.float16),
    (16, (128, 128), 1, 30, None),
    (16, (128, 128), 1, 30, torch.float16),
    (1, (700, 1300), 1, 30, None),
    (1, (64, 64, 64), 1, 30, None),
]


@pytest.mark.parametrize(
    ("batch", "size", "width", "depth", "dtype"),
    COOPERATIVE,
    ids=[f"{size_text(size)}-{dtype}" for _, size, _, _, dtype in COOPERATIVE],
)
def test_cooperative_passes_give_the_bits_of_the_staged_ones(
    gpu_case, make_tame_net, batch, size, width, depth, dtype
):
    net = make_tame_net(1, 2, depth=depth, width=width, ndim=len(size)).cuda()
    image = random_image(batch, 1, *size, dtype=torch.float32, device="cuda")
    staged = replace(gpu_case, map_dtype=dtype)
    wanted = everything(staged, net, image)
    for _ in range(5):  # blocks meet in another order every time
        got = everything(replace(staged, schedule="cooperative"), net, image)
        assert all(torch.equal(a, b) for a, b in zip(got, wanted, strict=True))
    gpu_case.core.check_waits(image)


def test_a_cooperative_training_step_in_a_graph(gpu_case, make_tame_net):
    case = replace(gpu_case, schedule="cooperative")
    net = make_tame_net(depth=20).cuda()
    image = random_image(2, 1, 40, 50, dtype=torch.float32, device="cuda")

    def step():
        logits = case.logits(net, image)
        return torch.autograd.grad(logits.square().sum(), tuple(net.parameters()))

    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        expected = step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        gradients = step()
    for _ in range(3):
        graph.replay()
    for got, wanted in zip(gradients, expected, strict=True):
        torch.testing.assert_close(got, wanted, rtol=0, atol=0)
    case.core.check_waits(image)
