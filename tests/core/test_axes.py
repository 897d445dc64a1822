"""Arrays with lettered axes, seen as planes."""

import numpy as np
import pytest

from napari_msd.core.axes import Stack
from napari_msd.core.errors import ImageError


@pytest.mark.parametrize(
    ("shape", "axes", "plane_shape", "channels", "planes"),
    [
        ((5, 6), None, (5, 6), 1, [()]),
        ((5, 6, 3), None, (5, 6), 3, [()]),
        ((3, 5, 6), "CYX", (5, 6), 3, [()]),
        ((2, 5, 6), "zyx", (5, 6), 1, [(0,), (1,)]),
        ((2, 3, 2, 5, 6), "TCZYX", (5, 6), 3, [(0, 0), (0, 1), (1, 0), (1, 1)]),
        ((5, 6, 4), "YXS", (5, 6), 4, [()]),
    ],
)
def test_planes(shape, axes, plane_shape, channels, planes):
    stack = Stack.of(np.arange(np.prod(shape)).reshape(shape), axes)
    assert (stack.plane_shape, stack.n_channels) == (plane_shape, channels)
    assert list(stack.plane_keys()) == planes
    for key in planes:
        assert stack.plane(key).shape == (
            plane_shape if channels == 1 else (*plane_shape, channels)
        )


def test_planes_are_the_right_ones():
    data = np.random.default_rng(0).random((2, 3, 4, 5, 6))
    stack = Stack.of(data, "TCZYX")
    assert np.array_equal(stack.plane((1, 2)), np.moveaxis(data[1, :, 2], 0, -1))
    assert stack.label_shape == (2, 4, 5, 6)
    labels = np.zeros(stack.label_shape)
    Stack(labels, stack.label_axes).plane((1, 2))[...] = 1
    assert labels[1, 2].all()
    assert labels.sum() == 30


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
        Stack.of(data, axes)
