"""Cores are tried once, before they are used; one that fails gives way to torch, and it is said."""

from __future__ import annotations

import logging
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from napari_msd.cli import info
from napari_msd.cli.app import main
from napari_msd.core import core_trial
from napari_msd.core.box import Box
from napari_msd.core.settings import Settings
from napari_msd.core.space import NetworkInput, Space
from napari_msd.native import aside, libraries, schedules, set_threads, take_sentences
from napari_msd.native.core import CoreFailedError, Structure
from napari_msd.network import self_check, trial
from napari_msd.network.trial import try_core
from napari_msd.trainer.engine import Engine
from napari_msd.trainer.messages import Notice, Open, Ready
from napari_msd.training import Trainer, describe_device

CPU = torch.device("cpu")
WRONG = "the gradient of the biases for 1 image(s) of 5 x 6 pixels is off by up to 2"


@pytest.fixture(autouse=True)
def nothing_tried():
    trial.try_again()
    aside.use_again()
    yield
    trial.try_again()
    aside.use_again()


@pytest.fixture
def core() -> None:
    if libraries.load_library("cpu") is None:
        pytest.skip(libraries.library_status("cpu").reason)


@pytest.fixture
def checks(monkeypatch, core):
    """The checks that are made; each finds the core right, or what `finds` says."""
    made = []
    made_of = {"finds": None}

    def check(kind, device, map_dtype=None, schedule="staged"):
        made.append((kind, device, map_dtype))
        return made_of["finds"]

    monkeypatch.setattr(trial, "first_error", check)
    made_of["made"] = made
    return made_of


def test_a_core_is_tried_once(checks):
    assert try_core(CPU)
    assert try_core(CPU)
    assert checks["made"] == [("cpu", CPU, None)]
    assert take_sentences() == []


def test_the_core_of_this_machine_passes_and_the_log_says_so(core, caplog):
    with caplog.at_level(logging.INFO, "napari_msd"):
        assert try_core(CPU)
    assert "core on cpu, float32 maps, staged: it agrees with the reference" in caplog.text


def test_a_wrong_core_is_set_aside_and_the_log_has_the_reason(checks, caplog):
    checks["finds"] = WRONG
    with caplog.at_level(logging.INFO, "napari_msd"):
        assert not try_core(CPU)
    assert WRONG in caplog.text
    assert WRONG in libraries.library_status("cpu").reason
    assert describe_device("cpu").text == "CPU, PyTorch"
    (sentence,) = take_sentences()
    assert "slower, but right" in sentence
    assert not try_core(CPU)
    assert len(checks["made"]) == 1


def test_other_threads_are_another_trial(checks):
    set_threads(1)
    try:
        assert try_core(CPU)
        set_threads(2)
        assert try_core(CPU)
        assert try_core(CPU)
    finally:
        set_threads(None)
    assert len(checks["made"]) == 2


def test_where_nothing_could_be_compared_it_is_tried_again(checks):
    checks["finds"] = self_check.NOTHING_COMPARED
    assert try_core(CPU)
    assert not try_core(CPU, torch.float16)
    checks["finds"] = WRONG
    assert not try_core(CPU)
    assert len(checks["made"]) == 3


def test_of_wrong_16_bit_maps_only_those_are_left(checks):
    assert try_core(CPU)
    checks["finds"] = WRONG
    assert not try_core(CPU, torch.float16)
    assert try_core(CPU)
    assert libraries.library_status("cpu").usable
    assert checks["made"] == [("cpu", CPU, None), ("cpu", CPU, torch.float16)]


def test_where_there_is_no_core_nothing_is_tried(checks, monkeypatch):
    assert not try_core(torch.device("mps"))
    monkeypatch.setattr(libraries, "find_library", lambda _kind: None)
    libraries.forget_libraries()
    try:
        assert not try_core(CPU)
    finally:
        libraries.forget_libraries()
    assert checks["made"] == []


# --- on a GPU: which path is the fastest -----------------------------------------------------

GPU = torch.device("cuda", 1)


@pytest.fixture
def gpu(monkeypatch):
    """A GPU whose core is usable; the test says what is found wrong and how long passes take."""
    usable = libraries.LibraryStatus("cuda", None, True, "ready", "90")
    monkeypatch.setattr(trial, "library_status", lambda *_: usable)
    machine = SimpleNamespace(wrong=set(), times={}, timed=[], lost=False, differs=None)

    def check(kind, device, map_dtype=None, schedule="staged"):
        assert (kind, device) == ("cuda", GPU)
        return WRONG if schedule in machine.wrong else None

    def time(kind, device, map_dtype, paths, training):
        assert (kind, device) == ("cuda", GPU)
        machine.timed.append((training, *paths))
        return {path: machine.times[path] for path in paths if path in machine.times}

    def zeros(*_, **__):
        if machine.lost:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        return SimpleNamespace(cpu=lambda: None)

    monkeypatch.setattr(trial, "first_error", check)
    monkeypatch.setattr(trial, "difference_of_schedules", lambda *_: machine.differs)
    monkeypatch.setattr(trial, "path_times", time)
    monkeypatch.setattr(torch, "zeros", zeros)
    return machine


