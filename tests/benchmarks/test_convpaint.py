import numpy as np
import pytest
from _convpaint import MEAN_BGR, SPREAD, as_bgr, block_means, filtered, pyramid
from scipy.ndimage import correlate

RANDOM = np.random.default_rng(0)
FILTERS = RANDOM.standard_normal((3, 3, 3, 5)).astype(np.float32)
BIASES = RANDOM.standard_normal(5).astype(np.float32)


def test_filters_are_correlated_with_all_channels():
    image = RANDOM.standard_normal((9, 12, 3)).astype(np.float32)
    maps = filtered(image, FILTERS, BIASES)
    for k in range(5):
        expected = sum(correlate(image[..., c], FILTERS[:, :, c, k]) for c in range(3)) + BIASES[k]
        np.testing.assert_allclose(maps[..., k], expected[1:-1, 1:-1], atol=1e-4)


def test_means_of_blocks():
    image = np.arange(16, dtype=np.float32).reshape(4, 4, 1)
    assert block_means(image, 2)[..., 0].tolist() == [[2.5, 4.5], [10.5, 12.5]]


@pytest.mark.parametrize("shape", [(16, 24), (17, 22)])
def test_features_of_three_scales_in_the_size_of_the_image(shape):
    image = RANDOM.standard_normal((*shape, 3)).astype(np.float32)
    features = pyramid([image], FILTERS, BIASES)
    assert features.shape == (*shape, 15)
    mirrored = np.pad(image, ((1, 1), (1, 1), (0, 0)), mode="reflect")
    np.testing.assert_allclose(features[..., :5], filtered(mirrored, FILTERS, BIASES), atol=1e-4)
    coarse = features[4:8, 4:8, 10:]
    assert (coarse == coarse[0, 0]).all()
    assert not (features[4:8, 8:12, 10:] == coarse).any()


def test_a_coarse_feature_lies_where_its_pixels_do():
    image = np.zeros((32, 32, 3), np.float32)
    image[12:16, 20:24] = 1
    centre = np.zeros((3, 3, 3, 1), np.float32)
    centre[1, 1] = 1
    features = pyramid([image], centre, np.zeros(1, np.float32))
    for scale in range(3):
        assert (np.argwhere(features[..., scale] == 3).min(0) == (12, 20)).all()
        assert (features[..., scale] == 3).sum() == 16


def test_grey_is_standardised_and_stands_in_all_channels():
    image = RANDOM.integers(100, 60000, (20, 20)).astype(np.uint16)
    (seen,) = as_bgr(image)
    assert seen.shape == (20, 20, 3)
    assert (seen[..., 0] == seen[..., 2]).all()
    assert seen.mean() == pytest.approx(0, abs=0.01)
    assert seen.std() == pytest.approx(SPREAD, rel=1e-3)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_rgb_turns_round_and_loses_imagenets_mean(dtype):
    white = np.iinfo(dtype).max
    image = np.array([[[white, 0, 0]]], dtype)
    (seen,) = as_bgr(image)
    np.testing.assert_allclose(seen[0, 0], np.array([0, 0, 255]) - MEAN_BGR, atol=1e-3)


def test_two_channels_are_seen_one_by_one():
    assert len(as_bgr(RANDOM.standard_normal((8, 8, 2)))) == 2
