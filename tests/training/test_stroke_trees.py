"""Trees in step with the strokes: right at once, honest where they measure, the same each time."""

import numpy as np
import pytest
import torch

from napari_msd.core.box import Box
from napari_msd.core.space import NetworkInput, Slab
from napari_msd.document import Annotation, ValidationSplit
from napari_msd.inference import EachPlane, SlabPixels
from napari_msd.inference.ensemble import Trees
from napari_msd.inference.features import PixelFeatures
from napari_msd.network import MSDNet
from napari_msd.training import stroke_trees
from napari_msd.training.stroke_trees import (
    EARLIER_TREES,
    EVIDENCE_TREES,
    N_TREES,
    StrokeTrees,
    joined,
    thinned,
)
from napari_msd.trees import Forest, grow

SHAPE = (96, 96)
SLAB = Slab(0, ())
EVERYTHING = Box.whole(0, SHAPE)
FIELDS = ("feature", "threshold", "child", "answers", "roots")


def small_bank() -> MSDNet:
    torch.manual_seed(0)
    bank = MSDNet(1, 4, depth=3, dilations=(1, 2, 4))
    with torch.no_grad():
        for parameter in bank.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.4)
            parameter.requires_grad_(False)
    return bank


BANK = small_bank()


def image(seed: int = 0) -> SlabPixels:
    """Dark, middle and bright thirds with noise."""
    rng = np.random.default_rng(seed)
    grey = np.repeat([100, 200, 300], 32)[None, :] + rng.normal(0, 15, SHAPE)
    return SlabPixels.whole(grey.astype(np.uint16)[None])


def strokes(*classes: int) -> np.ndarray:
    labels = np.zeros(SHAPE, np.uint8)
    for value in classes:
        column = 32 * (value - 1) + 14
        labels[4:92, column : column + 4] = value
    return labels


class World:
    """Planes with strokes, and trees in step with them."""

    def __init__(self, planes, labels=None, *, fraction=0.2, seed=0, earlier=None):
        self.planes = {Slab(0, index): pixels for index, pixels in planes.items()}
        self.store = Annotation()
        for index, values in (labels or {}).items():
            self.write(index, EVERYTHING, values)
        self.split = ValidationSplit(self.store, fraction, seed)
        features = PixelFeatures(BANK, EachPlane(), NetworkInput())
        self.trees = StrokeTrees(self.planes, self.store, self.split, features, seed, earlier)

    def write(self, index, box: Box, values: np.ndarray):
        """Paint a box of the slab at `index`."""
        whole = Slab(0, index).box(box.start, box.stop)
        self.store.write(whole, values.reshape(whole.shape))

    def paint(self, box: Box, value: int, index=()):
        self.write(index, box, np.full(box.shape, value, np.uint8))

    def update(self) -> bool:
        return self.trees.update(self.split.classes)

    @property
    def shown(self) -> Trees:
        self.update()
        return self.trees.shown

    @property
    def measuring(self) -> Trees:
        self.update()
        return self.trees.measuring

    def answer(self, pixels: np.ndarray, key=()) -> np.ndarray:
        """Class values at pixels (n, 2)."""
        shown = self.shown
        values = np.array(shown.values)
        return values[shown.at(self.planes[Slab(0, key)], pixels.astype(np.int32)).argmax(axis=0)]


def world(*classes: int, **options) -> World:
    return World({(): image()}, {(): strokes(*classes)}, **options)


def pixels_of(region: Box) -> np.ndarray:
    """Every pixel of a region, (n, 2)."""
    return np.argwhere(np.ones(region.shape, bool)) + np.array(region.start)


def assert_equal(one: Forest, other: Forest) -> None:
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def first_trees(forest: Forest, trees: int) -> Forest:
    """What it were with so many trees."""
    if forest.n_trees <= trees:
        return forest
    nodes = forest.roots[trees]
    leaves = int((forest.feature[:nodes] < 0).sum())
    return Forest(
        forest.feature[:nodes],
        forest.threshold[:nodes],
        forest.child[:nodes],
        forest.answers[:leaves],
        forest.roots[:trees],
        forest.n_features,
    )


