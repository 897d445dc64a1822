"""What only the CPU core has: teams of threads, chunks of rows, several instruction sets."""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_msd.core.errors import SettingsError
from napari_msd.native import set_threads
from napari_msd.native.core import Core, Structure
from napari_msd.native.libraries import open_library

from .oracle import BOUNDARIES, random_image, size_text


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_three_dimensions_with_teams_of_threads(cpu_case, make_net, assert_agrees, boundary):
    set_threads(2)
    net = make_net(depth=6, dilations=(1, 3, 2, 9), ndim=3, boundary=boundary)
    with torch.no_grad():
        net.weight.mul_(0.2)
    assert_agrees(cpu_case, net, random_image(1, 1, 7, 12, 33))


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("size", [(129, 17), (17, 129), (40, 200)], ids=size_text)
def test_larger_images_sweep_in_chunks(cpu_case, make_net, assert_agrees, size, boundary):
    # Several chunks of rows, a ring shorter than the image, rows with and without mirrored ends.
    net = make_net(depth=13, dilations=(1, 16, 3, 33, 2), boundary=boundary)
    with torch.no_grad():
        net.weight.mul_(0.3)
    for threads in (1, 2):
        set_threads(threads)
        assert_agrees(cpu_case, net, random_image(1, 1, *size))


@pytest.mark.parametrize("depth", [1, 2, 31, 110])
@pytest.mark.parametrize("width", [1, 3])
def test_any_depth(cpu_case, make_net, assert_agrees, depth, width):
    net = make_net(depth=depth, width=width)
    with torch.no_grad():
        net.weight.mul_(1 / math.sqrt(depth * width))  # keep the activations' size
    assert_agrees(cpu_case, net, random_image(1, 1, 9, 23))


@pytest.mark.parametrize(("batch", "threads"), [(1, 2), (3, 2), (2, 5), (5, 3), (1, 7)])
def test_teams_of_threads_agree(cpu_case, make_net, assert_agrees, batch, threads):
    # Large enough that all these threads are really used, also by teams on one image.
    set_threads(threads)
    net = make_net(depth=9, dilations=(1, 5, 2))
    with torch.no_grad():
        net.weight.mul_(0.3)
    assert_agrees(cpu_case, net, random_image(batch, 1, 64, 96))


@pytest.mark.parametrize(
    ("batch", "threads", "width"), [(1, 1, 3), (1, 2, 1), (2, 3, 1), (3, 2, 1)]
)
def test_large_images_behind_many_channels(
    cpu_case, make_tame_net, assert_agrees, batch, threads, width
):
    # Maps of more than 8 MiB and more than 32 of them before the first block, in two blocks.
    set_threads(threads)
    net = make_tame_net(
        40, 2, depth=15 // width, width=width, dilations=(1, 4, 2, 9, 3), dtype=torch.float64
    )
    assert_agrees(cpu_case, net, random_image(batch, 40, 100, 220))


def test_a_team_on_a_small_image_behind_many_channels(cpu_case, make_tame_net, assert_agrees):
    # In the caches, where only teams take several layers at a time.
    set_threads(2)
    net = make_tame_net(40, 2, depth=9, dilations=(1, 4, 2, 9, 3), dtype=torch.float64)
    assert_agrees(cpu_case, net, random_image(1, 40, 150, 60))


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_only_ways_that_occur_need_memory(cpu_core, direction):
    # The maps of large images of a batch, per lane, beside those that each has at a time.
    def per_lane(batch: int, threads: int, *size: int) -> float:
        set_threads(threads)
        structure = Structure((1, 4, 2, 3), 1, "reflect")
        image, output_weight = torch.empty(batch, 1, *size, device="meta"), torch.empty(2, 5)
        memory = cpu_core._memory(cpu_core._problem(image, output_weight, structure, True))
        images = memory.maps / batch * min(batch, threads) if direction == "backward" else 0
        return (getattr(memory, f"{direction}_workspace") - images) / threads

    # One volume alone is cut into bands of few rows, and a whole one beside it is not. In a tall
    # image a band needs more than the whole: rows read beyond a border have places of their own.
    assert per_lane(1, 32, 128, 128, 64) < per_lane(33, 32, 128, 128, 64)
    assert per_lane(2, 2, 2000, 300) < per_lane(3, 2, 2000, 300)
    assert per_lane(3, 2, 2000, 300) == per_lane(1, 2, 2000, 300)


def test_the_same_threads_give_the_same_bits(cpu_case, make_net):
    set_threads(2)
    net = make_net(depth=9, dtype=torch.float32)
    image = random_image(3, 1, 64, 96, dtype=torch.float32)
    runs = [
        torch.autograd.grad(cpu_case.logits(net, image).square().sum(), net.weight)[0]
        for _ in range(4)
    ]
    assert all(torch.equal(runs[0], run) for run in runs[1:])


@pytest.mark.parametrize("variant", ["baseline", "avx2", "avx512"])
def test_every_instruction_set_agrees(
    cpu_case, cpu_core, use_core, make_net, assert_agrees, monkeypatch, tmp_path, variant
):
    # A copy under another name is another library to the loader: it chooses its variant anew.
    copy = tmp_path / f"libnapari_msd_cpu_{variant}{cpu_core.library.path.suffix}"
    shutil.copy(cpu_core.library.path, copy)
    monkeypatch.setenv("NAPARI_MSD_CPU_VARIANT", variant)
    core = Core(open_library(copy))
    use_core(core)
    names = {"baseline": "baseline", "avx2": "AVX2", "avx512": "AVX-512"}
    assert core.library.variant in (names[variant], cpu_core.library.variant, "NEON")
    for dtype in (torch.float32, torch.float64):
        net = make_net(2, 3, depth=5, width=2, dilations=(1, 2, 4), dtype=dtype)
        with torch.no_grad():
            net.weight.mul_(0.3)
        assert_agrees(replace(cpu_case, core=core), net, random_image(2, 2, 21, 50, dtype=dtype))


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


def test_16_bit_maps_are_refused(cpu_case, make_tame_net):
    with pytest.raises(SettingsError, match="5 x 6 pixels"):
        replace(cpu_case, map_dtype=torch.bfloat16).logits(
            make_tame_net(depth=2), random_image(1, 1, 5, 6, dtype=torch.float32)
        )


@pytest.mark.parametrize("asked", [True, False])
def test_what_is_launched_is_printed_where_that_is_asked_for(cpu_core, asked):
    code = (
        "import torch; from napari_msd import MSDNet;"
        "MSDNet(1, 2, depth=3, backend='cpu')(torch.zeros(2, 1, 8, 9)).sum().backward()"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ} | ({"NAPARI_MSD_TRACE": "1"} if asked else {}),
        capture_output=True,
        text=True,
        check=True,
    )
    passes = [line.split()[1] for line in result.stderr.splitlines() if "napari_msd:" in line]
    assert passes == (["forward", "backward"] if asked else [])
