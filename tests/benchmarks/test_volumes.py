"""The race on volumes: its cases, what is painted and scored, and our network in every mode."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from _volume_cases import APART, VolumeCase, volume_cases
from _volume_contestants import VolumeNetwork
from volumes import painted_slices, score, strokes_on, table

from napari_msd.core.settings import Settings


@pytest.fixture
def case() -> VolumeCase:
    """Bright and dark halves."""
    truth = np.ones((8, 24, 32), np.uint8)
    truth[..., 16:] = 2
    noise = np.random.default_rng(0).normal(0, 0.1, truth.shape)
    return VolumeCase("halves", "tuning", (truth + noise).astype(np.float32), truth, 2.0)


@pytest.mark.parametrize("half", ["tuning", "reporting"])
def test_synthetic_volumes_hold_every_class_in_every_painted_slice(half):
    cases = list(volume_cases(None, half))
    assert len(cases) == 2
    for case in cases:
        assert case.image.shape == case.truth.shape
        assert np.isfinite(case.image).all()
        values = np.unique(case.truth)
        assert values.min() == 1
        for z in painted_slices(len(case.truth)):
            np.testing.assert_array_equal(np.unique(case.truth[z]), values)


def test_grey_values_of_a_slice_do_not_tell_the_classes_of_objects():
    for half in ("tuning", "reporting"):
        objects, textures = volume_cases(None, half)
        means = [objects.image[objects.truth == value].mean() for value in (2, 3)]
        assert abs(means[0] - means[1]) < 0.12
        spreads = [textures.image[textures.truth == value].std() for value in (1, 2)]
        assert abs(spreads[0] - spreads[1]) < 0.1


def test_files_are_cut_into_two_halves(tmp_path):
    image = np.arange(6 * 4 * 10, dtype=np.uint16).reshape(6, 4, 10)
    tifffile.imwrite(tmp_path / "a-image.tif", image)
    tifffile.imwrite(tmp_path / "a-labels.tif", (image % 2 + 1).astype(np.uint8))
    *_, left, sparse = volume_cases(tmp_path, "tuning")
    *_, right, _ = volume_cases(tmp_path, "reporting")
    np.testing.assert_array_equal(np.concatenate([left.image, right.image], axis=-1), image)
    np.testing.assert_array_equal(left.truth, left.image % 2 + 1)
    np.testing.assert_array_equal(sparse.image, left.image[::APART])
    assert (left.anisotropy, sparse.anisotropy) == (1.0, APART)


def test_three_slices_are_painted_and_all_others_scored(case):
    strokes = strokes_on(case, 0.1, seed=0)
    painted = np.flatnonzero(strokes.any(axis=(1, 2)))
    np.testing.assert_array_equal(painted, painted_slices(8))
    assert (strokes[strokes > 0] == case.truth[strokes > 0]).all()
    labels = case.truth.copy()
    labels[painted] = 3 - labels[painted]
    assert score(case, labels) == 1
    labels[0] = 3 - labels[0]
    assert score(case, labels) < 0.9


@pytest.mark.parametrize("mode", ["2d", "2.5d", "3d"])
def test_ours_learns_to_the_mark_and_answers_for_all_slices(case, mode):
    settings = Settings.from_preset(mode=mode, depth=3, patch_size=16, device="torch")
    network = VolumeNetwork(case, strokes_on(case, 0.1, seed=0), settings, "steps")
    assert network.answer(0).labels.shape == case.truth.shape
    answer = network.answer(4)
    assert network.trainer.steps == 4
    assert score(case, answer.labels) > 0.9


def test_the_table_has_means_over_seeds_and_volumes():
    text = table({"ours": {"a": [0.5, 0.7], "b": [0.2]}, "forest": {"a": [0.1], "b": [0.3]}})
    assert "| | a | b | mean |" in text
    assert "| ours | 0.600 | 0.200 | 0.400 |" in text
    assert "| forest | 0.100 | 0.300 | 0.200 |" in text
