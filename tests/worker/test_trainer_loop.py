"""The trainer's loop in this very process: what it does next, without waiting for anything."""

import numpy as np
import pytest

from napari_msd.planes import Region, whole
from napari_msd.training import stopping
from napari_msd.worker.limits import SLOT_BYTES
from napari_msd.worker.messages import (
    LookHere,
    ModelKept,
    Notice,
    OverlayBlock,
    PlaneWanted,
    Progress,
    StrokeBlock,
    View,
)
from napari_msd.worker.trainer_loop import TrainerLoop
from napari_msd.worker.wire import pack_bytes, pack_strokes, pack_view

from .conftest import SHAPE, SMALL, image, painted, strokes


class Slot:
    """What is shared memory between two processes."""

    def __init__(self):
        self.values = np.zeros(2 * SLOT_BYTES, np.uint8)

    def ndarray(self):
        return self.values


class Session:
    """A loop, and a viewer that answers at once."""

    def __init__(self, pixels=None, model=None, read=None):
        self.pixels = image() if pixels is None else pixels
        self.events, self.slot, self.blocks = [], Slot(), []
        self.read = read or (lambda plane: self.pixels)
        self.loop = TrainerLoop(self.hear)
        self.ask(
            "open",
            settings=SMALL.to_dict(),
            plane_shape=list(self.pixels.shape),
            n_channels=1,
            slot=self.slot,
            model=pack_bytes(model) if model else None,
            session=1,
        )
        self.ask("view", view=pack_view(View((), whole(self.pixels.shape))))

    def ask(self, name, **inputs):
        self.loop.obey(name, inputs)

    def hear(self, event):
        self.events.append(event)

    def paint(self, blocks):
        self.ask("strokes", blocks=[pack_strokes(block) for block in blocks])

    def work(self):
        """One unit of work; the viewer answers what came of it."""
        before = len(self.events)
        did = self.loop.work()
        for event in self.events[before:]:
            if isinstance(event, PlaneWanted):
                did = True
                self.ask("plane", plane=list(event.plane), pixels=self.read(event.plane))
            elif isinstance(event, OverlayBlock):
                size = event.region.shape[0] * event.region.shape[1]
                parts = self.slot.values[:size], self.slot.values[SLOT_BYTES : SLOT_BYTES + size]
                self.blocks.append([part.reshape(event.region.shape).copy() for part in parts])
                self.ask("overlay_taken")
        return did

    def until(self, done, most=20_000):
        for _ in range(most):
            if done():
                return
            self.work()
        raise AssertionError("it never came to that")

    def all(self, kind):
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def progress(self):
        return self.all(Progress)[-1]

    def learn(self, steps=100):
        self.ask("live", on=True)
        self.until(lambda: self.loop._trainer.steps >= steps)
        self.ask("live", on=False)


@pytest.fixture
def session():
    return Session()


@pytest.fixture
def trained(session):
    session.paint(painted(1, 2, 3))
    session.learn()
    return session


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(stopping, "PATIENCE", 60)


# --- knowing when ------------------------------------------------------------------------------


def test_live_rests_when_nothing_improves_and_wakes_at_a_stroke(session, impatient):
    session.paint(painted(1, 2, 3))
    session.ask("live", on=True)
    session.until(lambda: session.progress.state == "idle" and session.progress.step)
    steps = session.loop._trainer.steps
    assert session.all(ModelKept)[-1].step == session.loop._trainer.kept_steps
    for _ in range(50):
        session.work()
    assert not session.work()  # nothing to do: the loop waits for a request, without a core
    assert session.loop._trainer.steps == steps
    session.paint([StrokeBlock((), Region(0, 0, 3, 3), np.ones((3, 3), np.uint8))])
    session.until(lambda: session.loop._trainer.steps > steps)
    assert session.progress.state == "training"


def test_live_at_rest_still_shows_what_comes_on_screen(session, impatient):
    session.paint(painted(1, 2, 3))
    session.ask("live", on=True)
    session.until(lambda: session.progress.state == "idle" and session.progress.step)
    while session.work():
        pass
    session.ask("view", view=pack_view(View((), Region(0, 0, 20, 30))))
    assert session.work()
    assert session.all(OverlayBlock)[-1].region == Region(0, 0, 20, 30)


def test_live_pressed_again_trains_on(session, impatient):
    session.paint(painted(1, 2, 3))
    session.ask("live", on=True)
    session.until(lambda: session.progress.state == "idle" and session.progress.step)
    steps = session.loop._trainer.steps
    session.ask("live", on=False)
    session.ask("live", on=True)
    assert session.progress.state == "training"
    session.until(lambda: session.loop._trainer.steps > steps)


