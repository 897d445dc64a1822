"""Answers follow how common a class is, by half."""

from __future__ import annotations

import numpy as np

from napari_msd.training.class_shares import damped_offsets, share_offsets


def answers(n_common: int, n_rare: int, n_doubtful: int) -> np.ndarray:
    """Log-probabilities (2, n): sure of the common and the rare class, undecided of the others."""
    p = np.concatenate([np.full(n_common, 0.95), np.full(n_rare, 0.05), np.full(n_doubtful, 0.5)])
    return np.log(np.stack([p, 1 - p])).astype(np.float32)


def test_what_is_in_doubt_goes_to_the_common_class():
    offsets = share_offsets(answers(900, 30, 70), 0.4)
    assert offsets[0] > 0 > offsets[1]
    np.testing.assert_allclose(offsets.sum(), 0, atol=1e-6)


def test_equal_shares_change_nothing():
    np.testing.assert_allclose(share_offsets(answers(50, 50, 20), 0.4), 0, atol=1e-6)


def test_no_damping_power_is_off():
    np.testing.assert_array_equal(share_offsets(answers(900, 30, 70), 0.0), 0)


def test_a_class_that_is_answered_nowhere_keeps_a_finite_offset():
    assert np.isfinite(share_offsets(np.log([[1 - 1e-7] * 9, [1e-7] * 9]).astype("f4"), 0.4)).all()


def test_offsets_can_be_found_again_in_shifted_answers():
    before = answers(700, 200, 100)
    offsets = share_offsets(before, 0.4)
    shifted = before + offsets[:, None]
    shifted -= np.log(np.exp(shifted).sum(axis=0))
    np.testing.assert_allclose(damped_offsets(shifted, 0.4), offsets, atol=1e-3)
