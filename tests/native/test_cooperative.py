"""The CUDA core's cooperative passes against its staged ones, on the shim.

Both do the same sums in the same order, so that every bit is the same. A block of threads that
reads what another has not written yet, or overwrites what another still reads, gets other bits in
some order; see `cuda_host_shim.h`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from napari_msd.core.errors import MSDError
from napari_msd.native import core
from napari_msd.native.core import Structure, UnsupportedError

from . import oracle
from .oracle import BOUNDARIES, HALVES, size_text


def random_image(*shape: int) -> torch.Tensor:
    return oracle.random_image(*shape, dtype=torch.float32)


ORDERS = ("", "reverse", "shuffle:1", "shuffle:2")

NETWORKS = [
    # size, dilations, width, depth, type of maps
    ((1, 1), (1, 2), 1, 10, None),
    ((17, 33), (1, 2, 7), 1, 26, None),  # a last block of 4 channels, whose images lie elsewhere
    ((40, 33), (*[1] * 16, 9), 1, 26, None),  # neighbours change from block to block
    ((17, 33), (1, 2, 7), 3, 10, None),
    ((9, 130), (3, 100), 1, 26, None),
    ((3, 601), (1, 2, 7), 1, 20, None),
    ((9, 64), (1, 2, 7), 1, 26, HALVES[0]),
    ((9, 64), (1, 2, 7), 9, 3, HALVES[1]),
    ((3, 5, 7), (1, 2), 2, 13, None),
    ((3, 4, 8), (1, 2), 2, 13, HALVES[1]),
]


def assert_same_bits(got, wanted):
    assert all(numbers.isfinite().all() for numbers in wanted)
    assert all(torch.equal(a, b) for a, b in zip(got, wanted, strict=True))


@pytest.mark.parametrize(
    ("size", "dilations", "width", "depth", "map_dtype"),
    NETWORKS,
    ids=[f"{size_text(size)}-{width}-{depth}-{dtype}" for size, _, width, depth, dtype in NETWORKS],
)
@pytest.mark.parametrize("multiprocessors", [2, 5])
def test_the_bits_of_the_staged_passes_in_any_order(
    shim_case, poisoned, make_tame_net, monkeypatch,
    size, dilations, width, depth, map_dtype, multiprocessors,
):  # fmt: skip
    monkeypatch.setenv("NAPARI_MSD_SHIM_MULTIPROCESSORS", str(multiprocessors))
    net = make_tame_net(2, 3, depth=depth, width=width, dilations=dilations, ndim=len(size))
    image = random_image(3, 2, *size)
    staged = replace(shim_case, map_dtype=map_dtype)
    wanted = oracle.everything(staged, net, image)
    for order in ORDERS:
        monkeypatch.setenv("NAPARI_MSD_SHIM_ORDER", order)
        # Flags that are not cleared look as if nothing had been done, or everything.
        poisoned(0x7F if order == "reverse" else 0xFF)
        assert_same_bits(
            oracle.everything(replace(staged, schedule="cooperative"), net, image), wanted
        )


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("size", [(12, 31), (5, 3, 9)], ids=size_text)
def test_every_boundary(shim_case, poisoned, make_tame_net, monkeypatch, size, boundary):
    # Dilations beyond the image: rows are read from behind both edges.
    monkeypatch.setenv("NAPARI_MSD_SHIM_MULTIPROCESSORS", "4")
    monkeypatch.setenv("NAPARI_MSD_SHIM_ORDER", "shuffle:3")
    net = make_tame_net(depth=12, dilations=(1, 5, 40), ndim=len(size), boundary=boundary)
    image = random_image(2, 1, *size)
    staged, cooperative = (
        oracle.everything(replace(shim_case, schedule=schedule), net, image)
        for schedule in ("staged", "cooperative")
    )
    assert_same_bits(cooperative, staged)


def test_images_in_groups(shim_case, poisoned, make_tame_net):
    # Without a backward pass each image has a launch of its own here, after the same flags.
    net, image = make_tame_net(depth=9), random_image(3, 1, 1024, 600)
    with torch.no_grad():
        staged, cooperative = (
            replace(shim_case, schedule=schedule).logits(net, image)
            for schedule in ("staged", "cooperative")
        )
    assert_same_bits([cooperative], [staged])


def test_a_wait_in_vain_ends_and_is_told(shim_case, make_tame_net, monkeypatch):
    case = replace(shim_case, schedule="cooperative")
    net, image = make_tame_net(depth=9), random_image(2, 1, 80, 20)
    monkeypatch.setenv("NAPARI_MSD_SHIM_MACHINE", "stalled")
    logits = case.logits(net, image)
    gradients = torch.autograd.grad(logits.nan_to_num().sum(), tuple(net.parameters()))
    # Nobody can take what is wrong for right: also who does not ask, as in a captured step.
    assert logits.isnan().any()
    right = shim_case.logits(net, image)
    assert torch.equal(torch.where(logits.isnan(), right, logits), right)
    assert gradients[0].isnan().any()
    with pytest.raises(MSDError, match="gave up waiting"):
        case.core.check_waits(image)
    case.core.check_waits(image)  # told once
    monkeypatch.delenv("NAPARI_MSD_SHIM_MACHINE")
    assert_same_bits([case.logits(net, image)], [shim_case.logits(net, image)])
    case.core.check_waits(image)


@pytest.mark.parametrize("map_dtype", [None, torch.float16])
def test_gradients_after_a_wait_in_vain_are_not_finite(
    shim_case, make_tame_net, monkeypatch, map_dtype
):
    net, image = make_tame_net(depth=9), random_image(1, 1, 40, 20)
    weight, bias, output_weight, output_bias = (p.detach() for p in net.parameters())
    structure = Structure(net.dilations, 1, "reflect", map_dtype)
    logits, maps = shim_case.core.forward(
        image, weight, bias, output_weight, output_bias, structure, keep_maps=True
    )
    monkeypatch.setenv("NAPARI_MSD_SHIM_MACHINE", "stalled")
    gradients = shim_case.core.backward(
        torch.ones_like(logits), maps, weight, output_weight,
        replace(structure, schedule="cooperative"), True,
    )  # fmt: skip
    of_image, of_weight, of_bias = gradients[:3]
    assert of_image.isnan().any()
    assert of_weight.isnan().any()
    assert of_bias.isnan().all()
    with pytest.raises(MSDError, match="gave up waiting"):
        shim_case.core.check_waits(image)


def test_the_flag_of_the_device_that_is_meant_is_read(shim_case, monkeypatch):
    entered = []

    class Entered:
        def __init__(self, device):
            self.device = device

        def __enter__(self):
            entered.append(self.device)

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(torch.cuda, "device", Entered)
    monkeypatch.setattr(core, "_stream", lambda _: None)
    shim_case.core.check_waits(SimpleNamespace(is_cuda=True, device="cuda:1"))
    assert entered == ["cuda:1"]


def in_a_process(shim_case, machine: str) -> subprocess.CompletedProcess[str]:
    """A cooperative forward pass on a machine of the shim's."""
    script = f"""
import torch
from pathlib import Path
from napari_msd.native import libraries
from napari_msd.native.core import Core, Structure
core = Core(libraries.open_library(Path({str(shim_case.core.library.path)!r})))
structure = Structure((1, 1), 1, "reflect", schedule="cooperative")
image = torch.zeros(1, 1, 40, 20)
weights = torch.zeros(27), torch.zeros(2), torch.zeros(1, 3), torch.zeros(1)
core.forward(image, *weights, structure, keep_maps=False)
"""
    return subprocess.run(
        [sys.executable, "-c", script],
        env={"NAPARI_MSD_SHIM_MACHINE": machine},
        check=False,
        capture_output=True,
        text=True,
    )