def test_how_well_scores_are_known_is_told():
    session = Session(pixels=np.tile(image(), (2, 1)))
    labels = np.zeros((128, 96), np.uint8)
    labels[:, ::4] = np.repeat([1, 2, 3], 8)
    session.paint([StrokeBlock((), whole(labels.shape), labels)])
    session.learn(20)
    told = session.progress
    assert set(told.held_out_iou) == set(told.iou_margin) == {1, 2, 3}
    assert told.iou_pieces == {1: 3, 2: 3, 3: 3}
    assert all(0 < margin <= 1 for margin in told.iou_margin.values())
    assert told.unmeasured == {}


def test_a_class_with_too_few_strokes_is_told(session):
    labels = strokes(1, 2)
    labels[40:43, 70:73] = 3
    session.paint([StrokeBlock((), whole(SHAPE), labels)])
    session.learn(20)
    assert session.progress.unmeasured == {3: 1}
    assert 3 not in session.progress.held_out_iou


# --- where to paint next ------------------------------------------------------------------------


def test_uncertainty_crosses_only_while_it_is_wanted(trained):
    assert not any(block.unsure for block in trained.all(OverlayBlock))
    assert not trained.slot.values[SLOT_BYTES:].any()
    trained.ask("uncertainty", on=True)
    while trained.work():  # Live is off: it is shown all the same
        pass
    assert trained.all(OverlayBlock)[-1].unsure
    labels, uncertainty = trained.blocks[-1]
    assert labels.shape == uncertainty.shape == SHAPE
    assert len(np.unique(uncertainty)) > 10
    border = uncertainty[:, 30:34].mean()
    assert border > uncertainty[:, 10:20].mean()  # unsure between two greys, not within one
    trained.ask("uncertainty", on=False)
    trained.ask("refresh")
    while trained.work():
        pass
    assert not trained.all(OverlayBlock)[-1].unsure


def test_the_labels_are_the_same_with_and_without_uncertainty(trained):
    for on in (False, True):
        trained.ask("uncertainty", on=on)
        trained.ask("refresh")
        while trained.work():
            pass
    assert np.array_equal(trained.blocks[-1][0], trained.blocks[-2][0])


def test_show_me_goes_to_one_place_after_another():
    session = Session(pixels=np.tile(image(), (3, 2)))
    session.paint(painted(1, 2, 3))
    session.learn(40)
    while not session.all(Notice):
        session.ask("show_me")
        while session.work():
            pass
    regions = [look.region for look in session.all(LookHere)]
    assert len(regions) >= 3
    for i, one in enumerate(regions):
        assert all(one.intersect(other).empty for other in regions[:i])
        assert not session.loop._trainer.strokes.read((), one).all()
    assert session.all(Notice)[-1].level == "info"


def test_show_me_does_not_stop_live(session):
    session.ask("show_me")
    assert "no trained network" in session.all(Notice)[-1].text
    session.paint(painted(1, 2, 3))
    session.ask("live", on=True)
    session.until(lambda: session.loop._trainer.learned)
    session.ask("show_me")
    session.until(lambda: session.all(LookHere) or len(session.all(Notice)) > 1)
    steps = session.loop._trainer.steps
    session.until(lambda: session.loop._trainer.steps > steps)


# --- transfer ------------------------------------------------------------------------------------


def model_of(session):
    return session.loop._trainer.record().to_bytes()


def test_a_kept_version_is_shown_and_gone_on_from(trained):
    model, steps = model_of(trained), trained.loop._trainer.kept_steps
    again = Session(model=model)
    again.paint(painted(1, 2, 3))
    again.ask("refresh")
    while again.work():
        pass
    again.until(lambda: again.blocks)
    right = np.broadcast_to(np.repeat([1, 2, 3], 32)[None, :], SHAPE)
    assert (again.blocks[-1][0] == right).mean() > 0.9
    again.learn(steps + 1)
    assert again.loop._trainer.steps > steps
    assert again.loop._trainer.kept_scores.mean >= 0.9


def test_an_image_unlike_the_models_is_said_once(trained):
    bright = Session(pixels=image() + 500, model=model_of(trained))
    bright.paint(painted(1, 2, 3))
    bright.learn(trained.loop._trainer.kept_steps + 3)
    notices = bright.all(Notice)
    assert [notice.level for notice in notices] == ["warning"]
    assert "much brighter" in notices[0].text


def test_the_models_own_normalisation_is_kept(trained):
    similar = Session(pixels=image() + 20, model=model_of(trained))
    similar.paint(painted(1, 2, 3))
    similar.learn(trained.loop._trainer.kept_steps + 3)
    assert similar.loop._trainer.normalisation == trained.loop._trainer.normalisation
    assert not similar.all(Notice)
