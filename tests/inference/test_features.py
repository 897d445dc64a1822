"""Features of pixels: the same whichever way they are asked for, and not kept for ever."""

import gc
import tracemalloc

import numpy as np
import pytest
import torch

from napari_msd.core.box import Box
from napari_msd.core.space import NetworkInput
from napari_msd.inference import EachPlane, Normalisation, SlabPixels, features
from napari_msd.inference.features import PixelFeatures, SlabCache, tiles_of_slab
from napari_msd.inference.plane_features import MANY_CHANNELS
from napari_msd.inference.responses import PER_SCALE, SCALES, n_responses
from napari_msd.network import MSDNet

SHAPE = (100, 90)


def small_bank() -> MSDNet:
    torch.manual_seed(0)
    bank = MSDNet(1, 4, depth=3, dilations=(1, 2, 4))
    with torch.no_grad():
        for parameter in bank.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.4)
            parameter.requires_grad_(False)
    return bank


def grey_values(channels: int = 1, seed: int = 1) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(100, 20, (channels, *SHAPE))
    return noise.astype(np.uint16)


def plane_of(channels: int = 1, seed: int = 1) -> SlabPixels:
    return SlabPixels.whole(grey_values(channels, seed))


def some_slab() -> SlabPixels:
    return SlabPixels(1, (2, 2))


@pytest.fixture
def pixel_features() -> PixelFeatures:
    return PixelFeatures(small_bank(), EachPlane(), NetworkInput())


@pytest.fixture
def small_tiles(monkeypatch) -> None:
    monkeypatch.setattr(features, "TILE", {2: (32, 32)})


def at_once(pixel_features: PixelFeatures, plane: SlabPixels) -> np.ndarray:
    pixels = plane.read(Box.whole(0, SHAPE))
    return pixel_features.of(pixel_features.normalisation.for_slab(plane).apply(pixels))


def assert_same(pixel_features: PixelFeatures, found: np.ndarray, expected: np.ndarray) -> None:
    """Bit for bit, but for maps that torch made: it may add in another order."""
    n_maps = pixel_features.bank.n_classes
    np.testing.assert_array_equal(found[:-n_maps], expected[:-n_maps])
    tolerance = 1e-5 if pixel_features.bank.backend_in_use == "torch" else 0
    np.testing.assert_allclose(found[-n_maps:], expected[-n_maps:], rtol=0, atol=tolerance)


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("channels", [1, 2, MANY_CHANNELS + 1])
def test_tiles_equal_the_whole_plane(pixel_features, channels):
    plane = plane_of(channels)
    expected = at_once(pixel_features, plane)
    tiles = tiles_of_slab(SHAPE, Box.whole(0, SHAPE))
    assert len(tiles) == 12
    for tile in tiles:
        found = pixel_features.tile(plane, tile)
        assert found.dtype == np.float32
        assert_same(pixel_features, found, expected[(slice(None), *tile.slices)])


@pytest.mark.usefixtures("small_tiles")
def test_single_pixels_have_the_features_of_their_tile(pixel_features):
    plane = plane_of(2)
    pixels = np.array([[0, 0], [99, 89], [31, 33], [40, 2], [40, 3], [40, 2]], np.int32)
    found = pixel_features.at(plane, pixels)
    assert found.shape == (6, pixel_features.count(2))
    assert_same(pixel_features, found.T, at_once(pixel_features, plane)[:, *pixels.T])


@pytest.mark.usefixtures("small_tiles")
def test_only_tiles_with_such_pixels_are_computed(pixel_features, monkeypatch):
    plane, asked = plane_of(), []
    tile = pixel_features.tile
    monkeypatch.setattr(pixel_features, "tile", lambda p, t: asked.append(t) or tile(p, t))
    pixels = np.array([[1, 1], [98, 88]], np.int32)
    pixel_features.at(plane, pixels)
    assert sorted(t.start for t in asked) == [(0, 0), (75, 60)]
    pixel_features.at(plane, pixels.copy())
    assert len(asked) == 2
    pixel_features.at(plane, pixels[:1])
    assert len(asked) == 3


@pytest.mark.parametrize("channels", [1, 2, 3, MANY_CHANNELS, MANY_CHANNELS + 1, 30])
def test_count_agrees_with_what_comes(pixel_features, channels):
    assert len(at_once(pixel_features, plane_of(channels))) == pixel_features.count(channels)


def test_many_channels_are_filtered_in_their_mean(pixel_features):
    pixels = np.random.default_rng(0).normal(size=(MANY_CHANNELS + 1, 30, 20)).astype(np.float32)
    found = pixel_features.of(pixels)
    mean = pixels.mean(axis=0, keepdims=True)
    of_mean = pixel_features.of(mean)
    n = n_responses(1)
    np.testing.assert_array_equal(found[:n], of_mean[:n])
    np.testing.assert_array_equal(found[n : n + len(pixels)], pixels)
    np.testing.assert_array_equal(found[n + len(pixels) :], of_mean[n:])
    few = pixel_features.of(pixels[:MANY_CHANNELS])
    assert len(few) == MANY_CHANNELS * (len(SCALES) * PER_SCALE + 1) + pixel_features.bank.n_classes