def chosen(map_dtype=None) -> list[str]:
    """The schedules of training and of prediction."""
    return [schedules._chosen.get((1, map_dtype, training), "none") for training in (True, False)]


def test_the_faster_schedule_is_followed(gpu):
    gpu.times = {"staged": 1.3, "cooperative": 0.5, "torch": 25.0}
    assert try_core(GPU)
    assert chosen() == ["cooperative", "cooperative"]
    assert chosen(torch.float16) == ["none", "none"]
    assert gpu.timed == [
        (True, "staged", "cooperative", "torch"),
        (False, "staged", "cooperative"),
    ]
    assert take_sentences() == []
    gpu.times = {"staged": 0.7, "cooperative": 0.9}
    assert try_core(GPU, torch.float16)
    assert chosen() == ["cooperative", "cooperative"]
    assert chosen(torch.float16) == ["staged", "staged"]
    assert "torch" not in gpu.timed[-2]  # with 16-bit maps it would not compute the same


def test_a_wrong_schedule_is_not_timed_and_nobody_is_told(gpu, caplog):
    gpu.wrong = {"cooperative"}
    gpu.times = {"staged": 1.3, "cooperative": 0.5, "torch": 25.0}
    with caplog.at_level(logging.INFO, "napari_msd"):
        assert try_core(GPU)
    assert chosen() == ["staged", "staged"]
    assert all("cooperative" not in timed for timed in gpu.timed)
    assert f"cooperative: {WRONG}" in caplog.text
    assert take_sentences() == []


def test_a_schedule_that_differs_in_large_images_is_not_timed(gpu, caplog):
    gpu.differs = "the gradients for images of (16, 1, 96, 96) differs"
    gpu.times = {"staged": 1.3, "cooperative": 0.5, "torch": 25.0}
    with caplog.at_level(logging.INFO, "napari_msd"):
        assert try_core(GPU)
    assert chosen() == ["staged", "staged"]
    assert all("cooperative" not in timed for timed in gpu.timed)
    assert gpu.differs in caplog.text
    assert take_sentences() == []


def test_a_core_that_is_wrong_staged_is_set_aside_untimed(gpu):
    gpu.wrong = {"staged"}
    assert not try_core(GPU)
    assert aside.why_aside("cuda", 1) == WRONG
    assert aside.why_aside("cuda", 0) is None
    assert gpu.timed == []
    assert len(take_sentences()) == 1


def test_where_torch_is_faster_it_is_used_and_nobody_is_told(gpu):
    gpu.times = {"staged": 30.0, "torch": 25.0}
    try_core(GPU)
    assert aside.why_aside("cuda", 1) == (
        "PyTorch is faster here (milliseconds: staged 30.00, torch 25.00)"
    )
    assert take_sentences() == []


def test_without_times_passes_are_staged(gpu):
    assert try_core(GPU)
    assert chosen() == ["staged", "staged"]


def on_trial_after(caplog) -> str | None:
    """What the viewer takes to be on trial after all lines of the log."""
    core = None
    for message in caplog.messages:
        core = core_trial.read_on_trial(message, core)
    return core


@pytest.mark.parametrize("lost", [False, True])
def test_a_process_whose_gpu_is_lost_ends_with_what_was_tried_as_its_last_word(gpu, caplog, lost):
    gpu.lost = lost
    with caplog.at_level(logging.INFO, "napari_msd"):
        if lost:
            with pytest.raises(RuntimeError, match="illegal memory access"):
                try_core(GPU)
        else:
            assert try_core(GPU)
    assert on_trial_after(caplog) == ("cuda 1" if lost else None)


@pytest.mark.parametrize(
    ("crashed", "usable", "timed"),
    [
        ("cuda 1", False, []),
        ("cuda 1 cooperative,cpu 0", True, ["staged", "torch"]),
        ("cuda 0 cooperative", True, ["staged", "cooperative", "torch"]),
    ],
)
def test_what_crashed_an_earlier_trainer_is_left_out(gpu, monkeypatch, crashed, usable, timed):
    monkeypatch.setenv(core_trial.VARIABLE, crashed)
    gpu.times = {"staged": 1.0, "cooperative": 0.5, "torch": 9.0}
    assert try_core(GPU) == usable
    assert list(gpu.timed[0][1:] if gpu.timed else []) == timed
    assert (aside.why_aside("cuda", 1) == trial.CRASHED) == (not usable)


