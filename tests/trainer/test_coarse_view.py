"""The first answer for a large view: when it is given, and that it is right on the whole."""

import numpy as np
import pytest

from napari_msd.core.box import Box
from napari_msd.core.settings import Settings
from napari_msd.core.space import NetworkInput, Slab, Space
from napari_msd.images.reduced import read_reduced
from napari_msd.trainer import coarse_view
from napari_msd.trainer.coarse_view import Area, CoarseView
from napari_msd.training import Trainer

SIDE = 1024
WHOLE = Box.whole(0, (3, SIDE, SIDE)).along(0, 1, 2)


@pytest.fixture(autouse=True)
def small_views(monkeypatch):
    monkeypatch.setattr(coarse_view, "LARGE_VIEW", 2**18)
    monkeypatch.setattr(coarse_view, "COARSE_PIXELS", 2**14)


@pytest.fixture(scope="module")
def scene():
    """(image, truth) of large bright squares, Y X."""
    truth = np.kron(np.indices((4, 4)).sum(axis=0) % 2, np.ones((256, 256), int)) + 1
    noise = np.random.default_rng(0).normal(0, 20, truth.shape)
    return (truth * 100 + noise).astype(np.float32), truth.astype(np.uint8)


def painted(scene, classes=(1, 2)) -> Trainer:
    trainer = Trainer(Settings.from_preset(device="cpu", depth=4), NetworkInput())
    trainer.add_source(0, Space("ZYX", (3, SIDE, SIDE)))
    strokes = np.zeros_like(scene[1])
    for row in (100, 400, 600, 900):
        strokes[row : row + 5, 300:700] = scene[1][row : row + 5, 300:700]
    strokes[~np.isin(strokes, classes)] = 0
    trainer.paint(WHOLE, strokes[None])
    return trainer


def thinned(scene, area: Area) -> np.ndarray:
    return read_reduced(lambda box: scene[0][None][:, *box.slices[1:]], area.box, area.scale)


def test_the_whole_view_is_answered_at_once(scene):
    view, trainer = CoarseView(), painted(scene)
    area = view.area(WHOLE, trainer)
    assert area == Area(WHOLE, 8)
    assert view.pixels(area) is None
    view.take(area, thinned(scene, area))
    labels = view.labels(area, trainer)
    assert labels.shape == (1, 128, 128)
    assert (labels[0] == scene[1][4::8, 4::8]).mean() > 0.95


def test_strokes_are_looked_at_once_while_pixels_are_on_their_way(scene, monkeypatch):
    view, trainer = CoarseView(), painted(scene)
    looked: list[Area] = []
    look = coarse_view._painted_in
    monkeypatch.setattr(
        coarse_view, "_painted_in", lambda strokes, area: looked.append(area) or look(strokes, area)
    )
    area = view.area(WHOLE, trainer)
    assert view.area(WHOLE, trainer) == area
    assert looked == [area]
    trainer.paint(WHOLE.along(1, 0, 9), np.ones((1, 9, SIDE), np.uint8))
    assert view.area(WHOLE, trainer) == area
    assert looked == [area, area]


def test_it_is_given_once_for_each_view_and_state_of_the_strokes(scene):
    view, trainer = CoarseView(), painted(scene)
    area = view.area(WHOLE, trainer)
    view.take(area, thinned(scene, area))
    view.labels(area, trainer)
    assert view.area(WHOLE, trainer) is None
    moved = WHOLE.along(1, 64, SIDE)
    assert view.area(moved, trainer) == Area(moved, 8)
    trainer.paint(WHOLE.along(1, 0, 1), np.ones((1, 1, SIDE), np.uint8))
    assert view.area(WHOLE, trainer) == area
    assert view.pixels(area) is not None  # the same pixels serve again


@pytest.mark.parametrize(
    "view",
    [
        WHOLE.along(1, 0, 200),
        Box.whole(0, (3, SIDE, SIDE)),
    ],
    ids=["small", "a cut across slices"],
)
def test_other_views_are_not_answered_coarsely(scene, view):
    assert CoarseView().area(view, painted(scene)) is None


def test_a_class_that_is_painted_elsewhere_only_cannot_be_answered(scene):
    trainer = painted(scene)
    trainer.paint(Box(0, (0, 5, 5), (1, 30, 30)), np.full((1, 25, 25), 3, np.uint8))
    assert CoarseView().area(WHOLE, trainer) is None


def test_the_area_begins_at_a_whole_pixel_of_the_thinned_image(scene):
    view = WHOLE.along(1, 13, SIDE).along(2, 3, SIDE)
    area = CoarseView().area(view, painted(scene))
    assert area.box.start == (1, 8, 0)


def test_a_constant_view_has_no_coarse_answer(scene):
    view, trainer = CoarseView(), painted(scene)
    area = view.area(WHOLE, trainer)
    view.take(area, np.zeros((1, 128, 128), np.float32))
    assert view.labels(area, trainer) is None
    assert view.area(WHOLE, trainer) is None


def test_the_most_painted_class_of_a_pixel_counts(scene):
    trainer = Trainer(Settings.from_preset(device="cpu"), NetworkInput())
    slab = Slab(0, (1,))
    values = np.zeros((8, 16), np.uint8)
    values[:2, :8], values[5, :8] = 7, 9
    trainer.paint(slab.box((64, 8), (72, 24)), values[None])
    found = coarse_view._painted_in(trainer.annotation, Area(WHOLE, 8))
    assert found[8, 1] == 7
    assert np.count_nonzero(found) == 1
