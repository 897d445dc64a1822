"""Planes that are standardised one by one."""

import numpy as np
import pytest

from napari_msd.inference import EachPlane, Normalisation, SlabPixels

SHAPE = (128, 120)


def image(seed: int = 0, channels: int = 1) -> np.ndarray:
    """Two kinds of ground, with noise: (C, Y, X) around 100, not negative."""
    random = np.random.default_rng(seed)
    grey = random.normal(100, 8, (channels, *SHAPE))
    grey[:, :, 70:] += 30
    return grey


def standardised(plane: np.ndarray) -> np.ndarray:
    return EachPlane().for_slab(SlabPixels.whole(plane)).apply(plane)


def assert_about(found: Normalisation, expected: Normalisation, share: float = 0.05) -> None:
    """The same median within a share of the spread, and the same spread within this share."""
    spread = np.array(expected.std)
    np.testing.assert_allclose(found.std, spread, rtol=share)
    assert (np.abs(np.subtract(found.mean, expected.mean)) <= share * spread).all()


def test_it_does_not_matter_which_plane_came_first():
    one, other = SlabPixels.whole(image(1)), SlabPixels.whole(7 * image(2) - 300)
    forwards, backwards = EachPlane(), EachPlane()
    first = [forwards.for_slab(one), forwards.for_slab(other)]
    second = [backwards.for_slab(other), backwards.for_slab(one)][::-1]
    assert first == second
    assert first[0] != first[1]
    assert forwards.for_slab(one) == first[0]


def test_median_and_spread():
    values = np.arange(1001, dtype=np.float64).reshape(1, 7, 143)
    found = Normalisation.robust(values)
    assert found.mean == (500.0,)
    assert found.std[0] == pytest.approx(np.sqrt((1001**2 - 1) / 12), rel=1e-3)
    tails = np.repeat([0.0, 1.0, 9.0, 10.0], [20, 480, 480, 20])[None, None]
    assert Normalisation.robust(tails).std[0] == pytest.approx(tails.std(), rel=1e-6)
    wide = np.repeat([0.0, 5.0, 10.0], [60, 900, 60])[None, None]  # the quantiles see more
    assert Normalisation.robust(wide).std[0] == pytest.approx(10 / 3.29)


@pytest.mark.parametrize("rare", [0.03, 0.04, 0.06, 0.08])
def test_the_share_of_a_rare_class_changes_the_spread_but_little(rare):
    """The quantiles alone jumped by a factor of three where it grew beyond 5 %."""
    n = round(10_000 * rare)
    grey = np.repeat([100.0, 0.0], [10_000 - n, n]) + np.random.default_rng(0).normal(0, 5, 10_000)
    assert 14 < Normalisation.robust(grey[None, None]).std[0] < 36


@pytest.mark.parametrize(("gain", "offset"), [(0.25, 0.0), (1.0, 900.0), (0.1, 40.0), (30.0, -5.0)])
def test_darker_and_fainter_copies_are_the_same(gain, offset):
    plane = image()
    np.testing.assert_allclose(
        standardised(gain * plane + offset), standardised(plane), rtol=0, atol=1e-5
    )


def test_other_types_of_the_same_numbers_are_the_same():
    plane = image().round()
    for dtype in (np.uint8, np.uint16, np.int32, np.float32):
        np.testing.assert_array_equal(standardised(plane.astype(dtype)), standardised(plane))


@pytest.mark.parametrize("value", [65_535.0, 1e6, -1e6])
def test_a_few_hot_pixels_do_not_count(value):
    plane = image()
    hot = plane.copy()
    hot[0].ravel()[np.random.default_rng(1).integers(0, plane.size, 6)] = value
    assert_about(Normalisation.robust(hot), Normalisation.robust(plane))


def test_rare_bright_spots_count():
    """The quantiles see nothing but noise there; contrast is not to be blown up to that."""
    plane = np.random.default_rng(0).normal(10, 1, (1, *SHAPE))
    plane[0, 40:50, 40:60] += 200  # 1.3 % of the pixels
    assert np.abs(standardised(plane)).max() < 35


@pytest.mark.parametrize("value", [0.0, 4095.0])
@pytest.mark.parametrize("width", [30, 60])
def test_an_empty_border_does_not_count(value, width):
    plane = image()
    inside = plane[:, :, width:-10].copy()
    plane[:, :, :width] = plane[:, :, -10:] = value
    assert_about(Normalisation.robust(plane), Normalisation.robust(inside), share=1e-6)