class FakeCore:
    """Says which problems it can run."""

    def __init__(self, able: bool) -> None:
        self.able, self.asked = able, []

    def can_run(self, shape, dtype, n_classes, structure, training):
        self.asked.append((structure.schedule, training))
        return self.able


@pytest.mark.parametrize("able", [True, False])
def test_a_pass_that_the_chosen_schedule_cannot_run_is_staged(monkeypatch, able):
    core = FakeCore(able)
    monkeypatch.setattr(schedules, "compiled_core", lambda *_: core)
    monkeypatch.setattr(torch.cuda, "device", lambda _device: nullcontext())
    structure = Structure((1, 2), 1, "reflect")
    image = SimpleNamespace(device=GPU, shape=(1, 1, 8, 8), dtype=torch.float32)
    assert schedules.schedule_of(image, 2, structure, True) == "staged"
    assert core.asked == []
    schedules.choose_schedule(1, None, True, "cooperative")
    expected = "cooperative" if able else "staged"
    assert schedules.schedule_of(image, 2, structure, True) == expected
    assert schedules.schedule_of(image, 2, structure, False) == "staged"
    assert core.asked == [("cooperative", True)]


class Waits:
    """A core whose cooperative passes went well, or did not."""

    def __init__(self) -> None:
        self.asked, self.error = 0, None

    def check_waits(self, like):
        self.asked += 1
        if self.error is not None:
            raise self.error


@pytest.fixture
def waits(monkeypatch) -> Waits:
    core = Waits()
    monkeypatch.setattr(schedules, "compiled_core", lambda *_: core)
    monkeypatch.setattr(torch.cuda, "device", lambda _device: nullcontext())
    monkeypatch.setattr(torch, "empty", lambda *_, **__: None)
    return core


def test_staged_passes_are_not_asked_whether_they_waited(waits):
    schedules.choose_schedule(1, None, True, "staged")
    schedules.choose_schedule(0, None, True, "cooperative")  # another GPU
    assert schedules.times_given_up(GPU) == 0
    assert schedules.times_given_up(CPU) == 0
    assert waits.asked == 0


def test_after_a_wait_that_gave_up_all_passes_there_are_staged(waits, caplog):
    schedules.choose_schedule(1, None, True, "cooperative")
    schedules.choose_schedule(1, torch.float16, True, "cooperative")
    schedules.choose_schedule(0, None, True, "cooperative")
    assert schedules.times_given_up(GPU) == 0
    waits.error = CoreFailedError("blocks gave up waiting")
    assert schedules.times_given_up(GPU) == 1
    assert "Every pass on cuda:1 is staged from now on: blocks gave up waiting" in caplog.text
    assert schedules.times_given_up(GPU) == 1  # nothing cooperative is left to be asked about
    assert schedules.times_given_up(torch.device("cuda", 2)) == 0
    assert waits.asked == 2
    assert (chosen()[0], chosen(torch.float16)[0]) == ("staged", "staged")
    assert schedules._chosen[0, None, True] == "cooperative"


@pytest.mark.parametrize(
    ("schedule", "gradients", "capturing", "passes"),
    [
        ("staged", False, False, ["staged"]),
        ("cooperative", False, False, ["cooperative", "staged"]),
        ("cooperative", True, False, ["cooperative"]),  # who trains asks after the step
        ("cooperative", False, True, ["cooperative"]),
    ],
)
def test_a_pass_whose_blocks_gave_up_waiting_is_done_again(
    waits, monkeypatch, schedule, gradients, capturing, passes
):
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: capturing)
    schedules.choose_schedule(1, None, False, "cooperative")
    done = []

    def work(by):
        done.append(by)
        return by

    image = SimpleNamespace(device=GPU)
    waits.error = CoreFailedError("blocks gave up waiting")
    with torch.set_grad_enabled(gradients):
        assert schedules.confirmed(work, schedule, image) == passes[-1]
    assert done == passes
    waits.error = None
    with torch.no_grad():
        assert schedules.confirmed(work, "cooperative", image) == "cooperative"


# --- who tries, and who is told ----------------------------------------------------------------

SMALL = Settings.from_preset(depth=2, patch_size=16, trees=False, device="cpu")


def test_a_trainer_tries_the_core_before_it_has_anything_to_learn(checks):
    Trainer(SMALL, NetworkInput())
    assert checks["made"] == [("cpu", CPU, None)]


