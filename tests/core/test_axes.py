"""Arrays with lettered axes in any order, as a Space knows them."""

import numpy as np
import pytest

from napari_msd.core.axes import AxisOrder
from napari_msd.core.box import Box
from napari_msd.core.errors import ImageError


def order_of(array, axes=None):
    return AxisOrder.of(array.shape, array.dtype, axes)


@pytest.mark.parametrize(
    ("shape", "axes", "found", "space", "channels"),
    [
        ((5, 6), None, "YX", (5, 6), 1),
        ((5, 6, 3), None, "YX", (5, 6), 3),
        ((3, 5, 6), "CYX", "YX", (5, 6), 3),
        ((2, 5, 6), "zyx", "ZYX", (2, 5, 6), 1),
        ((2, 3, 2, 5, 6), "TCZYX", "TZYX", (2, 2, 5, 6), 3),
        ((2, 4, 5, 6), "ZTYX", "TZYX", (4, 2, 5, 6), 1),
        ((5, 6, 4), "YXS", "YX", (5, 6), 4),
        ((6, 5, 2), "XYZ", "ZYX", (2, 5, 6), 1),
    ],
)
def test_space(shape, axes, found, space, channels):
    order = AxisOrder.of(shape, np.dtype(np.uint8), axes)
    about = order.space()
    assert (about.axes, about.shape, about.n_channels) == (found, space, channels)


def test_sizes_and_units_go_with_their_axes():
    order = AxisOrder("XCZY", (6, 2, 3, 5))
    space = order.space((0.1, 1.0, 2.0, 0.2), ("um", "pixel", "mm", "nm"), ("a", "b"))
    assert (space.pixel_size, space.units) == ((2.0, 0.2, 0.1), ("mm", "nm", "um"))
    assert space.channel_names == ("a", "b")


def test_boxes_are_the_right_pixels():
    data = np.random.default_rng(0).random((2, 3, 4, 5, 6))
    order = order_of(data, "TCZYX")
    box = Box(0, (1, 2, 0, 1), (2, 4, 3, 5))
    part = order.in_space(data[order.slices(box)])
    np.testing.assert_array_equal(part, np.moveaxis(data[1:2, :, 2:4, 0:3, 1:5], 1, -1))
    np.testing.assert_array_equal(order.from_space(part), data[order.slices(box)])


def test_labels_have_the_images_axes_without_channels():
    order = AxisOrder("XCZY", (6, 2, 3, 5)).labels
    assert (order.axes, order.shape) == ("XZY", (6, 3, 5))
    labels = np.zeros(order.shape)
    box = Box(0, (1, 0, 0), (2, 5, 6))
    labels[order.slices(box)] = order.from_space(np.ones(box.shape))
    assert labels[:, 1].all()
    assert labels.sum() == 30


def test_an_axis_of_one_channel_is_left_out():
    data = np.random.default_rng(0).random((1, 5, 6))
    order = order_of(data, "CYX")
    np.testing.assert_array_equal(order.in_space(data), data[0])
    np.testing.assert_array_equal(order.from_space(data[0]), data)


@pytest.mark.parametrize(
    ("data", "axes", "sentence"),
    [
        (np.zeros((7, 5, 6)), None, "name its axes"),
        (np.zeros((7, 5, 6)), "YX", "do not fit"),
        (np.zeros((5, 6)), "YY", "do not fit"),
        (np.zeros((0, 6)), None, "empty"),
        (np.zeros((5, 6), complex), None, "complex128"),
        (np.zeros(5), None, "name its axes"),
    ],
)
def test_wrong_axes(data, axes, sentence):
    with pytest.raises(ImageError, match=sentence):
        order_of(data, axes)