def test_empty_on_both_ends():
    plane = image()
    inside = plane[:, :, 30:80].copy()
    plane[:, :, :30], plane[:, :, 80:] = 0, 4095
    assert Normalisation.robust(plane) == Normalisation.robust(inside)


def test_the_darkest_value_counts_where_there_is_little_of_it():
    plane = image()
    few = plane.copy()
    few[:, :12] = 0
    assert Normalisation.robust(few).std[0] > 1.1 * Normalisation.robust(plane).std[0]


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5, 0.7, 0.95])
def test_two_values_are_not_taken_for_a_border(share):
    """A mask, or a drawing: what would be left of it has no contrast."""
    plane = np.zeros((1, 100, 100), np.uint8)
    plane[0].ravel()[: round(share * 10_000)] = 200
    found = standardised(plane)
    assert 0.5 < found.max() - found.min() < 20
    fainter = (plane / 4 + 3).astype(np.float32)
    np.testing.assert_allclose(standardised(fainter), found, atol=1e-5)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_does_not_count_and_becomes_the_median(value):
    plane = image()
    holed = plane.copy()
    holed[0, 10:13] = value
    assert_about(Normalisation.robust(holed), Normalisation.robust(plane))
    found = standardised(holed)
    assert (found[0, 10:13] == 0).all()
    assert np.isfinite(found).all()


@pytest.mark.parametrize("value", [0, 7.5, -3])
def test_a_constant_channel_is_only_shifted(value):
    plane = np.concatenate([image(), np.full((1, *SHAPE), value)])
    found = Normalisation.robust(plane)
    assert (found.mean[1], found.std[1]) == (value, 1.0)
    assert (standardised(plane)[1] == 0).all()


def test_a_channel_without_numbers_and_an_empty_plane():
    none = Normalisation((0.0,), (1.0,), compressed=True)
    assert Normalisation.robust(np.full((1, *SHAPE), np.nan)) == none
    two = Normalisation((0.0, 0.0), (1.0, 1.0), compressed=True)
    assert Normalisation.robust(np.zeros((2, 0, 5))) == two


def test_far_off_values_keep_their_order_and_not_their_distance():
    grey = np.array([[[-1e4, -30.0, -3.0, -1.0, 0.0, 2.0, 3.0, 4.0, 1e6]]])
    found = Normalisation((0.0,), (1.0,), compressed=True).apply(grey)[0, 0]
    np.testing.assert_allclose(found[2:7], grey[0, 0, 2:7])
    assert (np.diff(found) > 0).all()
    assert np.abs(found).max() < 20
    np.testing.assert_array_equal(Normalisation((0.0,), (1.0,)).apply(grey)[0, 0], grey[0, 0])


def test_channels_are_measured_one_by_one():
    plane = image(channels=3) * [[[1]], [[50]], [[0.01]]]
    found = Normalisation.robust(plane)
    for number, channel in enumerate(plane):
        alone = Normalisation.robust(channel[None])
        assert (found.mean[number], found.std[number]) == (alone.mean[0], alone.std[0])


def test_of_a_large_plane_an_even_sample_is_looked_at():
    """Its lower right part counts as much as any other."""
    plane = np.zeros((1, 1200, 1000), np.float32)
    plane[0] = np.random.default_rng(0).normal(0, 1, (1200, 1000))
    plane[0, 600:] += 10
    found = Normalisation.robust(plane)
    assert 1 < found.mean[0] < 9
    assert found.std[0] == pytest.approx(plane.std(), rel=0.01)


def test_a_plane_is_measured_once(monkeypatch):
    seen = []
    robust = Normalisation.robust
    monkeypatch.setattr(Normalisation, "robust", lambda plane: seen.append(plane) or robust(plane))
    each, plane = EachPlane(), SlabPixels.whole(image())
    for _ in range(3):
        each.for_slab(plane)
    assert len(seen) == 1
    each.for_slab(SlabPixels.whole(image()))
    assert len(seen) == 2


def test_a_slab_in_the_place_of_another_is_measured_anew():
    """Python gives a new object the address, and so the id, of one that has just gone."""
    each = EachPlane()
    for gain in range(1, 9):
        data = gain * image()
        plane = SlabPixels.whole(data)
        assert each.for_slab(plane) == Normalisation.robust(data)
        del plane


def test_planes_that_are_gone_are_forgotten():
    each = EachPlane()
    for _ in range(5):
        each.for_slab(SlabPixels.whole(image()))
    assert len(each._known) == 1