def differ(one: Forest, other: Forest) -> bool:
    return len(one.feature) != len(other.feature) or not np.array_equal(one.child, other.child)


def checked(forest: Forest) -> Forest:
    return Forest.checked(*(getattr(forest, name) for name in FIELDS), forest.n_features)


def parts_of(forest: Forest) -> list[Forest]:
    """Each tree as a forest of its own."""
    ends = [*forest.roots[1:], len(forest.feature)]
    parts = []
    for root, end in zip(forest.roots, ends, strict=True):
        feature, child = forest.feature[root:end], forest.child[root:end].copy()
        child[feature >= 0] -= root
        roots = np.zeros(1, np.int32)
        threshold = forest.threshold[root:end]
        parts.append(Forest(feature, threshold, child, forest.answers, roots, forest.n_features))
    return parts


# --- what is shown ----------------------------------------------------------------------


def test_what_was_painted_is_answered():
    painted = world(1, 2, 3)
    columns = np.array([8, 24, 40, 56, 72, 88])
    pixels = np.stack([np.full(6, 50), columns], axis=1)
    assert painted.answer(pixels).tolist() == [1, 1, 2, 2, 3, 3]
    assert painted.shown.values == (1, 2, 3)
    assert painted.shown.forest.n_trees == N_TREES
    assert painted.measuring.forest.n_trees == EVIDENCE_TREES


@pytest.mark.parametrize("corner", [(40, 4), (16, 80), (70, 5), (3, 3)])
def test_a_correction_is_answered_right_at_once(corner):
    """Held-out blocks are no exception: `shown` has seen everything."""
    painted = world(1, 2, 3)
    dab = Box(0, corner, (corner[0] + 4, corner[1] + 4))
    assert (painted.answer(pixels_of(dab)) != 2).all()
    painted.paint(dab, 2)
    assert painted.trees.due
    assert (painted.answer(pixels_of(dab)) == 2).all()


def test_a_removed_stroke_is_forgotten():
    painted = world(1, 2, 3)
    before = painted.shown.forest, painted.measuring.forest
    dab = Box(0, (40, 4), (50, 12))
    painted.paint(dab, 2)
    assert differ(painted.shown.forest, before[0])
    painted.paint(dab, 0)
    assert_equal(painted.shown.forest, before[0])
    assert_equal(painted.measuring.forest, before[1])


def test_a_removed_class_is_no_class_of_the_forest():
    painted = world(1, 2, 3)
    assert painted.shown.values == (1, 2, 3)
    painted.paint(Box(0, (0, 32), (96, 64)), 0)
    assert painted.shown.values == (1, 3)
    assert_equal(painted.shown.forest, world(1, 3).shown.forest)


def test_nothing_is_grown_while_nothing_changes():
    painted = world(1, 2)
    assert painted.trees.due
    assert painted.update()
    shown = painted.trees.shown
    assert not painted.trees.due
    assert not painted.update()
    assert painted.trees.shown is shown


def test_a_plane_that_nobody_painted_on_changes_nothing():
    """Looking through a stack would otherwise grow all trees anew at every plane."""
    painted = world(1, 2)
    painted.update()
    painted.planes[Slab(0, (7,))] = image(7)
    assert not painted.trees.due
    assert not painted.update()


def test_strokes_on_a_plane_that_is_not_here_wait_for_it():
    painted = world(1, 2)
    painted.write((1,), EVERYTHING, strokes(3, 2))
    before = painted.trees.update([1, 2]) and painted.trees.shown.forest
    assert_equal(before, world(1, 2).shown.forest)
    painted.planes[Slab(0, (1,))] = image(1)
    assert painted.trees.due
    assert painted.shown.values == (1, 2, 3)


