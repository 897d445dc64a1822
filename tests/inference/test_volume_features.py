"""Features of volumes: known values, eigenvalues, tiles equal to the whole, slices far apart."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from napari_msd.core.box import Box
from napari_msd.core.space import NetworkInput
from napari_msd.inference import EachPlane, SlabPixels, features
from napari_msd.inference.features import PixelFeatures, tiles_of_slab
from napari_msd.inference.plane_features import MANY_CHANNELS
from napari_msd.inference.volume_features import PER_SCALE, SCALES, VolumeFeatures, eigenvalues

SMOOTH, GRADIENT, LARGEST, MIDDLE, SMALLEST, DEVIATION = range(PER_SCALE)


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def by_scale(image: np.ndarray, anisotropy: float = 1.0) -> np.ndarray:
    """Responses (scales, `PER_SCALE`, Z, Y, X) of a volume of one channel."""
    found = VolumeFeatures(anisotropy).of(image[None], Box.whole(0, image.shape).slices)
    return found.reshape(len(SCALES), PER_SCALE, *image.shape)


# --- eigenvalues ------------------------------------------------------------------------


def eigenvalues_of(matrices: np.ndarray) -> np.ndarray:
    z, y, x = range(3)
    entries = {"zz": (z, z), "yy": (y, y), "xx": (x, x), "zy": (z, y), "zx": (z, x), "yx": (y, x)}
    given = {name: torch.from_numpy(matrices[:, i, j]) for name, (i, j) in entries.items()}
    return eigenvalues(**given).numpy()


def test_eigenvalues_are_numpys():
    matrices = noise(1000, 3, 3)
    matrices += matrices.transpose(0, 2, 1)
    expected = np.linalg.eigvalsh(matrices.astype(np.float64)).T[::-1]
    np.testing.assert_allclose(eigenvalues_of(matrices), expected, atol=3e-5)


@pytest.mark.parametrize("values", [(2, 1, 1), (2, 2, 1), (1, 1, 1), (0, 0, 0), (0, 0, -3)])
def test_equal_eigenvalues(values):
    turned = np.linalg.qr(noise(200, 3, 3).astype(np.float64))[0]
    matrices = (turned * np.array(values)[:, None, None].T) @ turned.transpose(0, 2, 1)
    found = eigenvalues_of(matrices.astype(np.float32))
    assert np.isfinite(found).all()
    assert (found[0] >= found[1] - 1e-3).all()
    assert (found[1] >= found[2] - 1e-3).all()
    np.testing.assert_allclose(found, np.repeat(np.array([values]).T, 200, axis=1), atol=2e-3)


# --- known values -----------------------------------------------------------------------


@pytest.mark.parametrize("anisotropy", [1.0, 3.0])
def test_smoothed_as_scipy_does(anisotropy):
    image = noise(12, 30, 31)
    for scale, found in zip(SCALES, by_scale(image, anisotropy), strict=True):
        sigma = (scale / anisotropy, scale, scale)
        expected = gaussian_filter(image, sigma, truncate=3.0)
        np.testing.assert_allclose(found[SMOOTH], expected, atol=1e-5)
        variance = gaussian_filter(image**2, sigma, truncate=3.0) - expected**2
        np.testing.assert_allclose(found[DEVIATION], np.sqrt(np.maximum(variance, 0)), atol=1e-3)


def test_a_constant_volume_is_only_seen_smoothed():
    scales = by_scale(np.full((20, 30, 25), 3, np.float32))
    np.testing.assert_allclose(scales[:, SMOOTH], 3, rtol=1e-5)
    np.testing.assert_allclose(scales[:, GRADIENT:DEVIATION], 0, atol=1e-4)
    np.testing.assert_allclose(scales[:, DEVIATION], 0, atol=3e-3)


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("anisotropy", [1.0, 4.0])
def test_a_ramp_has_its_slope_times_the_scale_as_gradient(axis, anisotropy):
    shape = [40, 40, 40]
    # as steep per pixel of the slice along every axis
    steps = np.arange(shape[axis]) * (anisotropy if axis == 0 else 1)
    ramp = np.moveaxis(np.broadcast_to(0.25 * steps.astype(np.float32), shape), -1, axis)
    middle = by_scale(np.ascontiguousarray(ramp), anisotropy)[:, :, 20, 20, 20]
    np.testing.assert_allclose(middle[:, GRADIENT], 0.25 * np.array(SCALES), rtol=1e-3)
    np.testing.assert_allclose(middle[:, LARGEST : SMALLEST + 1], 0, atol=5e-3)


SHARE = 0.716
"""Of a Gaussian of 1.4 pixels, within 1.5 pixels of its middle."""

CURVATURE = 1.4**2 * (0.354 - 2 * SHARE + 0.354) / 4
"""Of a sheet of 3 pixels at scale 1.4: differences of differences; see `test_responses`."""


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize(
    ("axes", "curved"), [(1, [SMALLEST]), (2, [MIDDLE, SMALLEST]), (3, [LARGEST, MIDDLE, SMALLEST])]
)
def test_sheets_lines_and_spots_curve_along_one_two_or_three_axes(axis, axes, curved):
    image = np.zeros((30, 30, 30), np.float32)
    across = [(axis + i) % 3 for i in range(axes)]
    image[tuple(slice(14, 17) if i in across else slice(None) for i in range(3))] = 1
    middle = by_scale(image)[1, :, 15, 15, 15]
    for response in (LARGEST, MIDDLE, SMALLEST):
        if response in curved:
            assert middle[response] == pytest.approx(CURVATURE * SHARE ** (axes - 1), rel=0.1)
        else:
            assert abs(middle[response]) < 1e-3


def test_slices_far_apart_are_told_of_the_same_things():
    """A ball answers alike whether all slices are there or every third one."""
    place = np.stack(np.meshgrid(*(np.arange(45.0) - 22,) * 3, indexing="ij"))
    ball = (1 / (1 + np.exp(np.sqrt((place**2).sum(axis=0)) - 9))).astype(np.float32)
    every, third = by_scale(ball)[2], by_scale(ball[1::3], 3.0)[2]
    at = (slice(4, 11), slice(12, 33), slice(12, 33))
    expected = every[:, 1::3][(slice(None), *at)]
    found = third[(slice(None), *at)]
    for response in range(PER_SCALE):
        correlation = np.corrcoef(found[response].ravel(), expected[response].ravel())[0, 1]
        assert correlation > 0.95, response
    as_if_near = by_scale(ball[1::3])[2][(slice(None), *at)]
    assert np.abs(found - expected).mean() < 0.5 * np.abs(as_if_near - expected).mean()


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 7, 9), (2, 1, 5), (5, 4, 1), (3, 40, 2)])
def test_single_slices_rows_and_columns(shape):
    found = by_scale(noise(*shape))
    assert found.dtype == np.float32
    assert np.isfinite(found).all()


# --- parts and tiles --------------------------------------------------------------------


@pytest.mark.parametrize("anisotropy", [1.0, 2.5])
@pytest.mark.parametrize(
    "part",
    [
        Box(0, (0, 0, 0), (5, 6, 7)),  # a corner
        Box(0, (15, 16, 14), (17, 18, 20)),  # no edge within reach
        Box(0, (30, 20, 33), (31, 37, 36)),  # one slice, up to edges
    ],
)
def test_a_part_with_its_halo_equals_the_whole(part, anisotropy):
    image = noise(1, 40, 37, 36)
    filters = VolumeFeatures(anisotropy)
    whole = filters.of(image, Box.whole(0, image.shape[1:]).slices)
    read = part.grow(filters.reach).clip(image.shape[1:])
    found = filters.of(image[(slice(None), *read.slices)], part.within(read).slices)
    np.testing.assert_allclose(found, whole[(slice(None), *part.slices)], atol=2e-3)


@pytest.mark.parametrize("anisotropy", [1.0, 3.0, 30.0])
@pytest.mark.parametrize("axis", range(3))
def test_a_pixel_that_counts_is_within_reach(axis, anisotropy):
    filters = VolumeFeatures(anisotropy)
    reach = filters.reach[axis]
    shape = [1, 1, 1]
    shape[axis] = 2 * reach + 9
    image = noise(1, *shape)
    changed = image.copy()
    changed[..., -1, -1, -1] += 1000
    whole = Box.whole(0, shape).slices
    differs = np.abs(filters.of(image, whole) - filters.of(changed, whole)).max(axis=0) > 0
    assert shape[axis] - 1 - differs.ravel().argmax() == reach


def test_count_agrees_with_what_comes():
    for channels in (1, 2, MANY_CHANNELS, MANY_CHANNELS + 1):
        found = VolumeFeatures().of(noise(channels, 3, 5, 4), Box.whole(0, (3, 5, 4)).slices)
        assert found.shape == (VolumeFeatures().count(channels), 3, 5, 4)


def test_channels_are_filtered_one_by_one_and_told_themselves():
    image, part = noise(2, 6, 9, 8), Box(0, (1, 2, 3), (4, 9, 7)).slices
    together = VolumeFeatures().of(image, part)
    n = len(SCALES) * PER_SCALE
    for number, channel in enumerate(image):
        alone = VolumeFeatures().of(channel[None], part)
        np.testing.assert_array_equal(together[number * n : (number + 1) * n], alone)
    np.testing.assert_array_equal(together[2 * n :], image[(slice(None), *part)])


def test_many_channels_are_filtered_in_their_mean():
    image, part = noise(MANY_CHANNELS + 1, 4, 5, 6), Box.whole(0, (4, 5, 6)).slices
    found = VolumeFeatures().of(image, part)
    n = len(SCALES) * PER_SCALE
    mean = VolumeFeatures().of(image.mean(axis=0, keepdims=True), part)
    np.testing.assert_array_equal(found[:n], mean)
    np.testing.assert_array_equal(found[n:], image)


def test_tiles_of_a_volume_equal_the_whole(monkeypatch):
    monkeypatch.setattr(features, "TILE", {3: (3, 16, 20)})
    given = NetworkInput(channels=2, convolved=3, anisotropy=2.0)
    pixel_features = PixelFeatures(None, EachPlane(), given)
    slab = SlabPixels.whole((noise(2, 10, 40, 30) * 50 + 100).astype(np.uint16))
    whole = pixel_features.normalisation.for_slab(slab).apply(slab.read(Box.whole(0, (10, 40, 30))))
    expected = pixel_features.of(whole)
    assert len(expected) == pixel_features.count(2)
    tiles = tiles_of_slab((10, 40, 30), Box.whole(0, (10, 40, 30)))
    assert len(tiles) == 4 * 3 * 2
    for tile in tiles:
        found = pixel_features.tile(slab, tile)
        np.testing.assert_allclose(found, expected[(slice(None), *tile.slices)], atol=2e-3)
    pixels = np.array([[0, 0, 0], [9, 39, 29], [5, 20, 11]], np.int32)
    np.testing.assert_allclose(pixel_features.at(slab, pixels).T, expected[:, *pixels.T], atol=2e-3)
    read = pixel_features.reads((100, 400, 300), Box(0, (50, 200, 150), (51, 201, 151)))
    assert all(side < n for side, n in zip(read.shape, (20, 60, 60), strict=True))
