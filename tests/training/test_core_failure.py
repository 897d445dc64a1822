"""A compiled core that fails in the middle of training."""

from __future__ import annotations

import math
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import torch

from napari_msd import MSDNet
from napari_msd.native import aside, library_statuses, take_sentences
from napari_msd.native.backend import BackendChoice
from napari_msd.native.core import Core, CoreFailedError
from napari_msd.training import stepper
from napari_msd.training.learner import Learner
from napari_msd.training.stepper import LEFT_OUT, Way

from .test_repeated_step import (
    EVERY,
    SETTINGS,
    Recorded,
    Recorders,
    assert_same_weights,
    batch,
    learned,
    network,
)
from .test_trainer import trainer_for

pytestmark = pytest.mark.skipif(
    not library_statuses()[0].usable, reason=library_statuses()[0].reason
)


@pytest.fixture(autouse=True)
def nothing_set_aside() -> Iterator[None]:
    aside.use_again()
    yield
    aside.use_again()


def break_core(monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    def fail(*_: object, **__: object) -> None:
        raise CoreFailedError("The compiled core failed on 2 image(s): an internal error.")

    monkeypatch.setattr(Core, call, fail)


@pytest.mark.parametrize("call", ["forward", "backward"])
def test_the_step_is_done_once_more_without_it(call, monkeypatch):
    plain, learner = Learner(network(), SETTINGS), Learner(network(), SETTINGS)
    plain.network.backend = "torch"
    learned(learner, 0, 3)
    assert learner.network.backend_in_use == "cpu"
    break_core(monkeypatch, call)
    learned(learner, 3, 8)
    learned(plain, 0, 8)
    assert learner.network.backend_in_use == "torch"
    torch.testing.assert_close(learner.network.weight, plain.network.weight, atol=1e-5, rtol=1e-4)
    (sentence,) = take_sentences()
    assert "CPU core failed" in sentence


def test_a_core_that_was_asked_for_is_not_replaced(monkeypatch):
    learner = Learner(MSDNet(1, 3, depth=3, backend="cpu"), SETTINGS)
    break_core(monkeypatch, "backward")
    with pytest.raises(CoreFailedError):
        learner.learn(batch(0), EVERY)
    assert not take_sentences()


def test_a_person_is_told_once_and_training_goes_on(monkeypatch):
    trainer = trainer_for(1, 2)
    break_core(monkeypatch, "backward")
    trainer.step()
    assert "CPU core failed" in trainer.take_remark()
    assert not trainer.take_remark()
    trainer.step()
    assert trainer.backend[0] == "torch"
    assert "set aside" in trainer.backend[1]


def test_after_blocks_gave_up_waiting_a_step_is_recorded_anew(monkeypatch):
    recorders = Recorders(Recorded)
    learner = Learner(network(), SETTINGS, Way(recorder=recorders))
    plain = Learner(network(), SETTINGS)
    for each in (learner, plain):
        learned(each, 0, 6)
    plain._stepper.adam.forget()  # a wrong gradient may have been among those before
    learned(plain, 6, 12)
    monkeypatch.setattr(stepper, "times_given_up", lambda _device: 1)
    learned(learner, 6, 12)
    assert [recorder.replays for recorder in recorders] == [3, 3]
    assert_same_weights(learner, plain)
    assert not take_sentences()  # the core is still in use


@pytest.mark.parametrize(("agrees", "variable"), [(True, ""), (False, ""), (True, "float32-graph")])
def test_16_bit_maps_are_used_where_they_pass_the_check(monkeypatch, agrees, variable):
    tried = []

    def try_core(device, map_dtype):
        tried.append((device.type, map_dtype))
        return agrees

    monkeypatch.setattr(stepper, "try_core", try_core)
    monkeypatch.setattr(
        stepper, "choose_backend", lambda *_: BackendChoice("cuda", "Compiled CUDA core.")
    )
    if variable:
        monkeypatch.setenv(stepper.WAY_VARIABLE, variable)
    net = network()
    on_gpu = SimpleNamespace(
        weight=SimpleNamespace(device=torch.device("cuda", 0), dtype=torch.float32),
        backend=net.backend,
        ndim=net.ndim,
    )
    assert stepper.way_of(on_gpu).sixteen_bits == (agrees and not variable)
    assert tried == ([] if variable else [("cuda", torch.float16)])


def test_a_graph_does_not_go_on_with_a_core_that_was_set_aside_elsewhere():
    recorders = Recorders(Recorded)
    learner = Learner(network(), SETTINGS, Way(True, recorders))
    learned(learner, 0, 6)
    aside.set_aside("cpu", 0, "a prediction failed")
    learned(learner, 6, 9)
    assert [recorder.replays for recorder in recorders] == [3]
    assert learner._stepper.way == Way()
    assert learner.network.backend_in_use == "torch"


def test_a_failure_while_a_graph_is_captured_is_not_held_against_the_core(monkeypatch):
    net = network()
    break_core(monkeypatch, "forward")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)
    with pytest.raises(CoreFailedError):
        net(torch.zeros(1, 1, 8, 8))
    assert aside.why_aside("cpu", 0) is None


def test_steps_that_are_all_left_out_are_said_once(caplog):
    learner = Learner(network(), SETTINGS)
    with torch.no_grad():
        learner.network.bias.fill_(float("nan"))
    losses = learned(learner, 0, 3 * LEFT_OUT)
    assert not any(map(math.isfinite, losses))
    (record,) = caplog.records
    assert "left out" in record.getMessage()