@pytest.mark.parametrize(("finds", "expected"), [(None, "cpu"), (WRONG, "mps")])
def test_without_its_core_another_device_is_chosen(checks, monkeypatch, finds, expected):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    checks["finds"] = finds
    trainer = Trainer(replace(SMALL, device="auto"), NetworkInput())
    assert trainer._device.type == expected


def test_a_trainer_that_asks_for_torch_tries_nothing(checks):
    Trainer(replace(SMALL, device="torch"), NetworkInput())
    assert checks["made"] == []


def test_the_window_is_told_once_with_what_computes_now(checks):
    checks["finds"] = WRONG
    events = []
    engine = Engine(events.append)
    engine.handle(Open(SMALL, {0: Space("YX", (8, 8))}))
    ready = [event for event in events if isinstance(event, Ready)][-1]
    assert (ready.device, ready.backend) == ("CPU, PyTorch", "torch")
    assert WRONG in ready.reason
    engine.work()
    engine.work()
    (notice,) = [event for event in events if isinstance(event, Notice)]
    assert notice.level == "warning"
    assert notice.text.startswith("The compiled CPU core failed on this machine and is not used")


def test_a_core_that_fails_while_training_is_told_at_the_next_turn(checks):
    events = []
    engine = Engine(events.append)
    engine.handle(Open(SMALL, {0: Space("YX", (8, 8))}))
    assert [event for event in events if isinstance(event, Ready)][-1].backend == "cpu"
    aside.set_aside("cpu", 0, "cudaErrorLaunchFailure")
    engine.work()
    assert [event for event in events if isinstance(event, Ready)][-1].backend == "torch"
    assert sum(isinstance(event, Notice) for event in events) == 1


def test_training_goes_on_in_torch(checks):
    checks["finds"] = WRONG
    trainer = Trainer(SMALL, NetworkInput())
    pixels = np.random.default_rng(0).standard_normal((24, 24)).astype(np.float32)
    trainer.set_pixels(Box.whole(0, pixels.shape), pixels)
    trainer.paint(Box.whole(0, pixels.shape), np.where(pixels > 0, 2, 1).astype(np.uint8))
    assert np.isfinite(trainer.step())
    assert trainer.backend[0] == "torch"
    assert WRONG in trainer.backend[1]


def run_info(monkeypatch, capsys) -> tuple[str, int]:
    monkeypatch.setattr("sys.argv", ["napari-msd", "info", "--check"])
    with pytest.raises(SystemExit) as ended:
        main()
    return capsys.readouterr().out, ended.value.code


def test_info_checks_cores_when_asked(core, monkeypatch, capsys):
    text, code = run_info(monkeypatch, capsys)
    assert "check       cpu core on cpu: it agrees with the reference." in text
    assert code == 0


def test_info_says_what_is_wrong(core, monkeypatch, capsys):
    monkeypatch.setattr(self_check, "first_error", lambda *_: WRONG)
    text, code = run_info(monkeypatch, capsys)
    assert f"check       cpu core on cpu: WRONG: {WRONG}." in text
    assert code == 1


def test_info_does_not_call_wrong_what_could_not_be_compared(core, monkeypatch, capsys):
    monkeypatch.setattr(self_check, "first_error", lambda *_: self_check.NOTHING_COMPARED)
    text, code = run_info(monkeypatch, capsys)
    assert "check       cpu core on cpu: nothing could be compared" in text
    assert "WRONG" not in text
    assert code == 0


def test_info_checks_each_way_of_a_gpu(monkeypatch):
    usable = libraries.LibraryStatus("cuda", None, True, "ready", "90")
    asked = []
    monkeypatch.setattr(libraries, "library_status", lambda *_: usable)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)

    def check(kind, device, map_dtype=None, schedule="staged"):
        asked.append((kind, map_dtype, schedule))
        return WRONG if (map_dtype, schedule) == (torch.float16, "cooperative") else None

    monkeypatch.setattr(self_check, "first_error", check)
    lines = []
    assert not info.check_cores(lines.append)
    assert asked == [
        ("cpu", None, "staged"),
        ("cuda", None, "staged"),
        ("cuda", torch.float16, "staged"),
        ("cuda", None, "cooperative"),
        ("cuda", torch.float16, "cooperative"),
    ]
    (wrong,) = [line for line in lines if WRONG in line]
    assert wrong.startswith("check       cuda core on cuda:0, in one launch, float16 maps: WRONG")


def test_info_checks_nothing_where_there_is_no_core(monkeypatch):
    monkeypatch.setattr(libraries, "find_library", lambda _kind: None)
    libraries.forget_libraries()
    try:
        lines = []
        assert info.check_cores(lines.append)
        assert lines == []
    finally:
        libraries.forget_libraries()
