"""Readers: neighbouring slices and several layers as channels."""

import numpy as np
import pytest

from napari_msd.core.box import Box
from napari_msd.core.space import MAX_ANISOTROPY, Space
from napari_msd.images.sources import (
    ArraySource,
    channels_together,
    in_mode,
    with_context,
)

STACK = np.arange(4 * 3 * 5).reshape(4, 3, 5)
SPACE = Space("ZYX", STACK.shape)


def plane(z: int) -> Box:
    return Box(0, (z, 0, 0), (z + 1, 3, 5))


def test_neighbours_are_channels_in_the_order_of_the_slices() -> None:
    read = with_context(ArraySource(STACK, SPACE).read, SPACE, 1)
    found = read(plane(2))
    assert found.shape == (1, 3, 5, 3)
    for channel, z in enumerate((1, 2, 3)):
        np.testing.assert_array_equal(found[0, ..., channel], STACK[z])


def test_beyond_the_ends_the_stack_is_mirrored_about_its_last_slice() -> None:
    read = with_context(ArraySource(STACK, SPACE).read, SPACE, 2)
    found = read(plane(3))[0]
    for channel, z in enumerate((1, 2, 3, 2, 1)):
        np.testing.assert_array_equal(found[..., channel], STACK[z])


def test_several_slices_at_once_equal_each_alone() -> None:
    read = with_context(ArraySource(STACK, SPACE).read, SPACE, 1)
    together = read(Box(0, (0, 1, 1), (4, 3, 4)))
    for z in range(4):
        np.testing.assert_array_equal(together[z], read(plane(z))[0, 1:3, 1:4])


def test_a_single_slice_has_itself_as_neighbours() -> None:
    one = STACK[:1]
    read = with_context(ArraySource(one, Space("ZYX", one.shape)).read, Space("ZYX", one.shape), 1)
    np.testing.assert_array_equal(read(plane(0))[0, ..., 0], one[0])


def test_channels_of_several_images_are_put_together() -> None:
    colours = np.stack([STACK, STACK + 100, STACK + 200], axis=-1)
    read = channels_together([lambda box: STACK[box.slices], lambda box: colours[box.slices]])
    found = read(plane(1))
    assert found.shape == (1, 3, 5, 4)
    np.testing.assert_array_equal(found[..., 3], STACK[1:2] + 200)


def test_a_mode_that_is_not_possible_is_2d() -> None:
    flat = Space("YX", (3, 5))
    _, seen = in_mode(lambda box: STACK[0][box.slices], flat, "3d")
    assert seen == flat
    _, seen = in_mode(lambda box: STACK[box.slices], SPACE, "2.5d", 2)
    assert (seen.context, seen.network_input.values, seen.mode) == (2, 5, "2.5d")


def test_a_time_series_has_no_slices() -> None:
    assert Space("TYX", (4, 3, 5)).modes == ("2d",)
    assert SPACE.modes == ("2d", "2.5d", "3d")


def test_anisotropy_needs_one_unit() -> None:
    sizes, units = (0.5, 0.2, 0.2), ("micrometer",) * 3
    space = Space("ZYX", STACK.shape, 3, pixel_size=sizes, units=units)
    assert space.anisotropy == 2.5
    assert space.network_input.anisotropy == 2.5
    odd = Space("ZYX", STACK.shape, 3, pixel_size=sizes, units=("pixel", "nm", "nm"))
    assert odd.anisotropy == 1.0


@pytest.mark.parametrize(
    ("sizes", "found"),
    [
        ((1e7, 1.0, 1.0), MAX_ANISOTROPY),
        ((1e-200, 1e-200, 1e-200), 1.0),
        ((1e300, 1e-300, 1e-300), MAX_ANISOTROPY),
        ((0.1, 1.0, 1.0), 1.0),
        ((0.5, 0.1, 0.1), 5.0),  # exactly
        ((0.3, 0.3, 0.3), 1.0),
        ((0.7, 0.7, 0.7), 1.0),
    ],
)
def test_pixel_sizes_that_cannot_be_give_a_network_that_can_be_saved(
    sizes: tuple[float, ...], found: float
) -> None:
    assert Space("ZYX", STACK.shape, 3, pixel_size=sizes).anisotropy == found