def test_blocks_that_all_wait_end_the_tests_with_a_message(shim_case):
    result = in_a_process(shim_case, "deadlocked")
    assert result.returncode != 0
    assert "all blocks wait for flags that none of them sets" in result.stderr


def test_without_the_flag_of_the_device_nothing_is_launched(shim_case):
    result = in_a_process(shim_case, "no flag")
    assert result.returncode == 1
    assert "the GPU reported a failure" in result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", ["forward_cooperative", "backward_cooperative"])
def test_flags_order_what_is_read_and_written(name, tmp_path):
    # The shim, which runs one thread at a time, would not see that these are missing.
    compiler = shutil.which("nvcc")
    if compiler is None:
        pytest.skip("needs nvcc")
    kernels, ptx = Path(__file__).parents[2] / "kernels", tmp_path / "kernel.ptx"
    folders = [f"-I{kernels / folder}" for folder in ("include", "common", "cuda")]
    source = kernels / "cuda" / f"{name}.cu"
    command = [compiler, "-ptx", "-arch=compute_80", "-O3", "-std=c++17", *folders]
    subprocess.run([*command, "-o", str(ptx), str(source)], check=True)
    text = ptx.read_text()
    assert "ld.acquire.gpu" in text
    assert "st.release.gpu" in text
    assert "ld.global.nc" not in text  # may come from a cache that knows of no flag


@pytest.mark.parametrize(
    ("machine", "dtype", "size", "dilation"),
    [
        ("one block at a time", torch.float32, (8, 9), 1),
        ("", torch.float64, (8, 9), 1),
        ("", torch.float32, (2, 1200), 200),  # tiles of wide images would be mostly halo
    ],
    ids=["device", "float64", "halo"],
)
def test_what_cannot_be_cooperative_is_said(
    shim_case, make_net, monkeypatch, machine, dtype, size, dilation
):
    monkeypatch.setenv("NAPARI_MSD_SHIM_MACHINE", machine)
    net = make_net(depth=9, dilations=(dilation,), dtype=dtype)
    image = torch.zeros(1, 1, *size, dtype=dtype)
    structure = Structure(net.dilations, net.width, net.boundary)
    staged, cooperative = (
        shim_case.core.can_run(image.shape, dtype, 2, replace(structure, schedule=name), True)
        for name in ("staged", "cooperative")
    )
    assert (staged, cooperative) == (True, False)
    with pytest.raises(UnsupportedError, match=f"{size[0]} x {size[1]} pixels"):
        replace(shim_case, schedule="cooperative").logits(net, image)


def test_an_empty_batch(shim_case, make_tame_net):
    net, case = make_tame_net(depth=3), replace(shim_case, schedule="cooperative")
    logits = case.logits(net, torch.zeros(0, 1, 8, 9, requires_grad=True))
    logits.sum().backward()
    assert logits.shape == (0, 2, 8, 9)
    assert all(not parameter.grad.any() for parameter in net.parameters())
