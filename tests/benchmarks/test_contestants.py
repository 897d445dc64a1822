import numpy as np
import pytest
from _cases import Case
from _contestants import Network

from napari_msd.core.settings import Settings


@pytest.fixture
def network():
    """Ours on a bright and a dark half, with strokes on both, counted in steps."""
    truth = np.ones((32, 64), np.uint8)
    truth[:, 32:] = 2
    image = truth + np.random.default_rng(0).normal(0, 0.1, truth.shape).astype(np.float32)
    case = Case("halves", "halves", "tuning", (image, truth), (image[:, ::-1], truth[:, ::-1]))
    settings = Settings.from_preset(depth=3, patch_size=16, device="torch")
    network = Network(case, settings, "steps")
    strokes = np.zeros_like(truth)
    strokes[4:28:4, 4:28], strokes[4:28:4, 36:60] = 1, 2
    network.paint(strokes)
    return network


def test_mark_0_answers_with_what_there_is_before_any_step(network):
    answer = network.answer(0)
    assert answer.here.shape == answer.there.shape == (32, 64)
    assert set(np.unique(answer.here)) <= {1, 2}
    assert network._trainer.kept_steps == 0


def test_learns_on_to_the_mark_and_no_further(network):
    network.answer(3)
    assert network.spent == 3
    network.answer(7)
    assert network.spent == 7
