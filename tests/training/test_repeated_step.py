"""Steps that are recorded and repeated, on a device that only seems to record."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

import numpy as np
import pytest
import torch

from napari_msd import MSDNet
from napari_msd.core.settings import Settings
from napari_msd.training.learner import Learner
from napari_msd.training.patches import Batch
from napari_msd.training.repeated_step import WARM_UP
from napari_msd.training.step import Outcome
from napari_msd.training.stepper import Way

SETTINGS = Settings.from_preset(depth=3)
EVERY = [0, 1, 2]


class Recorded:
    """What `CudaGraph` does, on the CPU: a replay does the work again, in place.

    Parameters
    ----------
    wrong
        Adds to the gradient that each replay reports.
    """

    def __init__(self, wrong: float = 0.0) -> None:
        self.wrong = wrong
        self.replays = 0
        self.recordings = 0

    aside = staticmethod(nullcontext)

    def record(self, work: Callable[[], Outcome]) -> Outcome:
        self.work = work
        self.recordings += 1
        n = network().n_parameters
        self.outcome = Outcome(torch.zeros(2), torch.zeros(n), torch.tensor(False))
        return self.outcome

    def replay(self) -> None:
        self.replays += 1
        for mine, found in zip(self.outcome, self.work(), strict=True):
            mine.copy_(found)
        self.outcome.gradient.add_(self.wrong)


class Unrecordable(Recorded):
    def record(self, work: Callable[[], Outcome]) -> Outcome:
        work()  # has changed the weights when it fails
        raise RuntimeError("operation not permitted when stream is capturing")


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


@pytest.mark.parametrize("kind", [Unrecordable, lambda: Recorded(wrong=0.01)])
def test_where_recording_goes_wrong_each_step_is_done_plainly(plain, kind, caplog):
    recorders = Recorders(kind)
    learner = Learner(network(), SETTINGS, Way(recorder=recorders))
    assert learned(learner, 0, WARM_UP + 6) == learned(plain, 0, WARM_UP + 6)
    assert recorders[0].replays <= 1
    assert_same_weights(learner, plain)
    (record,) = caplog.records
    assert "piece by piece" in record.getMessage()


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
