"""IoU by hand."""

import numpy as np
import pytest

from napari_msd.training import Scores


def test_iou_is_intersection_over_union():
    truth = np.array([1, 1, 1, 2, 2], np.uint8)
    predicted = np.array([1, 1, 2, 2, 1], np.uint8)
    scores = Scores.of(truth, predicted)
    assert scores.iou == {1: pytest.approx(2 / 4), 2: pytest.approx(1 / 3)}
    assert scores.mean == pytest.approx((2 / 4 + 1 / 3) / 2)


def test_without_held_out_strokes_there_is_no_score():
    assert Scores().mean is None
