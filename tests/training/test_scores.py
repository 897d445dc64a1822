"""IoU by hand, and how well it is known."""

import numpy as np
import pytest

from napari_msd.training import Scores


def test_iou_is_intersection_over_union():
    truth = np.array([1, 1, 1, 2, 2], np.uint8)
    predicted = np.array([1, 1, 2, 2, 1], np.uint8)
    scores = Scores.of(truth, predicted)
    assert scores.iou == {1: pytest.approx(2 / 4), 2: pytest.approx(1 / 3)}
    assert scores.mean == pytest.approx((2 / 4 + 1 / 3) / 2)
    assert scores.margin == {}


def test_without_held_out_strokes_there_is_no_score():
    assert Scores().mean is None


def pieces(rights, size=100):
    """One class of pieces with these shares right; a second class, always right."""
    truth = np.repeat([1, 2], [size * len(rights), size])
    predicted = truth.copy()
    for i, right in enumerate(rights):
        predicted[i * size : (i + 1) * size - round(right * size)] = 2
    number = np.arange(len(truth)) // size
    return Scores.of(truth.astype(np.uint8), predicted.astype(np.uint8), number)


def test_the_margin_follows_how_much_pieces_differ():
    alike, unlike = pieces([0.8] * 6), pieces([1.0, 0.6] * 3)
    assert alike.iou[1] == pytest.approx(unlike.iou[1])
    assert unlike.margin[1] > alike.margin[1] == pytest.approx(0.5 / 6)
    # by hand: residuals of the ratio, six pieces, Student's t of 5 degrees
    assert unlike.margin[1] == pytest.approx(2.5706 * np.sqrt(6 / 5 * 6 * 20**2) / 600, rel=1e-4)


def test_more_pieces_tell_more():
    few, many = pieces([1.0, 0.6] * 2), pieces([1.0, 0.6] * 20)
    assert many.margin[1] < few.margin[1] / 2
    assert (few.pieces, many.pieces) == ({1: 4, 2: 1}, {1: 40, 2: 1})


def test_a_perfect_score_on_little_is_not_certain_and_one_piece_tells_nothing():
    scores = pieces([1.0] * 3)
    assert scores.iou[1] == 1
    assert scores.margin[1] == pytest.approx(0.5 / 3)
    assert 2 not in scores.margin


def test_about_as_many_intervals_hold_the_truth_as_they_say():
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(300):
        scores = pieces(np.clip(rng.normal(0.7, 0.15, 8), 0, 1))
        held += abs(scores.iou[1] - 0.7) <= scores.margin[1]
    assert 270 <= held <= 298
