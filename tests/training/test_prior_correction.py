"""Answers follow how common a class is, by half."""

from __future__ import annotations

import numpy as np

from napari_msd.training.prior_correction import bearable_offsets, damped_offsets, share_offsets


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


def test_damping_goes_no_further_than_unseen_strokes_bear():
    """A rare class that is missed is taken for rarer than it is, and then missed more often."""
    random = np.random.default_rng(0)
    rare = random.random(4000) < 0.1
    sure = np.where(rare, 0.6, 0.2)
    image = np.log(np.stack([1 - sure, sure])).astype(np.float32)
    labels = np.repeat([0, 1], 50)
    evidence = np.log(np.stack([np.repeat([0.8, 0.4], 50), np.repeat([0.2, 0.6], 50)]))
    free = share_offsets(image, 0.4)
    assert (evidence + free[:, None]).argmax(axis=0)[60] == 0  # the rare class would be lost
    found = bearable_offsets(image, 0.4, evidence.astype(np.float32), labels)
    assert 0 <= np.abs(found).max() < np.abs(free).max()
    assert (evidence + found[:, None]).argmax(axis=0)[60] == 1


def test_strokes_that_bear_it_leave_the_damping_as_it_is():
    image = np.log(np.stack([np.full(1000, 0.7), np.full(1000, 0.3)])).astype(np.float32)
    labels = np.repeat([0, 1], 50)
    evidence = np.log(np.stack([np.repeat([0.99, 0.01], 50), np.repeat([0.01, 0.99], 50)]))
    found = bearable_offsets(image, 0.4, evidence.astype(np.float32), labels)
    np.testing.assert_array_equal(found, share_offsets(image, 0.4))