@pytest.mark.parametrize("drop_first", [False, True])
def test_other_pixels_in_a_planes_place_are_learned(drop_first):
    """Python gives a new object the address, and so the id, of one that has just gone."""
    first, second = image(1).read(EVERYTHING), image(2).read(EVERYTHING)
    painted = World({(): SlabPixels.whole(first)}, {(): strokes(1, 2)})
    before = painted.shown.forest
    if drop_first:
        del painted.planes[SLAB]
    painted.planes[SLAB] = SlabPixels.whole(second)
    assert painted.trees.due
    assert differ(painted.shown.forest, before)
    expected = World({(): image(2)}, {(): strokes(1, 2)}).shown.forest
    assert_equal(painted.shown.forest, expected)


def test_planes_that_change_places_are_learned_anew():
    labels = {(0,): strokes(1, 2), (1,): strokes(2, 3)}
    one = image(1)
    other = SlabPixels.whole(image(2).read(EVERYTHING)[:, :, ::-1].copy())
    painted = World({(0,): one, (1,): other}, labels)
    painted.update()
    painted.planes[Slab(0, (0,))], painted.planes[Slab(0, (1,))] = other, one
    assert painted.trees.due
    assert_equal(painted.shown.forest, World({(0,): other, (1,): one}, labels).shown.forest)


# --- the same each time -----------------------------------------------------------------


def test_the_order_of_strokes_and_planes_does_not_matter():
    planes = {(0,): image(0), (1,): image(1)}
    labels = {(0,): strokes(1, 2), (1,): strokes(3, 2)}
    at_once = World(planes, labels)
    by_bits = World(dict(reversed(planes.items())))
    for key in ((1,), (0,)):
        for top in range(91, -1, -13):  # from below, in bits
            region = Box(0, (max(top - 12, 0), 0), (top + 1, 96))
            by_bits.write(key, region, labels[key][region.slices])
            if len(by_bits.split.classes) > 1:
                by_bits.update()
        by_bits.write(key, EVERYTHING, labels[key])
    assert_equal(by_bits.shown.forest, at_once.shown.forest)
    assert_equal(by_bits.measuring.forest, at_once.measuring.forest)


def test_the_seed_decides():
    assert_equal(world(1, 2, seed=3).shown.forest, world(1, 2, seed=3).shown.forest)
    assert differ(world(1, 2, seed=3).shown.forest, world(1, 2, seed=4).shown.forest)


def grown_on(painted: World, monkeypatch) -> tuple[np.ndarray, np.ndarray]:
    """Samples and labels that the forest that is shown is grown on."""
    seen = []

    def note(samples, labels, *rest, **options):
        seen.append((samples, labels))
        return grow(samples, labels, *rest, **options)

    with monkeypatch.context() as patch:
        patch.setattr(stroke_trees, "grow", note)
        assert painted.update()
    return seen[0]


def test_very_many_painted_pixels_are_thinned_the_same_way_each_time(monkeypatch):
    def painted() -> World:
        made = world(1, 2)
        made.paint(Box(0, (0, 0), (96, 30)), 1)  # 2880 pixels, and 352 of the other
        return made

    everything, labels = grown_on(painted(), monkeypatch)
    assert np.bincount(labels).tolist() == [96 * 30, 88 * 4]
    monkeypatch.setattr(stroke_trees, "MOST_SAMPLES", 800)
    some, labels = grown_on(painted(), monkeypatch)
    of_one, of_other = np.bincount(labels)
    assert of_other == 88 * 4  # less than its half of 800
    assert 300 < of_one < 500
    assert {row.tobytes() for row in some} <= {row.tobytes() for row in everything}
    again, _ = grown_on(painted(), monkeypatch)
    np.testing.assert_array_equal(again, some)


def test_thinning_leaves_something_of_each_piece_and_of_each_part(monkeypatch):
    """A short correction among very many pixels is not lost."""
    monkeypatch.setattr(stroke_trees, "MOST_SAMPLES", 60)
    painted = world(1, 2)
    painted.paint(Box(0, (0, 0), (96, 30)), 1)
    painted.paint(Box(0, (80, 80), (81, 81)), 1)
    samples, labels = grown_on(painted, monkeypatch)
    dab = painted.trees.features.at(painted.planes[SLAB], np.array([[80, 80]], np.int32))[0]
    assert (samples[labels == 0] == dab).all(axis=1).sum() == 1


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5, 0.9])
def test_what_is_drawn_is_spread_over_rows_and_columns(share):
    piece = stroke_trees.Piece((), pixels_of(Box(0, (300, 700), (500, 900))).astype(np.int32))
    drawn = stroke_trees._drawn(piece, share).reshape(200, 200)
    assert drawn.mean() == pytest.approx(share, rel=0.1)
    quarters = [part.mean() for rows in np.split(drawn, 2) for part in np.split(rows, 2, axis=1)]
    np.testing.assert_allclose(quarters, share, rtol=0.2)


