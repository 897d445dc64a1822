"""Every backend against the reference in float32, bit for bit: see `oracle.assert_exact`.

The CUDA core takes float32 and 16-bit maps block by block of 8 channels: a depth of 20 makes three
blocks.
"""

from __future__ import annotations

import pytest

from napari_msd.native import set_threads

from .oracle import BOUNDARIES, on, size_text

every_boundary = pytest.mark.parametrize("boundary", BOUNDARIES)

SIZES = [(1, 1), (2, 3), (17, 1), (1, 129), (33, 17), (7, 300)]


@every_boundary
@pytest.mark.parametrize("size", SIZES, ids=size_text)
@pytest.mark.parametrize("width", [1, 3])
def test_float32_bit_for_bit(case, make_exact_net, assert_exact, size, boundary, width):
    dilations = (1, 2, 7, 40)
    net = make_exact_net(
        2, 3, depth=20 // width, width=width, dilations=dilations, boundary=boundary
    )
    assert_exact(case, net, (2, 2, *size))


@every_boundary
@pytest.mark.parametrize("size", [(1, 1, 1), (4, 9, 17)], ids=size_text)
def test_three_dimensions_bit_for_bit(case, make_exact_net, assert_exact, size, boundary):
    net = make_exact_net(2, 3, depth=6, width=2, dilations=(1, 2, 7), ndim=3, boundary=boundary)
    assert_exact(case, net, (2, 2, *size))


@every_boundary
@pytest.mark.parametrize("along_z", [(1, 1, 3), (7, 1)], ids=str)
def test_other_dilations_along_z_bit_for_bit(case, make_exact_net, assert_exact, along_z, boundary):
    # Enough layers for three blocks of a core, whose lag follows the dilations along z.
    net = make_exact_net(
        depth=20, dilations=(1, 2, 7), dilations_z=along_z, ndim=3, boundary=boundary
    )
    assert_exact(case, net, (1, 1, 6, 7, 17))


@pytest.mark.parametrize("depth", [1, 7, 8, 9, 25])
def test_depths_around_the_blocks_bit_for_bit(case, make_exact_net, assert_exact, depth):
    assert_exact(case, make_exact_net(depth=depth), (1, 1, 12, 13))


@pytest.mark.parametrize("width", [2, 3, 9, 17])
def test_wide_layers_bit_for_bit(case, make_exact_net, assert_exact, width):
    # 4 and 2 layers to a block; one layer of more channels than a sweep takes at a time.
    net = make_exact_net(9, 2, depth=5, width=width, dilations=(1, 4, 2, 7))
    assert_exact(case, net, (1, 9, 6, 11))


@every_boundary
@pytest.mark.parametrize("dilations", [(1, 2, 5), (127, 3), (200, 1)], ids=str)
def test_rows_wider_than_a_tile_bit_for_bit(
    case, make_exact_net, assert_exact, dilations, boundary
):
    # Two pieces, three with a wide halo, and a reach that makes blocks go the direct way.
    net = make_exact_net(depth=17, dilations=dilations, boundary=boundary)
    assert_exact(case, net, (1, 1, 2, 601))


def test_more_pixels_than_one_run_of_a_sum_bit_for_bit(case, make_exact_net, assert_exact):
    assert_exact(case, make_exact_net(depth=9), (1, 1, 50, 51))


# Images whose maps do not stay in a cache (more than 8 MiB), behind so many channels that what
# these give to a block of layers is added up long before the layers themselves come.


@on("cpu")
def test_large_images_of_many_channels_bit_for_bit(case, make_exact_net, assert_exact):
    # Two blocks. Rings of most layers are shorter than a third of the image.
    net = make_exact_net(40, 2, depth=13, dilations=(1, 3, 2, 1, 5, 1, 2))
    for threads in (1, 2, 3):
        set_threads(threads)
        assert_exact(case, net, (1, 40, 128, 330))


@on("cpu")
def test_large_volumes_of_many_channels_bit_for_bit(case, make_exact_net, assert_exact):
    net = make_exact_net(40, 2, depth=5, dilations=(1, 2, 1), dilations_z=(1, 3, 1), ndim=3)
    for threads in (1, 2, 3):
        set_threads(threads)
        assert_exact(case, net, (1, 40, 12, 16, 245))


@on("gpu")
@every_boundary
@pytest.mark.parametrize("width", [1, 3])
def test_an_image_of_many_tiles_bit_for_bit(case, make_exact_net, assert_exact, width, boundary):
    net = make_exact_net(
        2, 3, depth=21 // width, width=width, dilations=(1, 2, 7, 40), boundary=boundary
    )
    assert_exact(case, net, (3, 2, 40, 700))


@on("gpu")
@pytest.mark.parametrize("size", [(9, 17, 33)], ids=size_text)
def test_a_volume_of_many_tiles_bit_for_bit(case, make_exact_net, assert_exact, size):
    net = make_exact_net(2, 3, depth=6, width=2, dilations=(1, 2, 7), ndim=3)
    assert_exact(case, net, (2, 2, *size))


@on("gpu")
@every_boundary
def test_many_tiles_with_other_dilations_along_z_bit_for_bit(
    case, make_exact_net, assert_exact, boundary
):
    net = make_exact_net(
        depth=20, dilations=(1, 2, 7), dilations_z=(1, 1, 3), ndim=3, boundary=boundary
    )
    assert_exact(case, net, (2, 1, 9, 17, 33))


# --- the shapes of training --------------------------------------------------------------------


@on("gpu")
@pytest.mark.parametrize("size", [(128, 128), (512, 512)], ids=size_text)
def test_the_shapes_of_training_bit_for_bit(case, make_exact_net, assert_exact, size):
    net = make_exact_net(depth=30, dilations=(1, 2, 4, 8, 16))
    assert_exact(case, net, (2, 1, *size))


@on("cuda-shim", "gpu")
def test_a_small_training_shape_in_16_bits_bit_for_bit(case, half, make_exact_net, assert_exact):
    net = make_exact_net(depth=30, dilations=(1, 2, 4, 8, 16))
    assert_exact(case, net, (2, 1, 20, 33), half)


@on("gpu")
@pytest.mark.parametrize("size", [(128, 128), (512, 512)], ids=size_text)
def test_the_shapes_of_training_in_16_bits_bit_for_bit(
    case, half, make_exact_net, assert_exact, size
):
    net = make_exact_net(depth=30, dilations=(1, 2, 4, 8, 16))
    assert_exact(case, net, (2, 1, *size), half)
