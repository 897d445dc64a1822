"""The check of a core on the real ones: they pass it, and sources with an error do not."""

from __future__ import annotations

import logging

import pytest
import torch

from napari_msd.native import aside, libraries, schedules
from napari_msd.network import same_bits, trial
from napari_msd.network.same_bits import difference_of_schedules
from napari_msd.network.self_check import first_error

from .oracle import Case, on


@on("cpu", "cuda-shim", "gpu")
def test_a_core_as_it_is_passes(case: Case):
    assert first_error(case.backend, torch.device(case.device)) is None


@on("cuda-shim", "gpu")
def test_maps_in_16_bits_pass(case: Case):
    assert first_error(case.backend, torch.device(case.device), torch.float16) is None


@on("cuda-shim", "gpu")
@pytest.mark.parametrize("map_dtype", [None, torch.float16], ids=["float32", "float16"])
def test_passes_in_one_launch_pass(case: Case, map_dtype):
    assert first_error(case.backend, torch.device(case.device), map_dtype, "cooperative") is None


@on("cuda-shim")
@pytest.mark.parametrize("map_dtype", [None, torch.float16], ids=["float32", "float16"])
def test_schedules_give_the_same_bits_where_blocks_have_several_strips(
    case: Case, map_dtype, monkeypatch
):
    # The shim's card has few blocks, so that small images are enough.
    monkeypatch.setattr(same_bits, "SHAPES", ((1, 1, 40, 300), (2, 1, 30, 96), (1, 2, 3, 9, 70)))
    device = torch.device(case.device)
    assert difference_of_schedules(case.backend, device, map_dtype) is None


@pytest.mark.gpu
def test_the_trial_of_a_gpu_chooses_how_passes_are_computed(caplog):
    if not torch.cuda.is_available() or libraries.load_library("cuda") is None:
        pytest.skip("needs a CUDA GPU and its core")
    device = torch.device("cuda", torch.cuda.current_device())
    trial.try_again()
    aside.use_again()
    with caplog.at_level(logging.INFO, "napari_msd"):
        assert trial.try_core(device)
        assert trial.try_core(device, torch.float16)
    for map_dtype in (None, torch.float16):
        for training in (True, False):
            assert (device.index, map_dtype, training) in schedules._chosen
    print(caplog.text)  # the times, for whoever reads the check's output
    trial.try_again()


# --- errors in the sources ---------------------------------------------------------------------


@pytest.mark.slow
def test_sources_without_an_error_pass(core_with, use_core):
    use_core(core_with("boundary.cpp", "x + dilation, width", "dilation + x, width"))
    assert first_error("cpu", torch.device("cpu")) is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("boundary.cpp", "x + dilation, width", "x - dilation, width"),
        ("boundary.cpp", "boundary == MSD_SYMMETRIC", "boundary == MSD_REFLECT"),
        ("boundary.cpp", "static_cast<int64_t>(dilation_z)", "static_cast<int64_t>(dilation)"),
        ("scatter_taps.inl", "MSD_REFLECT ? 1 : 0", "MSD_REFLECT ? 0 : 1"),
        ("scatter_taps.inl", "load(padded + x - s)", "load(padded + x + s)"),
        # only of images that leave the caches, with many maps
        ("plan.cpp", "block.late ? block.lags[i] : 0", "block.lags[i]"),
        ("forward.cpp", "plan_.row_stride, first > 0)", "plan_.row_stride, false)"),
    ],
    ids=lambda text: text.replace(" ", "_"),
)
def test_one_wrong_sign_in_the_sources_is_found(core_with, use_core, name, right, wrong):
    use_core(core_with(name, right, wrong))
    assert "is off by" in first_error("cpu", torch.device("cpu"))
