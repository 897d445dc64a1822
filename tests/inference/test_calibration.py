"""Temperature scaling makes probabilities mean what they say."""

import numpy as np
import pytest

from napari_msd.inference.calibration import (
    COLDEST,
    HOTTEST,
    expected_calibration_error,
    fit_temperature,
)


def softmax(logits, temperature=1.0):
    e = np.exp(logits / temperature - (logits / temperature).max(axis=0))
    return e / e.sum(axis=0)


@pytest.fixture(scope="module")
def honest():
    """Logits (3, n) of a calibrated model, and classes drawn from its own probabilities."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 1.5, (3, 20_000))
    drawn = (softmax(logits).cumsum(axis=0) < rng.random(20_000)).sum(axis=0)
    return logits, np.minimum(drawn, 2)


@pytest.mark.parametrize("sharpened", [0.3, 1.0, 4.0])
def test_the_temperature_is_what_the_logits_were_multiplied_by(honest, sharpened):
    logits, truth = honest
    assert fit_temperature(sharpened * logits, truth) == pytest.approx(sharpened, rel=0.03)


@pytest.mark.parametrize("sharpened", [0.3, 4.0])
def test_it_lowers_the_calibration_error_of_a_miscalibrated_case(honest, sharpened):
    logits, truth = sharpened * honest[0], honest[1]
    fitted, judged = slice(0, None, 2), slice(1, None, 2)
    temperature = fit_temperature(logits[:, fitted], truth[fitted])
    before = expected_calibration_error(softmax(logits[:, judged]), truth[judged])
    after = expected_calibration_error(softmax(logits[:, judged], temperature), truth[judged])
    assert before > 0.1
    assert after < 0.02


def test_the_error_by_hand():
    p = np.array([[0.9, 0.9, 0.9, 0.6], [0.1, 0.1, 0.1, 0.4]])
    truth = np.array([0, 0, 1, 1])
    wanted = 3 / 4 * abs(2 / 3 - 0.9) + 1 / 4 * abs(0 - 0.6)
    assert expected_calibration_error(p, truth) == pytest.approx(wanted)


def test_a_few_pieces_all_right_do_not_make_it_certain():
    logits = np.array([[4.0, -4.0], [-4.0, 4.0]]).repeat(50, axis=1)
    truth = np.array([0, 1]).repeat(50)
    assert fit_temperature(logits, truth) == pytest.approx(COLDEST, rel=0.01)
    few = softmax(logits, fit_temperature(logits, truth, pieces=4)).max(axis=0)
    many = softmax(logits, fit_temperature(logits, truth, pieces=40)).max(axis=0)
    np.testing.assert_allclose(few, 5 / 6, atol=1e-3)  # as if one piece of each class more
    np.testing.assert_allclose(many, 41 / 42, atol=1e-3)


def test_bounds_and_nothing_to_fit(honest):
    assert fit_temperature(np.zeros((3, 0)), np.zeros(0, int)) == 1
    assert fit_temperature(np.zeros((1, 5)), np.zeros(5, int)) == 1
    logits, truth = honest
    assert fit_temperature(logits, (truth + 1) % 3) == pytest.approx(HOTTEST, rel=0.01)
