"""Reading at a fraction of the resolution: means, pyramids, and readers that pass it on."""

import numpy as np
import pytest

from napari_msd.core.box import Box
from napari_msd.core.source import ReducedReader
from napari_msd.core.space import Space
from napari_msd.images import reduced
from napari_msd.images.reduced import PyramidReader, read_reduced
from napari_msd.images.sources import channels_together, with_context


@pytest.mark.parametrize("scale", [2, 4])
def test_thinned_pixels_are_means(scale: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reduced, "BAND_PIXELS", 40)  # several bands
    image = np.random.default_rng(0).normal(size=(2, 19, 14, 3))
    box = Box(0, (1, 4, 0), (2, 19, 14))
    found = read_reduced(lambda part: image[part.slices], box, scale)
    assert found.shape == (*box.reduced_shape(scale), 3)
    part = image[1, 4:19]
    for i, j in np.ndindex(found.shape[1:3]):
        square = part[i * scale : (i + 1) * scale, j * scale : (j + 1) * scale]
        np.testing.assert_allclose(found[0, i, j], square.mean(axis=(0, 1)), rtol=1e-5)


def test_a_pyramid_is_asked_for_its_own_thinned_pixels() -> None:
    class Pyramid:
        def __call__(self, box: Box, /) -> np.ndarray:
            raise AssertionError("the full resolution was read")

        def reduced(self, box: Box, scale: int, /) -> np.ndarray:
            return np.full(box.reduced_shape(scale), scale)

    assert (read_reduced(Pyramid(), Box(0, (0, 0, 0), (1, 3, 5)), 4) == 4).all()


IMAGE = np.random.default_rng(1).normal(size=(3, 65, 50)).astype(np.float32)


def pyramid_of(image: np.ndarray, steps: tuple[int, ...]) -> PyramidReader:
    return PyramidReader([image[:, ::step, ::step] for step in steps], 3)


def test_a_pyramid_reads_the_coarsest_level_that_is_fine_enough() -> None:
    read = pyramid_of(IMAGE, (1, 2, 4))
    box = Box(0, (1, 8, 16), (2, 65, 50))
    np.testing.assert_array_equal(read(box), IMAGE[box.slices])
    np.testing.assert_array_equal(read.reduced(box, 4), IMAGE[1:2, 8:65:4, 16:50:4])
    eighth = read.reduced(box, 8)
    assert eighth.shape == box.reduced_shape(8)
    quarter = IMAGE[1, 8:65:4, 16:50:4]
    np.testing.assert_allclose(eighth[0, 0, 0], quarter[:2, :2].mean(), rtol=1e-5)


def test_levels_of_other_factors_are_passed_over() -> None:
    read = pyramid_of(IMAGE, (1, 3))
    box = Box.whole(0, IMAGE.shape)
    expected = read_reduced(lambda part: IMAGE[part.slices], box, 4)
    np.testing.assert_allclose(read.reduced(box, 4), expected, rtol=1e-5)


def test_a_level_that_lost_its_last_row_is_filled_up() -> None:
    read = PyramidReader([IMAGE, IMAGE[:, :64:2, ::2]], 3)
    box = Box.whole(0, IMAGE.shape)
    assert read.reduced(box, 2).shape == box.reduced_shape(2)


def test_levels_with_fewer_slices_give_the_nearest_ones() -> None:
    image = np.broadcast_to(np.arange(8.0)[:, None, None], (8, 16, 16))
    read = PyramidReader([image, image[::2, ::2, ::2] + 0.5], 3)
    found = read.reduced(Box(0, (5, 0, 0), (8, 16, 16)), 2)
    assert found[:, 0, 0].tolist() == [4.5, 6.5, 6.5]
    assert found.shape == (3, 8, 8)


def test_no_level_is_read_as_a_whole_if_it_is_much_finer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reduced, "BAND_PIXELS", 200)
    sizes = []

    class Level:
        shape = IMAGE.shape

        def __getitem__(self, key: tuple[slice, ...]) -> np.ndarray:
            sizes.append(IMAGE[key].size)
            return IMAGE[key]

    box = Box(0, (1, 0, 0), (2, 65, 50))
    found = PyramidReader([Level()], 3).reduced(box, 4)
    np.testing.assert_allclose(found, read_reduced(lambda part: IMAGE[part.slices], box, 4))
    assert max(sizes) <= 200


def test_channels_and_neighbours_are_read_thinned_too() -> None:
    read = pyramid_of(IMAGE, (1, 2))
    both = channels_together([read, read])
    space = Space("ZYX", IMAGE.shape)
    stacked = with_context(both, space, 1)
    assert isinstance(stacked, ReducedReader)
    box = Box(0, (1, 0, 0), (2, 65, 50))
    found = read_reduced(stacked, box, 2)
    assert found.shape == (*box.reduced_shape(2), 6)
    np.testing.assert_array_equal(found[0, ..., 0], IMAGE[0, ::2, ::2])
    np.testing.assert_array_equal(found[0, ..., 5], IMAGE[2, ::2, ::2])
