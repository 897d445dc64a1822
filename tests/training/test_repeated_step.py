"""Steps that are recorded and repeated, on a device that only seems to record."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

import numpy as np
import pytest
import torch

from napari_msd import MSDNet
from napari_msd.core.settings import Settings
from napari_msd.training.cuda_graph import CudaGraph
from napari_msd.training.learner import Learner
from napari_msd.training.patches import Batch
from napari_msd.training.repeated_step import ATTEMPTS, WARM_UP
from napari_msd.training.step import Outcome
from napari_msd.training.stepper import Way

SETTINGS = Settings.from_preset(depth=3)
EVERY = [0, 1, 2]


class Recorded:
    """What `CudaGraph` does, on the CPU: a replay does the work again, in place.

    Parameters
    ----------
    spoil
        Is given what each replay found.
    """

    def __init__(self, spoil: Callable[[Outcome], object] = lambda _: None) -> None:
        self.spoil = spoil
        self.replays = 0
        self.recordings = 0

    aside = staticmethod(nullcontext)

    def record(self, work: Callable[[], Outcome]) -> Outcome:
        self.work = work
        self.recordings += 1
        n = network().n_parameters
        self.outcome = Outcome(torch.zeros(3), torch.zeros(n), torch.tensor(False))
        return self.outcome

    def replay(self) -> None:
        self.replays += 1
        for mine, found in zip(self.outcome, self.work(), strict=True):
            mine.copy_(found)
        self.spoil(self.outcome)


class Unrecordable(Recorded):
    def record(self, work: Callable[[], Outcome]) -> Outcome:
        work()  # has changed the weights when it fails
        raise RuntimeError("operation not permitted when stream is capturing")


class ShortOfMemory(Recorded):
    failures = 2

    def record(self, work: Callable[[], Outcome]) -> Outcome:
        outcome = super().record(work)
        if self.recordings <= self.failures:
            work()
            raise MemoryError
        return outcome


class Recorders(list):
    """Every recorder that a learner asked for."""

    def __init__(self, kind: Callable[[], Recorded]) -> None:
        super().__init__()
        self._kind = kind

    def __call__(self) -> Recorded:
        self.append(self._kind())
        return self[-1]


def network() -> MSDNet:
    return MSDNet(1, 3, depth=3, generator=torch.Generator().manual_seed(0))


def batch(seed: int, side: int = 12) -> Batch:
    random = np.random.default_rng(seed)
    images = random.standard_normal((2, 1, side, side)).astype(np.float32)
    return Batch(images, random.integers(-1, 2, (2, side, side)))


def learned(learner: Learner, first: int, last: int, active: list[int] = EVERY) -> list[float]:
    return [learner.learn(batch(i), active) for i in range(first, last)]


def assert_same_weights(one: Learner, other: Learner) -> None:
    answers = [learner.answer(np.zeros(3, np.float32)) for learner in (one, other)]
    for mine, theirs in zip(
        (*one.network.parameters(), *answers[0].parameters()),
        (*other.network.parameters(), *answers[1].parameters()),
        strict=True,
    ):
        assert torch.equal(mine, theirs)


@pytest.fixture
def plain() -> Learner:
    return Learner(network(), SETTINGS)


def test_repeated_steps_are_the_same_steps(plain):
    recorders = Recorders(Recorded)
    learner = Learner(network(), SETTINGS, Way(recorder=recorders))
    assert learned(learner, 0, WARM_UP + 6) == learned(plain, 0, WARM_UP + 6)
    assert [recorder.recordings for recorder in recorders] == [1]
    assert recorders[0].replays == 6
    assert_same_weights(learner, plain)


@pytest.mark.parametrize(
    "kind",
    [
        Unrecordable,
        lambda: Recorded(lambda outcome: outcome.gradient.add_(0.01)),
        lambda: Recorded(lambda outcome: outcome.report[0].add_(0.01)),
    ],
)
def test_where_recording_goes_wrong_each_step_is_done_plainly(plain, kind, caplog):
    recorders = Recorders(kind)
    learner = Learner(network(), SETTINGS, Way(recorder=recorders))
    assert learned(learner, 0, WARM_UP + 6) == learned(plain, 0, WARM_UP + 6)
    assert recorders[0].replays <= 1
    assert_same_weights(learner, plain)
    (record,) = caplog.records
    assert "piece by piece" in record.getMessage()


@pytest.mark.parametrize("part", ["_average", "_network"])
def test_a_repetition_that_changes_a_state_otherwise_is_found(plain, part, caplog):
    # by a hundredth of what a step changes, which is next to nothing beside the values
    def spoil(_: Outcome) -> None:
        with torch.no_grad():
            getattr(learner._stepper, part).weight.mul_(1 + 1e-4)

    recorders = Recorders(lambda: Recorded(spoil))
    learner = Learner(network(), SETTINGS, Way(recorder=recorders))
    learned(learner, 0, WARM_UP + 3)
    learned(plain, 0, WARM_UP + 3)
    assert recorders[0].replays == 1
    assert_same_weights(learner, plain)
    assert "other numbers" in caplog.text


def test_a_loss_that_is_off_is_found_beside_a_large_factor(caplog):
    recorders = Recorders(lambda: Recorded(lambda outcome: outcome.report[0].add_(50)))
    learner = Learner(network(), SETTINGS, Way(sixteen_bits=True, recorder=recorders))
    learned(learner, 0, WARM_UP + 3)
    assert recorders[0].replays == 1
    assert "other numbers" in caplog.text


@pytest.mark.parametrize("failures", [2, 9])
def test_where_memory_is_short_recording_is_tried_again_a_few_times(plain, failures, caplog):
    recorders = Recorders(ShortOfMemory)
    learner = Learner(network(), SETTINGS, Way(recorder=recorders))
    learner.learn(batch(0), EVERY)
    recorders[0].failures = failures
    learned(learner, 1, 20)
    learned(plain, 0, 20)
    assert recorders[0].recordings == ATTEMPTS
    assert (recorders[0].replays > 0) == (failures < ATTEMPTS)
    assert bool(caplog.records) == (failures >= ATTEMPTS)
    assert_same_weights(learner, plain)


def test_a_failed_step_still_lets_the_stream_wait_its_turn(monkeypatch):
    waits = []

    class Stream:
        def wait_stream(self, other: Stream) -> None:
            waits.append((self, other))

    current = Stream()
    monkeypatch.setattr(torch.cuda, "Stream", lambda _: Stream())
    monkeypatch.setattr(torch.cuda, "current_stream", lambda _: current)
    monkeypatch.setattr(torch.cuda, "stream", nullcontext)
    graph = CudaGraph(torch.device("cuda"))
    with pytest.raises(MemoryError), graph.aside():
        raise MemoryError
    assert waits == [(graph._stream, current), (current, graph._stream)]


def test_another_shape_or_other_outputs_are_recorded_anew(plain):
    recorders = Recorders(Recorded)
    learner = Learner(network(), SETTINGS, Way(recorder=recorders))
    for each in (learner, plain):
        learned(each, 0, 6)
        learned(each, 6, 12, active=[0, 2])
        for i in range(6):
            each.learn(batch(i, side=9), [0, 2])
    assert [recorder.replays for recorder in recorders] == [3, 3, 3]
    assert_same_weights(learner, plain)


def test_memory_that_is_given_back_costs_another_recording(plain):
    recorders = Recorders(Recorded)
    learner = Learner(network(), SETTINGS, Way(recorder=recorders))
    learned(learner, 0, 6)
    learner.spare_memory()
    learned(learner, 6, 12)
    learned(plain, 0, 12)
    assert [recorder.replays for recorder in recorders] == [3, 3]
    assert_same_weights(learner, plain)


def test_a_grown_network_is_recorded_anew_and_adam_goes_on():
    recorders = Recorders(Recorded)
    learners = [Learner(network(), SETTINGS, way) for way in (Way(), Way(recorder=recorders))]
    for learner in learners:
        learned(learner, 0, 6, active=[0, 1])
        learner.grow(3)
        learned(learner, 6, 12)
    assert len(recorders) == 2
    assert_same_weights(*learners)
