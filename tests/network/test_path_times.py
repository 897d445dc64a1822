"""Paths of a pass are timed if they compute the same; here on the CPU, with its core."""

from __future__ import annotations

import logging

import pytest
import torch

from napari_msd.core.errors import MSDError
from napari_msd.core.settings import Settings
from napari_msd.native import libraries, operator
from napari_msd.native.core import UnsupportedError
from napari_msd.network import path_times as module
from napari_msd.network.path_times import path_times

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def small(monkeypatch):
    if libraries.load_library("cpu") is None:
        pytest.skip(libraries.library_status("cpu").reason)
    monkeypatch.setattr(module, "Settings", lambda: Settings.from_preset(depth=3, patch_size=16))
    monkeypatch.setattr(module, "TILE", 24)


@pytest.mark.parametrize("training", [True, False])
def test_every_path_gets_a_time(training):
    times = path_times("cpu", CPU, None, ["staged", "cooperative", "torch"], training)
    assert list(times) == ["staged", "cooperative", "torch"]
    assert all(milliseconds > 0 for milliseconds in times.values())


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("factor", [1.1, float("nan")])
def test_a_path_that_computes_something_else_gets_none(monkeypatch, caplog, training, factor):
    real = module.mixed_scale_dense_blocked
    wrong = lambda *arguments: factor * real(*arguments)  # noqa: E731
    monkeypatch.setattr(module, "mixed_scale_dense_blocked", wrong)
    with caplog.at_level(logging.INFO, "napari_msd"):
        assert list(path_times("cpu", CPU, None, ["staged", "torch"], training)) == ["staged"]
    assert "torch passes on cpu differ from staged ones" in caplog.text


@pytest.mark.parametrize("training", [True, False])
def test_a_schedule_that_gives_other_bits_gets_none(monkeypatch, training):
    real = module.mixed_scale_dense

    def nearly(*arguments, schedule):
        return real(*arguments, schedule=schedule) * (1 + 2**-20 * (schedule == "cooperative"))

    monkeypatch.setattr(module, "mixed_scale_dense", nearly)
    times = path_times("cpu", CPU, None, ["staged", "cooperative"], training)
    assert list(times) == ["staged"]


def test_a_path_that_does_not_repeat_itself_gets_none(monkeypatch, caplog):
    real = module.mixed_scale_dense
    calls = []

    def drifting(*arguments, schedule):
        calls.append(schedule)
        return real(*arguments, schedule=schedule) * (1 + (len(calls) > 1))

    monkeypatch.setattr(module, "mixed_scale_dense", drifting)
    assert path_times("cpu", CPU, None, ["staged"], False) == {}
    assert "Repeated staged passes on cpu differ from the first" in caplog.text


@pytest.mark.parametrize("error", [UnsupportedError("too wide"), RuntimeError("CUDA error")])
def test_a_path_that_fails_gets_none(monkeypatch, caplog, error):
    real = module.mixed_scale_dense

    def fail(*arguments, schedule):
        if schedule == "cooperative":
            raise error
        return real(*arguments, schedule=schedule)

    monkeypatch.setattr(module, "mixed_scale_dense", fail)
    with caplog.at_level(logging.INFO, "napari_msd"):
        times = path_times("cpu", CPU, None, ["staged", "cooperative"], True)
    assert list(times) == ["staged"]
    assert f"No cooperative passes on cpu: {error}" in caplog.text


def test_too_little_memory_for_the_networks_themselves_gives_no_times(monkeypatch):
    def fail(*_, **__):
        raise torch.cuda.OutOfMemoryError("no memory")

    monkeypatch.setattr(module, "MSDNet", fail)
    assert path_times("cpu", CPU, None, ["staged", "torch"], True) == {}


def test_a_path_whose_blocks_gave_up_waiting_gets_none(monkeypatch):
    class Core:
        checks = 0

        def __init__(self, core):
            self.forward, self.backward = core.forward, core.backward

        def check_waits(self, like):
            Core.checks += 1
            if Core.checks == 2:  # while it was timed
                raise MSDError("they gave up")

    real = Core(operator.compiled_core("cpu"))
    monkeypatch.setattr(operator, "compiled_core", lambda *_: real)
    assert list(path_times("cpu", CPU, None, ["staged", "cooperative"], True)) == ["staged"]
    assert Core.checks == 2


def test_the_random_state_and_the_callers_mode_are_left_alone():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    with torch.inference_mode():
        times = path_times("cpu", CPU, None, ["staged"], True)
    assert list(times) == ["staged"]
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.gpu
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("map_dtype", [None, torch.float16])
def test_on_a_gpu(monkeypatch, training, map_dtype):
    monkeypatch.undo()  # the real sizes
    if not torch.cuda.is_available() or libraries.load_library("cuda") is None:
        pytest.skip("needs a CUDA GPU and its core")
    times = path_times("cuda", torch.device("cuda"), map_dtype, ["staged", "torch"], training)
    assert list(times) == ["staged", "torch"]
