"""What is segmented, by which network, and what is told of it."""

import numpy as np
import pytest

from napari_msd.core.box import Box
from napari_msd.core.space import Slab
from napari_msd.document import Coverage

SHAPE = (40, 60)


def test_a_new_image_is_not_segmented():
    coverage = Coverage(30, SHAPE)
    now = coverage.completeness
    assert coverage.empty
    assert (now.empty, now.partial, now.missing, now.networks) == (30, 0, 1.0, 0)
    assert now.sentence == "30 of 30 planes are not segmented."


def test_all_of_it_by_one_network_is_complete():
    coverage = Coverage(2, SHAPE)
    for index in (0, 1):
        coverage.write(Box(0, (index, 0, 0), (index + 1, 40, 25)), "a")
        coverage.write(Box(0, (index, 0, 25), (index + 1, 40, 60)), "a")
    assert coverage.completeness.complete
    assert coverage.completeness.sentence == ""


def test_planes_that_are_missing_are_counted():
    coverage = Coverage(30, SHAPE)
    for plane in (4, 5, 6):
        coverage.write(Box(0, (plane, 0, 0), (plane + 1, *SHAPE)), "a")
    assert coverage.completeness.sentence == "27 of 30 planes are not segmented."
    coverage.write(Box(0, (7, 0, 0), (8, 10, 10)), "a")
    assert coverage.completeness.sentence == "26 of 30 planes are not segmented, 1 only in part."


def test_of_one_plane_the_share_is_told():
    coverage = Coverage(1, SHAPE)
    coverage.write(Box(0, (0, 0), (40, 15)), "a")
    assert coverage.completeness.sentence == "75% of the image is not segmented."
    coverage.write(Box(0, (0, 0), (40, 60)), "a")
    assert coverage.completeness.complete


def test_two_networks_are_never_unsaid():
    coverage = Coverage(1, SHAPE)
    coverage.write(Box.whole(0, SHAPE), "old")
    coverage.write(Box(0, (3, 3), (20, 20)), "new")
    now = coverage.completeness
    assert not now.complete
    assert now.sentence == "Parts of the segmentation are older than the network."
    coverage.write(Box.whole(0, SHAPE), "new")
    assert coverage.completeness.complete


def test_overlapping_rectangles_are_counted_as_an_array_would():
    random = np.random.default_rng(1)
    coverage, painted = Coverage(1, SHAPE), np.full(SHAPE, "", dtype="<U1")
    for _ in range(300):
        top, left = random.integers(0, (38, 58))
        bottom, right = random.integers((top + 1, left + 1), (41, 61))
        network = str(random.choice(["a", "b", "c"]))
        region = Box(0, (int(top), int(left)), (int(bottom), int(right)))
        coverage.write(region, network)
        painted[region.slices] = network
        now = coverage.completeness
        assert np.isclose(now.missing, (painted == "").mean())
        assert now.networks == len(set(painted.ravel()) - {""})


def test_a_fresh_one_is_of_the_same_image():
    coverage = Coverage(3, SHAPE)
    coverage.write(Box(0, (0, 0, 0), (1, *SHAPE)), "a")
    assert coverage.fresh().empty
    assert coverage.fresh().completeness.planes == 3


def test_what_is_of_the_newest_network_is_up_to_date():
    coverage = Coverage(3, (10, 10))
    assert not coverage.up_to_date().complete
    for plane in range(3):
        coverage.write(Box(0, (plane, 0, 0), (plane + 1, 10, 10)), "one")
    now = coverage.up_to_date()
    assert (now.slabs, now.complete_slabs, now.share, now.complete) == (3, 3, 1.0, True)
    coverage.write(Box(0, (1, 0, 0), (2, 5, 10)), "two")
    now = coverage.up_to_date()
    assert (now.complete_slabs, now.complete) == (0, False)
    assert now.share == pytest.approx(50 / 300)


def test_a_slab_that_is_followed_counts_although_its_parts_are_a_moment_apart():
    coverage = Coverage(2, (10, 10))
    coverage.write(Box(0, (0, 0, 0), (1, 5, 10)), "one")
    coverage.write(Box(0, (0, 5, 0), (1, 10, 10)), "two")
    assert coverage.up_to_date().complete_slabs == 0
    assert coverage.up_to_date(Slab(0, (0,))).complete_slabs == 1
    assert coverage.up_to_date(Slab(0, (1,))).complete_slabs == 0


def test_a_box_of_several_planes_counts_in_each():
    coverage = Coverage(5, SHAPE)
    coverage.write(Box(0, (1, 0, 0), (4, *SHAPE)), "a")
    now = coverage.completeness
    assert (now.planes, now.empty, now.partial, now.networks) == (5, 2, 0, 1)
    coverage.write(Box(0, (2, 0, 0), (3, 20, 60)), "b")
    assert coverage.completeness.networks == 2
    assert coverage.up_to_date().share == pytest.approx(0.1)


def test_planes_larger_than_a_cell_are_counted_as_an_array_would():
    shape = (1400, 1300)
    random = np.random.default_rng(2)
    coverage, painted = Coverage(1, shape), np.full(shape, -1, np.int8)
    for _ in range(60):
        top, left = random.integers(0, (1399, 1299))
        size = random.integers(1, 900, 2)
        region = Box(0, (int(top), int(left)), (int(top + size[0]), int(left + size[1]))).clip(
            shape
        )
        network = int(random.integers(3))
        coverage.write(region, str(network))
        painted[region.slices] = network
    now = coverage.completeness
    assert np.isclose(now.missing, (painted < 0).mean())
    assert now.networks == len(set(painted.ravel()) - {-1})
    assert np.isclose(coverage.up_to_date().share, (painted == network).mean())


def test_missing_is_what_nothing_has_predicted():
    coverage = Coverage(2, (10, 10))
    coverage.write(Box(0, (1, 2, 0), (2, 5, 4)), "a")
    coverage.write(Box(0, (1, 2, 4), (2, 5, 10)), "b")
    whole = Box(0, (0, 0, 0), (2, 10, 10))
    missing = coverage.missing(whole)
    assert sum(box.size for box in missing) == 200 - 30
    assert Box(0, (0, 0, 0), (1, 10, 10)) in missing
    assert not coverage.missing(Box(0, (1, 3, 1), (2, 4, 9)))


def test_a_first_answer_does_not_count_and_is_known_until_it_is_predicted():
    coverage = Coverage(1, SHAPE)
    coverage.write_coarsely(Box(0, (0, 0), (20, 60)))
    coverage.write_coarsely(Box(0, (0, 0), (40, 60)))
    assert coverage.completeness.missing == 1.0
    coverage.write(Box(0, (0, 0), (40, 25)), "a")
    assert coverage.coarse == [Box(0, (0, 25), (40, 60))]
    coverage.write(Box(0, (0, 25), (40, 60)), "a")
    assert coverage.coarse == []
    assert coverage.fresh().coarse == []
