"""Filter responses: known values, and tiles with their halo equal to the whole."""

import numpy as np
import pytest

from napari_msd.core.box import Box
from napari_msd.inference.responses import (
    PER_SCALE,
    REACH,
    SCALES,
    filter_responses,
    n_responses,
)

SMOOTH, GRADIENT, LARGER, SMALLER, DEVIATION = range(PER_SCALE)


def by_scale(responses: np.ndarray, channels: int = 1) -> np.ndarray:
    return responses.reshape(channels, len(SCALES), PER_SCALE, *responses.shape[1:])


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize(
    "tile",
    [
        Box(0, (0, 0), (30, 40)),  # a corner
        Box(0, (90, 80), (120, 110)),  # no edge within reach
        Box(0, (150, 170), (200, 190)),  # two edges
        Box(0, (100, 0), (101, 190)),  # one row
    ],
)
def test_a_tile_with_its_halo_equals_the_whole_bit_for_bit(tile):
    image = noise(2, 200, 190)
    at_once = filter_responses(image)
    read = tile.grow((REACH, REACH)).clip((200, 190))
    inner = tile.within(read)
    part = filter_responses(image[(slice(None), *read.slices)])
    np.testing.assert_array_equal(
        part[(slice(None), *inner.slices)], at_once[(slice(None), *tile.slices)]
    )


def test_a_pixel_that_counts_is_within_reach():
    image = noise(1, 1, 2 * REACH + 9)
    changed = image.copy()
    changed[0, 0, -1] += 1000
    differs = (filter_responses(image) != filter_responses(changed)).any(axis=(0, 1))
    nearest = differs.argmax()
    assert REACH - 4 <= image.shape[2] - 1 - nearest <= REACH


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (2, 2), (1, 300)])
def test_single_rows_and_columns(shape):
    responses = filter_responses(noise(1, *shape))
    assert responses.shape == (n_responses(1), *shape)
    assert responses.dtype == np.float32
    assert np.isfinite(responses).all()


def test_a_row_has_no_slope_across():
    """One row answers as it does in an image of many rows like it."""
    row = noise(1, 1, 100)
    many = np.repeat(row, 9, axis=1)
    np.testing.assert_allclose(filter_responses(row)[:, 0], filter_responses(many)[:, 4], atol=1e-5)


def test_a_constant_image_is_only_seen_smoothed():
    scales = by_scale(filter_responses(np.full((1, 90, 80), 3, np.float32)))[0]
    np.testing.assert_allclose(scales[:, SMOOTH], 3, rtol=1e-6)
    np.testing.assert_allclose(scales[:, GRADIENT:], 0, atol=1e-4)


def test_a_ramp_has_its_slope_times_the_scale_as_gradient():
    ramp = np.broadcast_to(0.25 * np.arange(200, dtype=np.float32), (1, 100, 200))
    middle = by_scale(filter_responses(ramp))[0, :, :, 50, 100]
    np.testing.assert_allclose(middle[:, SMOOTH], 25, rtol=1e-5)
    np.testing.assert_allclose(middle[:, GRADIENT], 0.25 * np.array(SCALES), rtol=1e-4)
    np.testing.assert_allclose(middle[:, [LARGER, SMALLER]], 0, atol=1e-2)


@pytest.mark.parametrize("axis", [1, 2])
def test_a_step_has_the_largest_gradient_at_the_step(axis):
    """A step of 1 smoothed by a Gaussian rises by 1 / (scale * sqrt(2 pi)) per pixel."""
    step = np.zeros((1, 160, 160), np.float32)
    step[0, 80:] = 1
    step = step if axis == 1 else step.transpose(0, 2, 1)
    gradient = by_scale(filter_responses(step))[0, :, GRADIENT]
    along = gradient[:, :, 80] if axis == 1 else gradient[:, 80]
    assert set(along.argmax(axis=1)) <= {79, 80}
    coarse = np.array(SCALES) > 2
    np.testing.assert_allclose(along.max(axis=1)[coarse], 1 / np.sqrt(2 * np.pi), rtol=0.03)
    np.testing.assert_allclose(along[:, [0, -1]], 0, atol=1e-6)


def line_of_width_3() -> np.ndarray:
    line = np.zeros((1, 100, 100), np.float32)
    line[0, :, 49:52] = 1
    return line


CURVATURE = 1.4**2 * (0.354 - 2 * 0.716 + 0.354) / 4
"""Of that line at scale 1.4: differences of differences of a Gaussian's share within 1.5 pixels of
the middle (0.716), and of a place two pixels beside it (0.354)."""


def test_a_bright_line_has_a_small_eigenvalue_and_no_other():
    scales = by_scale(filter_responses(line_of_width_3()))[0]
    smaller, larger = scales[:, SMALLER, 50], scales[:, LARGER, 50]
    assert smaller[:, 50].argmin() == SCALES.index(1.4)  # which fits a width of 3 best
    assert smaller[1, 50] == pytest.approx(CURVATURE, rel=0.05)
    np.testing.assert_allclose(larger[:, 50], 0, atol=1e-5)
    assert (smaller[1:3, [20, 80]] == 0).all()


def test_a_dark_line_has_a_large_eigenvalue():
    at = by_scale(filter_responses(-line_of_width_3()))[0, 1, :, 50, 50]
    assert at[LARGER] == pytest.approx(-CURVATURE, rel=0.05)
    assert abs(at[SMALLER]) < 1e-5


def test_texture_is_told_by_its_deviation():
    rough = noise(1, 120, 240)
    rough[:, :, 120:] *= 5
    deviation = by_scale(filter_responses(rough))[0, 2, DEVIATION]
    assert 0.8 < deviation[30:90, 30:90].mean() < 1.1
    np.testing.assert_allclose(
        deviation[30:90, 150:210].mean() / deviation[30:90, 30:90].mean(), 5, rtol=0.1
    )


def test_channels_are_filtered_one_by_one():
    image = noise(3, 40, 50)
    together = filter_responses(image)
    assert len(together) == n_responses(3) == 3 * n_responses(1)
    for number, channel in enumerate(image):
        np.testing.assert_array_equal(
            by_scale(together, 3)[number], by_scale(filter_responses(channel[None]))[0]
        )
