"""Pixels and annotation of several sources, addressed by boxes; volumes as well as planes."""

import numpy as np
import pytest

from napari_msd.core.box import Box
from napari_msd.core.errors import ImageError
from napari_msd.core.settings import Settings
from napari_msd.core.space import NetworkInput, Slab, Space
from napari_msd.training.training_data import TrainingData

SETTINGS = Settings.from_preset(patch_size=16)


def positions(shape: tuple[int, ...]) -> np.ndarray:
    """Each pixel tells where it is."""
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


def data_of(space: Space, sources: int = 2) -> tuple[TrainingData, dict[int, np.ndarray]]:
    """Sources with two classes painted all over them, in stripes."""
    data = TrainingData(SETTINGS, space.network_input)
    labels = (positions(space.shape) // 7 % 2 + 1).astype(np.uint8)
    pixels = {source: positions(space.shape) + 1e5 * source for source in range(sources)}
    for source, array in pixels.items():
        for slab in space.slabs(source):
            data.annotation.write(slab, labels[slab.slices])
            inner = array[slab.slices].reshape(space.spatial)
            data.set_pixels(slab, inner)
    return data, pixels


@pytest.mark.parametrize(
    "space",
    [
        Space("YX", (40, 50)),
        Space("TYX", (3, 40, 50)),
        Space("TZYX", (2, 20, 24, 28), convolved=3),
    ],
)
def test_patches_are_cut_where_their_labels_are(space):
    data, _ = data_of(space)
    assert len(data.slabs) == 2 * int(np.prod(space.leading))
    assert not data.missing()
    batch = data.sampler.draw(8, data.classes, _AsItIs())
    assert batch.images.shape == (8, 1, *data.sampler.patch_shape())
    seen = batch.labels >= 0
    where = batch.images[:, 0] % 1e5
    np.testing.assert_array_equal((where // 7 % 2)[seen], batch.labels[seen])
    assert {int(v) for v in batch.images[:, 0].ravel() // 1e5} == {0, 1}
    spread = data.sampler.everywhere(8, _AsItIs())
    assert spread.shape == batch.images.shape
    for _value, pixels, patch, at in data.question.patches():
        inner = patch.last(space.convolved)
        assert inner == inner.clip(pixels.shape[1:])
        assert ((at >= inner.start) & (at < inner.stop)).all()


class _AsItIs:
    """Pixels are not changed."""

    def for_slab(self, plane):
        return self

    def apply(self, plane):
        return plane


def test_what_is_forgotten_is_gone_and_what_is_dropped_is_asked_for():
    data, _ = data_of(Space("YX", (40, 50)))
    del data.slabs[Slab(1, ())]
    assert data.missing() == [Box(1, (0, 0), (40, 50))]
    data.forget()
    assert not data.missing()
    assert not data.slabs
    assert data.classes == []


def test_pixels_have_to_be_a_slab_of_their_box():
    data = TrainingData(SETTINGS, NetworkInput())
    image = np.random.default_rng(0).random((4, 5))
    for box in (Box(0, (0, 0), (5, 4)), Box(0, (1, 0, 0), (3, 4, 5))):
        with pytest.raises(ValueError, match="no slab"):
            data.set_pixels(box, image)
    with pytest.raises(ImageError, match="channel"):
        data.set_pixels(Box(0, (0, 0), (4, 5)), np.stack([image] * 3, axis=-1))
