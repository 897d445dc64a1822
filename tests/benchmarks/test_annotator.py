import numpy as np
from _annotator import correct, paint


def half_known():
    truth = np.zeros((80, 80), np.uint8)
    truth[20:60, 20:40] = 1
    truth[20:60, 40:60] = 2
    truth[20:60, 50:52] = 3  # thin
    return truth


def test_strokes_are_right_and_never_where_there_is_no_truth():
    truth = half_known()
    strokes = paint(truth, 0.05, np.random.default_rng(0))
    assert (strokes[strokes > 0] == truth[strokes > 0]).all()
    assert set(np.unique(strokes)) == {0, 1, 2, 3}


def test_what_has_no_truth_is_not_corrected():
    truth = half_known()
    nothing = np.zeros_like(truth)
    predicted = np.where(truth == 0, 2, truth).astype(np.uint8)
    corrected = correct(truth, predicted, nothing, 4, np.random.default_rng(0))
    assert not corrected.any()


def test_corrections_lie_in_what_is_wrong():
    truth = half_known()
    predicted = np.where(truth == 2, 1, truth).astype(np.uint8)
    corrected = correct(truth, predicted, np.zeros_like(truth), 4, np.random.default_rng(0))
    assert set(np.unique(corrected)) == {0, 2}
    assert (truth[corrected > 0] == 2).all()
