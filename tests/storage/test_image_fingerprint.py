"""An image is recognised again by its shape, its type and a few blocks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_msd.core.box import Box
from napari_msd.storage import fingerprint
from napari_msd.storage.image_fingerprint import BLOCK_SIDE, blocks

IMAGE = (np.arange(5 * 200 * 300) * 7919 % 1009).astype(np.uint16).reshape(5, 200, 300)


def of(image, **changes):
    arguments = {"shape": image.shape, "dtype": str(image.dtype), "n_channels": 1}
    return fingerprint(**arguments | changes, read=lambda box: image[box.slices])


def test_it_is_the_same_on_every_machine():
    assert of(IMAGE) == "0d7f0fd13e47d5aa584b54f62461646ac8fff202ee3e671ec153e401054b15ff"
    assert of(IMAGE.astype(">u2"), dtype="uint16") == of(IMAGE)


def test_another_image_has_another():
    other = IMAGE.copy()
    other[2, 100, 150] += 1  # in the middle block of the middle slab
    prints = [
        of(IMAGE),
        of(other),
        of(IMAGE[:, :, :-1]),
        of(IMAGE, n_channels=2),
        of(IMAGE, dtype="int16"),
        of(np.zeros_like(IMAGE)),
    ]
    assert len(set(prints)) == len(prints)


@given(st.lists(st.integers(1, 5000), min_size=2, max_size=5))
def test_few_small_blocks_inside_the_image_are_read(shape):
    looked_at = blocks(shape)
    assert 1 <= len(looked_at) <= 9
    whole = Box.whole(0, shape)
    for box in looked_at:
        assert whole.contains(box)
        assert box.shape == (*[1] * (len(shape) - 2), *(min(n, BLOCK_SIDE) for n in shape[-2:]))


@pytest.mark.parametrize("shape", [(100, 100), (9, 100, 100), (2, 9, 100, 100)])
def test_first_and_last_pixels_are_among_them(shape):
    looked_at = blocks(shape)
    assert any(box.start == (0,) * len(shape) for box in looked_at)
    assert any(box.stop == shape for box in looked_at)
    assert len(looked_at) == 9