def test_rare_classes_count_as_much_as_others(monkeypatch):
    seen = []
    monkeypatch.setattr(
        stroke_trees, "grow", lambda *a, **options: seen.append(options) or grow(*a, **options)
    )
    painted = world(1, 2)
    painted.paint(Box(0, (0, 33), (96, 63)), 2)
    painted.update()
    counts = np.array([painted.store.count(1), painted.store.count(2)])
    assert counts[1] > 5 * counts[0]
    np.testing.assert_allclose(seen[0]["class_weights"] * counts / counts.sum(), 0.5)


# --- what is measured with --------------------------------------------------------------


def held_out(painted: World) -> list[tuple[int, int, int]]:
    """(row, column, class) of all pixels that are measured on."""
    return [
        (int(y), int(x), value)
        for value in painted.split.classes
        for piece in painted.split.measured(value)
        for y, x in piece.pixels
    ]


def test_the_measuring_forest_never_saw_what_is_held_out():
    """The strongest test of a leak: without these strokes it is exactly the same."""
    painted, without = world(1, 2, 3), world(1, 2, 3)
    assert held_out(painted)
    for value in (1, 2, 3):
        for piece in painted.split.pieces(value):
            if painted.split.holds_out(piece.block, value):
                for y, x in piece.pixels:
                    without.paint(Box(0, (int(y), int(x)), (int(y) + 1, int(x) + 1)), 0)
    assert not held_out(without)
    expected = first_trees(without.measuring.forest, EVIDENCE_TREES)
    assert_equal(painted.measuring.forest, expected)
    assert differ(first_trees(painted.shown.forest, EVIDENCE_TREES), painted.measuring.forest)


def test_it_never_saw_them_either_where_a_class_has_nothing_else():
    """One dab of the brush in a held-out block: half of it is trained on, half measured on."""
    painted, without = World({(): image()}), World({(): image()})
    for value in (1, 2):
        row, column = next(
            (row, column)
            for row in range(6)
            for column in range(2 * value - 2, 2 * value)
            if painted.split.holds_out((row, column), value)
        )
        for made in (painted, without):
            made.paint(Box(0, (16 * row, 16 * column), (16 * row + 8, 16 * column + 16)), value)
    assert {value for _, _, value in held_out(painted)} == {1, 2}
    for y, x, _ in held_out(painted):
        without.paint(Box(0, (y, x), (y + 1, x + 1)), 0)
    assert not held_out(without)
    expected = first_trees(without.measuring.forest, EVIDENCE_TREES)
    assert_equal(painted.measuring.forest, expected)


def test_with_nothing_held_out_one_forest_does_for_both():
    painted = world(1, 2, fraction=0.0)
    assert painted.measuring is painted.shown


# --- training on from a model -----------------------------------------------------------


def test_earlier_trees_go_on_having_a_say():
    earlier = world(1, 2).shown
    painted = World({(): image(1)}, {(): strokes(2, 3)}, earlier=earlier)
    assert painted.trees.shown is earlier
    assert painted.shown.values == (1, 2, 3)
    assert painted.shown.forest.n_trees == EARLIER_TREES + N_TREES
    pixels = np.stack([np.full(6, 50), [8, 24, 40, 56, 72, 88]], axis=1).astype(np.int32)
    answers = painted.shown.at(painted.planes[SLAB], pixels)
    assert (answers[0, :2] > 0.15).all()  # a third of the trees know class 1
    assert (answers[0, 4:] < 0.1).all()


