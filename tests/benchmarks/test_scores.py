import numpy as np
import pytest
from _scores import boundary_f1, mean_iou


def square(top=20, side=30, shape=(80, 80)):
    labels = np.ones(shape, np.uint8)
    labels[top : top + side, 20 : 20 + side] = 2
    return labels


def test_the_truth_itself_is_all_right():
    assert boundary_f1(square(), square()) == 1
    assert mean_iou(square(), square(), np.ones((80, 80), bool)) == 1


def test_a_boundary_may_be_off_by_two_pixels_but_not_by_five():
    assert boundary_f1(square(22), square()) == 1
    assert 0.3 < boundary_f1(square(25), square()) < 0.9


def test_no_boundary_scores_nothing():
    assert boundary_f1(np.ones((80, 80), np.uint8), square()) == 0


def test_boundaries_where_there_is_no_truth_do_not_count():
    truth = square()
    truth[:, 60:] = 0
    answer = square()
    answer[::2, 63:] = 2
    assert boundary_f1(answer, truth) == 1
    answer[::2, 56:60] = 2
    assert boundary_f1(answer, truth) < 1


def test_the_edge_of_what_is_known_is_no_boundary():
    truth = np.ones((80, 80), np.uint8)
    truth[:, 40:] = 0
    truth[10:20, 10:20] = 2
    answer = np.where(truth == 0, 1, truth).astype(np.uint8)
    assert boundary_f1(answer, truth) == 1


def test_iou_is_of_the_scored_pixels_only():
    scored = np.zeros((80, 80), bool)
    scored[:40] = True
    wrong_below = square()
    wrong_below[40:] = 3
    assert mean_iou(wrong_below, square(), scored) == 1


def test_iou_weighs_classes_alike():
    answer = np.ones((10, 10), np.uint8)
    truth = answer.copy()
    truth[0] = 2
    assert mean_iou(answer, truth, np.ones((10, 10), bool)) == pytest.approx(0.45)
