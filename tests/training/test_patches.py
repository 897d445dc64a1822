"""Patches of planes that come and go."""

import numpy as np

from napari_msd.core.space import Slab
from napari_msd.document import Annotation, ValidationSplit
from napari_msd.inference import Normalisation, SlabPixels
from napari_msd.training.patches import PatchSampler
from napari_msd.training.reach import Reach

SHAPE = (64, 64)
AS_IT_IS = Normalisation((0.0,), (1.0,))


def sampler_of(planes: dict, *painted: Slab) -> PatchSampler:
    """Both classes are painted on each of the `painted` planes, nothing is held out."""
    store = Annotation()
    for slab in painted:
        for value in (1, 2):
            region = slab.box((20 * value, 0), (20 * value + 4, 64))
            store.write(region, np.full(region.shape, value, np.uint8))
    split = ValidationSplit(store, 0.0, 0)
    return PatchSampler(planes, store, split, Reach(16), np.random.default_rng(0))


def plane_of(value: float) -> SlabPixels:
    return SlabPixels.whole(np.full((1, *SHAPE), value, np.float32))


def seen(sampler: PatchSampler) -> set[float]:
    return {float(v) for v in np.unique(sampler.draw(40, [1, 2], AS_IT_IS).images)}


def test_a_painted_plane_that_comes_when_another_goes_is_drawn_from():
    planes = {Slab(0, (0,)): plane_of(0), Slab(0, (9,)): plane_of(9)}
    sampler = sampler_of(planes, Slab(0, (0,)), Slab(0, (1,)))
    assert seen(sampler) == {0}
    del planes[Slab(0, (9,))]
    planes[Slab(0, (1,))] = plane_of(1)
    assert seen(sampler) == {0, 1}
    del planes[Slab(0, (0,))]
    planes[Slab(0, (9,))] = plane_of(9)
    assert seen(sampler) == {1}


def everywhere(sampler: PatchSampler) -> set[float]:
    return {float(v) for v in np.unique(sampler.everywhere(12, AS_IT_IS))}


def test_everywhere_means_painted_planes_in_whatever_order_they_came():
    planes = {Slab(0, (9,)): plane_of(9), Slab(0, (1,)): plane_of(1), Slab(0, (0,)): plane_of(0)}
    sampler = sampler_of(planes, Slab(0, (0,)), Slab(0, (1,)))
    assert everywhere(sampler) == {0, 1}
    patches = sampler.everywhere(12, AS_IT_IS)
    other = sampler_of({key: planes[key] for key in sorted(planes)}, Slab(0, (1,)), Slab(0, (0,)))
    np.testing.assert_array_equal(other.everywhere(12, AS_IT_IS), patches)
    del planes[Slab(0, (9,))]
    np.testing.assert_array_equal(sampler.everywhere(12, AS_IT_IS), patches)


def test_everywhere_is_all_planes_where_none_is_painted():
    assert everywhere(
        sampler_of({Slab(0, (9,)): plane_of(9), Slab(0, (1,)): plane_of(1)}, Slab(0, (5,)))
    ) == {1, 9}


def test_each_plane_is_normalised_as_a_whole():
    """Not by what a patch of it looks like."""
    grey = np.zeros((1, *SHAPE), np.float32)
    grey[0, :32] = 100
    plane = SlabPixels.whole(grey)
    asked = []

    class Own(Normalisation):
        def for_slab(self, plane):
            asked.append(plane.shape)
            return Normalisation((float(plane.sample().mean()),), (1.0,))

    sampler = sampler_of({Slab(0, (0,)): plane}, Slab(0, (0,)))
    images = sampler.everywhere(12, Own((0.0,), (1.0,)))
    assert {float(v) for v in np.unique(images)} == {-50, 50}
    drawn = sampler.draw(8, [1, 2], Own((0.0,), (1.0,))).images
    assert {float(v) for v in np.unique(drawn)} == {-50, 50}
    assert set(asked) == {(1, *SHAPE)}