def test_planes_are_normalised_first(pixel_features):
    plane = plane_of()
    darker = SlabPixels.whole(grey_values().astype(np.float32) / 4 - 7)
    tile = Box.whole(0, SHAPE)
    np.testing.assert_allclose(
        pixel_features.tile(darker, tile), pixel_features.tile(plane, tile), atol=2e-4
    )
    fixed = PixelFeatures(pixel_features.bank, Normalisation((100.0,), (20.0,)), NetworkInput())
    assert np.abs(fixed.tile(darker, tile) - fixed.tile(plane, tile)).max() > 1


# --- what is kept -----------------------------------------------------------------------


def test_a_plane_of_the_same_content_is_another_plane(pixel_features):
    plane = plane_of()
    tile = Box.whole(0, SHAPE)
    first = pixel_features.tile(plane, tile)
    assert pixel_features.tile(plane, tile) is first
    assert pixel_features.tile(plane_of(), tile) is not first


def test_a_slab_in_the_place_of_another_is_another(monkeypatch):
    """Python gives a new object the address, and so the id, of one that has just gone."""
    monkeypatch.setattr(features, "id", lambda plane: 1, raising=False)
    cache = SlabCache[str, str](100)
    one, other = some_slab(), some_slab()
    cache.put(one, "part", "one", 10)
    assert entry(cache, one) == "one"
    assert entry(cache, other) is None


def test_other_pixels_of_the_same_box_are_other_pixels(pixel_features):
    plane = plane_of()
    pixels = np.array([[5, 5], [20, 30], [50, 60]], np.int32)
    other = np.array([[5, 60], [20, 31], [50, 5]], np.int32)
    expected = at_once(pixel_features, plane)
    for asked in (pixels, other, pixels[::-1]):
        assert_same(pixel_features, pixel_features.at(plane, asked).T, expected[:, *asked.T])


def entry(cache: SlabCache[str, str], plane: SlabPixels) -> str | None:
    return cache.get(plane, "part")


def test_the_oldest_go_when_there_is_too_much():
    cache = SlabCache[str, str](100)
    planes = [some_slab() for _ in range(4)]
    for number, plane in enumerate(planes[:3]):
        cache.put(plane, "part", str(number), 40)
    assert [entry(cache, plane) for plane in planes[:3]] == [None, "1", "2"]
    assert entry(cache, planes[1]) == "1"  # so it is younger than the other
    cache.put(planes[3], "part", "3", 40)
    assert [entry(cache, plane) for plane in planes] == [None, "1", None, "3"]


def test_one_entry_may_be_larger_than_the_limit():
    cache = SlabCache[str, str](100)
    small, large = some_slab(), some_slab()
    cache.put(small, "part", "small", 10)
    cache.put(large, "part", "large", 1000)
    assert (entry(cache, small), entry(cache, large)) == (None, "large")
    cache.put(small, "part", "small", 10)
    assert (entry(cache, small), entry(cache, large)) == ("small", None)


def test_an_entry_put_again_counts_once():
    cache = SlabCache[str, str](100)
    one, other = some_slab(), some_slab()
    cache.put(other, "part", "other", 40)
    for _ in range(5):
        cache.put(one, "part", "one", 40)
    assert entry(cache, other) == "other"


def test_a_slab_that_is_gone_is_forgotten_and_makes_room():
    cache = SlabCache[str, str](100)
    planes = [some_slab() for _ in range(2)]
    for plane in planes:
        cache.put(plane, "part", "x", 50)
    del plane, planes[1]  # the younger one: by age the other would go
    gc.collect()
    new = some_slab()
    cache.put(new, "part", "new", 50)
    assert entry(cache, planes[0]) == "x"
    assert entry(cache, new) == "new"


def test_parts_of_one_plane_are_apart():
    cache = SlabCache[Box, str](100)
    plane = some_slab()
    cache.put(plane, Box(0, (0, 0), (1, 1)), "one", 10)
    cache.put(plane, Box(0, (0, 1), (1, 2)), "other", 10)
    assert cache.get(plane, Box(0, (0, 0), (1, 1))) == "one"
    assert cache.get(plane, Box(0, (1, 1), (2, 2))) is None


@pytest.mark.usefixtures("small_tiles")
def test_features_of_many_planes_take_bounded_memory(monkeypatch):
    one_tile = 4 * 32 * 32 * 40
    monkeypatch.setattr(features, "FEATURE_BYTES", 4 * one_tile)
    monkeypatch.setattr(features, "ROW_BYTES", 1000)
    pixel_features = PixelFeatures(small_bank(), EachPlane(), NetworkInput())
    planes = [plane_of(seed=seed) for seed in range(6)]
    pixels = np.argwhere(np.ones((20, 20), bool)).astype(np.int32)
    pixel_features.at(planes[0], pixels)  # whatever is made once
    tracemalloc.start()
    for plane in planes:
        for tile in tiles_of_slab(SHAPE, Box.whole(0, SHAPE)):
            pixel_features.tile(plane, tile)
        pixel_features.at(plane, pixels)
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert kept < 6 * one_tile  # and not 6 * 12
