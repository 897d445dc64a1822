"""Time of one pass through the compiled core, beside the plain torch path on the same device.

Checks the results against the reference before timing anything. GFLOP/s count the convolutions
only: 2 flops per weight and pixel forward, three times that for a step (forward, both
gradients). torch's own threads are switched off while the compiled core is timed: after an
operation of torch they spin for a while, on the very cores that the core's threads then need.

    python benchmarks/kernels.py [--device cuda] [--threads N] [--quick]
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from napari_msd import MSDNet
from napari_msd.native import get_threads, library_statuses, set_threads


@dataclass(frozen=True)
class Work:
    """A network on a batch of square images."""

    batch: int
    size: int
    depth: int
    torch_repeats: int
    """Timed calls of plain torch on a CPU; 0: not timed, it takes minutes."""


WORK = (Work(4, 96, 30, 3), Work(1, 512, 30, 1), Work(1, 512, 100, 0))


def prepared(work: Work, device: str) -> tuple[MSDNet, torch.Tensor, torch.Tensor]:
    """A network with all parameters random, an image batch, and class labels."""
    torch.manual_seed(0)
    dilations = (1, 2, 4, 8, 16) if work.depth == 30 else range(1, 11)
    net = MSDNet(1, 2, depth=work.depth, dilations=dilations).to(device)
    with torch.no_grad():
        net.output_weight.normal_(0, 0.1)
    image = torch.randn(work.batch, 1, work.size, work.size, device=device)
    labels = torch.randint(2, (work.batch, work.size, work.size), device=device)
    return net, image, labels


def validate(net: MSDNet, size: int = 64) -> float:
    """Largest difference between core and reference, relative to the largest value.

    Compares logits and all gradients on a small image; raises if they do not agree.
    """
    image = torch.randn(1, 1, size, size, device=net.weight.device)
    worst, results = 0.0, []
    for backend in ("auto", "torch"):
        net.backend = backend
        net.zero_grad()
        logits = net(image)
        logits.square().sum().backward()
        results.append([logits.detach(), *(p.grad.clone() for p in net.parameters())])
    net.backend = "auto"
    for got, wanted in zip(*results, strict=True):
        worst = max(worst, ((got - wanted).abs().max() / wanted.abs().max()).item())
    if not worst < 1e-3:
        raise SystemExit(f"the compiled core disagrees with the reference by {worst:.1e}")
    return worst


def median_seconds(call: Callable[[], object], repeats: int, device: str) -> float:
    """Median time of a call, after one that warms up."""

    def run() -> float:
        start = time.perf_counter()
        call()
        if device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start

    run()
    return statistics.median(run() for _ in range(repeats))


def measure(net: MSDNet, image: torch.Tensor, labels: torch.Tensor, repeats: int) -> None:
    """Print milliseconds and GFLOP/s of a forward pass and of a training step."""
    device = image.device.type

    def forward() -> None:
        with torch.no_grad():
            net(image)

    def step() -> None:
        net.zero_grad()
        F.cross_entropy(net(image), labels).backward()

    flops = 2 * net.n_parameters * labels.numel()
    seconds = (median_seconds(forward, repeats, device), median_seconds(step, repeats, device))
    rates = (flops / seconds[0] / 1e9, 3 * flops / seconds[1] / 1e9)
    print(
        f"  {net.backend_in_use:6}  forward {seconds[0] * 1e3:9.2f} ms {rates[0]:7.1f} GFLOP/s"
        f"   step {seconds[1] * 1e3:9.2f} ms {rates[1]:7.1f} GFLOP/s",
        flush=True,
    )


def machine() -> str:
    """Name of the processor, as the system gives it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123
            names = [line.split(":")[1].strip() for line in file if line.startswith("model name")]
        return names[0] if names else platform.processor()
    except OSError:
        return platform.processor() or platform.machine()


def main() -> None:
    """Validate and time every piece of work."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument(
        "--threads", type=int, default=None, help="CPU threads (default: all cores)"
    )
    parser.add_argument("--quick", action="store_true", help="only the first, smallest work")
    arguments = parser.parse_args()
    set_threads(arguments.threads)
    torch.set_num_threads(1)
    print(f"{machine()}, {get_threads()} threads; torch {torch.__version__}")
    if arguments.device == "cuda":
        print(torch.cuda.get_device_name())
    for status in library_statuses():
        print(status.reason)
    for work in WORK[:1] if arguments.quick else WORK:
        net, image, labels = prepared(work, arguments.device)
        error = validate(net)
        print(
            f"depth {work.depth}, {work.batch} x {work.size} x {work.size}"
            f" (agrees with the reference to {error:.0e})"
        )
        measure(net, image, labels, repeats=20 if work.depth == 30 else 7)
        repeats = work.torch_repeats if arguments.device == "cpu" else 5
        if repeats:
            net.backend = "torch"
            torch.set_num_threads(get_threads())
            measure(net, image, labels, repeats)
            torch.set_num_threads(1)


if __name__ == "__main__":
    main()