def test_earlier_trees_do_not_speak_where_is_measured():
    """They may have been grown on these very strokes: a restart, an earlier checkpoint."""
    earlier = world(1, 2, 3).shown
    painted, fresh = world(1, 2, 3, earlier=earlier), world(1, 2, 3)
    assert held_out(painted)
    assert_equal(painted.measuring.forest, fresh.measuring.forest)


def test_strokes_are_not_added_to_the_earlier_trees_again_and_again():
    painted = world(1, 2, earlier=world(1, 3).shown)
    for column in (4, 8):
        painted.paint(Box(0, (40, column), (44, column + 4)), 2)
        assert painted.shown.forest.n_trees == EARLIER_TREES + N_TREES


# --- forests out of forests -------------------------------------------------------------


@pytest.fixture
def samples() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(200, 56)).astype(np.float32)


def forest_of(samples: np.ndarray, n_classes: int, n_trees: int, seed: int = 0) -> Forest:
    labels = np.digitize(samples[:, 0], np.linspace(-0.5, 0.5, n_classes - 1))
    return grow(samples, labels, n_classes, trees=n_trees, seed=seed)


def test_thinned_answers_as_the_mean_of_the_trees_that_are_left(samples):
    forest = forest_of(samples, 3, 10)
    fewer = checked(thinned(forest, 4))
    assert fewer.n_trees == 4
    parts = parts_of(forest)
    expected = np.mean([parts[t].probabilities(samples.T) for t in (0, 3, 6, 9)], axis=0)
    np.testing.assert_allclose(fewer.probabilities(samples.T), expected, atol=1e-6)
    assert len(fewer.answers) == (fewer.feature < 0).sum()


@pytest.mark.parametrize("n_trees", [1, 2, 9])
def test_thinned_to_any_number(samples, n_trees):
    fewer = checked(thinned(forest_of(samples, 2, 10), n_trees))
    assert fewer.n_trees == n_trees


@pytest.mark.parametrize("n_trees", [10, 11, 500])
def test_a_small_forest_is_left_as_it_is(samples, n_trees):
    forest = forest_of(samples, 2, 10)
    assert thinned(forest, n_trees) is forest


def test_thinned_shares_answers_that_leaves_share(samples):
    """Files may hold forests whose leaves share a row of answers."""
    forest = forest_of(samples, 2, 6)
    rows = np.array([[1, 0], [0, 1]], np.float32)
    leaf = forest.feature < 0
    child = np.where(leaf, forest.answers.argmax(axis=1)[np.where(leaf, forest.child, 0)], 0)
    child = np.where(leaf, child, forest.child).astype(np.int32)
    shared = checked(
        Forest(forest.feature, forest.threshold, child, rows, forest.roots, forest.n_features)
    )
    parts = parts_of(shared)
    fewer = checked(thinned(shared, 2))
    expected = (parts[0].probabilities(samples.T) + parts[5].probabilities(samples.T)) / 2
    np.testing.assert_allclose(fewer.probabilities(samples.T), expected, atol=1e-6)


@pytest.mark.parametrize("n_earlier", [4, EARLIER_TREES, EARLIER_TREES + 20])
def test_joined_answers_as_the_mean_of_all_trees(samples, n_earlier):
    features = PixelFeatures(BANK, EachPlane(), NetworkInput())
    earlier = Trees(forest_of(samples, 3, n_earlier, seed=1), [5, 1, 9], features)
    new = Trees(forest_of(samples, 2, 6, seed=2), [2, 9], features)
    both = joined(earlier, new)
    assert both.values == (5, 1, 9, 2)
    checked(both.forest)
    kept = min(n_earlier, EARLIER_TREES)
    assert both.forest.n_trees == kept + 6
    old = thinned(earlier.forest, EARLIER_TREES).probabilities(samples.T)
    young = new.forest.probabilities(samples.T)
    expected = np.zeros((4, len(samples)))
    expected[[0, 1, 2]] += kept * old
    expected[[3, 2]] += 6 * young
    found = both.forest.probabilities(samples.T)
    np.testing.assert_allclose(found, expected / (kept + 6), atol=1e-5)
    np.testing.assert_allclose(found.sum(axis=0), 1, atol=1e-5)
