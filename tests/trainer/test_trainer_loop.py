"""The trainer's loop in this very process: what it does next, without waiting for anything."""

from dataclasses import replace

import numpy as np
import pytest

from napari_msd.core.box import Box
from napari_msd.core.errors import ModelFileError, OutOfMemoryError
from napari_msd.core.planes import Region, box_of, whole
from napari_msd.images.model_file import ModelRecord
from napari_msd.trainer.engine import TrainerLoop
from napari_msd.trainer.limits import SLOT_BYTES
from napari_msd.trainer.messages import (
    Finished,
    LookHere,
    Measured,
    ModelKept,
    Notice,
    OverlayBlock,
    PlaneWanted,
    Progress,
    StrokeBlock,
    View,
)
from napari_msd.trainer.server import told
from napari_msd.trainer.wire import pack_bytes, pack_strokes, pack_view
from napari_msd.training import plateau as stopping

from .conftest import SHAPE, SMALL, image, painted, strokes


class Slot:
    """What is shared memory between two processes."""

    def __init__(self):
        self.values = np.zeros(2 * SLOT_BYTES, np.uint8)

    def ndarray(self):
        return self.values


class Session:
    """A loop, and a viewer that answers at once."""

    def __init__(self, pixels=None, model=None, read=None, channels=1, settings=None, **opening):
        self.pixels = image() if pixels is None else pixels
        self.events, self.slot, self.blocks = [], Slot(), []
        self.read_planes = []
        self.read = read or (lambda plane: self.pixels)
        self.loop = TrainerLoop(self.hear)
        self.ask(
            "open",
            settings=(settings or SMALL).to_dict(),
            plane_shape=list(self.pixels.shape[:2]),
            n_channels=channels,
            slot=self.slot,
            model=pack_bytes(model) if model else None,
            session=1,
            **opening,
        )
        self.ask("view", view=pack_view(View((), whole(self.pixels.shape[:2]))))

    def ask(self, name, **inputs):
        with told(self.hear, self.loop):
            self.loop.obey(name, inputs)

    def answer(self, plane):
        self.read_planes.append(plane)
        try:
            pixels = self.read(plane)
        except OSError as error:
            self.ask("plane_unreadable", plane=list(plane), how="read", why=str(error))
        else:
            self.ask("plane", plane=list(plane), pixels=pixels)

    def hear(self, event):
        self.events.append(event)

    def paint(self, blocks):
        self.ask("strokes", blocks=[pack_strokes(block) for block in blocks])

    def work(self):
        """One unit of work; the viewer answers what came of it."""
        before = len(self.events)
        did = False
        with told(self.hear, self.loop):
            did = self.loop.work()
        for event in self.events[before:]:
            if isinstance(event, PlaneWanted):
                did = True
                self.answer(event.plane)
            elif isinstance(event, OverlayBlock):
                size = event.region.shape[0] * event.region.shape[1]
                parts = self.slot.values[:size], self.slot.values[SLOT_BYTES : SLOT_BYTES + size]
                self.blocks.append([part.reshape(event.region.shape).copy() for part in parts])
                self.ask("overlay_taken", session=1)
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
    split = session.loop._trainer._split
    assert told.iou_pieces == {value: len(split.measured(value)) for value in (1, 2, 3)}
    assert sum(told.iou_pieces.values()) == 9
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
        assert not session.loop._trainer.annotation.read(box_of((), one)).all()
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


@pytest.fixture
def trained_on_grey_values():
    """As `trained`, but all images are normalised by the first one."""
    session = Session(settings=replace(SMALL, normalise="first"))
    session.paint(painted(1, 2, 3))
    session.learn()
    return session


def test_of_a_brighter_image_nothing_is_said(trained):
    bright = Session(pixels=image() + 500, model=model_of(trained))
    bright.paint(painted(1, 2, 3))
    bright.learn(trained.loop._trainer.kept_steps + 3)
    assert not bright.all(Notice)


def test_an_image_unlike_the_models_is_said_once(trained_on_grey_values):
    trained = trained_on_grey_values
    bright = Session(pixels=image() + 500, model=model_of(trained))
    bright.paint(painted(1, 2, 3))
    bright.learn(trained.loop._trainer.kept_steps + 3)
    notices = bright.all(Notice)
    assert [notice.level for notice in notices] == ["warning"]
    assert "much brighter" in notices[0].text


def test_the_models_own_normalisation_is_kept(trained_on_grey_values):
    trained = trained_on_grey_values
    similar = Session(pixels=image() + 20, model=model_of(trained))
    similar.paint(painted(1, 2, 3))
    similar.learn(trained.loop._trainer.kept_steps + 3)
    assert similar.loop._trainer.normalisation == trained.loop._trainer.normalisation
    assert not similar.all(Notice)


def rested(session):
    """All that is asked for was done."""
    session.ask("refresh")
    while session.work():
        pass
    return session


def test_the_same_network_has_the_same_id_in_another_session(trained):
    kept, block = trained.all(ModelKept)[-1], rested(trained).all(OverlayBlock)[-1]
    assert kept.network == block.network
    assert len(kept.network) == 16
    again = Session(model=kept.model)
    again.paint(painted(1, 2, 3))
    assert rested(again).all(OverlayBlock)[-1].network == kept.network
    assert not again.all(ModelKept)  # the viewer has it


def test_another_network_has_another_id(trained):
    before = trained.loop._trainer.network_id
    trained.paint(painted(1, 2))
    fewer = trained.loop._trainer.network_id
    assert fewer != before
    trained.learn(trained.loop._trainer.kept_steps + 20)
    assert len({before, fewer, trained.loop._trainer.network_id}) == 3


def test_a_new_class_alone_leaves_the_id(trained):
    before = trained.loop._trainer.network_id
    trained.paint([StrokeBlock((), Region(0, 0, 3, 3), np.full((3, 3), 7, np.uint8))])
    assert trained.loop._trainer.network_id == before


def test_the_normalisation_can_be_fitted_anew(trained_on_grey_values):
    trained = trained_on_grey_values
    model = model_of(trained)
    bright = Session(pixels=image() * 3 + 500, model=model, fit_normalisation=True)
    bright.paint(painted(1, 2, 3))
    rested(bright)
    right = np.broadcast_to(np.repeat([1, 2, 3], 32)[None, :], SHAPE)
    assert (bright.blocks[-1][0] == right).mean() > 0.9
    assert not bright.all(Notice)  # nothing is said of the model's own grey values
    (kept,) = bright.all(ModelKept)  # a restarted trainer goes on with it as it is
    assert kept.network == bright.all(OverlayBlock)[-1].network
    assert kept.network != trained.loop._trainer.network_id
    assert ModelRecord.from_bytes(kept.model).mean == bright.loop._trainer.normalisation.mean


def test_models_are_compared_on_the_held_out_strokes_of_now(trained):
    trained.loop._trainer.slabs.clear()  # they are asked for
    good = model_of(trained)
    colour = Session(pixels=np.repeat(image()[..., None], 3, 2), channels=3)
    colour.paint(painted(1, 2, 3))
    colour.learn(1)
    trained.ask("measure", models=[pack_bytes(m) for m in (good, b"broken", model_of(colour))])
    trained.until(lambda: trained.all(Measured))
    scores = trained.all(Measured)[-1].scores
    assert scores == {0: pytest.approx(trained.loop._trainer.kept_scores.mean), 1: None, 2: None}
    assert not trained.all(Notice)


def test_one_model_is_measured_per_turn_and_a_new_request_drops_the_rest(trained):
    model = pack_bytes(model_of(trained))
    trained.ask("measure", models=[model] * 3)
    trained.work()
    trained.ask("measure", models=[model])
    trained.work()
    assert [set(measured.scores) for measured in trained.all(Measured)] == [{0}]
    trained.ask("measure", models=[model] * 3)
    trained.work()
    trained.ask("cancel")
    while trained.work():
        pass
    assert len(trained.all(Measured)) == 1


def test_nothing_held_out_gives_no_score(session, trained):
    empty = Session()
    empty.ask("measure", models=[pack_bytes(model_of(trained))])
    empty.work()
    assert empty.all(Measured) == [Measured({0: None})]


def test_a_stop_is_answered_once_and_last_whatever_was_under_way(trained):
    def answers():
        mark = len(trained.events)
        trained.ask("cancel")
        return trained.events[mark:]

    stop = Finished("stop")
    assert [e for e in answers() if isinstance(e, Finished)] == [stop]
    trained.ask("predict_all", planes=[[]])
    assert [e for e in answers() if isinstance(e, Finished)] == [Finished("predict", True), stop]
    trained.ask("update_once")
    trained.ask("live", on=True)
    trained.work()
    came = answers()
    assert [e for e in came if isinstance(e, Finished)] == [Finished("update", True), stop]
    assert came[-1] == stop


def test_a_stop_is_answered_even_if_the_network_cannot_be_sent(trained, monkeypatch):
    def broken():
        raise ModelFileError("This network cannot be saved.")

    trained.ask("live", on=True)
    steps = trained.loop._trainer.kept_steps
    trained.until(lambda: trained.loop._trainer.kept_steps > steps)
    monkeypatch.setattr(trained.loop._trainer, "record", broken)
    trained.loop._sender.restart()
    trained.ask("live", on=False)
    assert isinstance(trained.all(Notice)[-1], Notice)
    assert trained.events[-1] == Finished("stop")


def test_a_block_of_another_session_cannot_free_the_slot(trained):
    trained.ask("refresh")
    trained.until(lambda: trained.loop.work())  # predicted, not taken
    assert not trained.loop._showing._slot.free
    trained.ask("overlay_taken", session=0)
    assert not trained.loop._showing._slot.free
    trained.ask("overlay_taken", session=1)
    assert trained.loop._showing._slot.free


# --- planes that are not to be had ---------------------------------------------------------------


def unreadable(*planes):
    """Reads all planes but these."""

    def read(plane):
        if plane in planes:
            raise OSError("the disk is gone")
        return image()

    return read


def turns(session, n=50):
    for _ in range(n):
        session.work()


def stack(trained, *bad):
    """A model opened on a stack, whose bad planes cannot be read, with the view on plane 0."""
    session = Session(model=model_of(trained), read=unreadable(*bad))
    session.ask("view", view=pack_view(View((0,), whole(SHAPE))))
    return session


def look_at(session, plane):
    session.ask("view", view=pack_view(View(plane, whole(SHAPE))))


@pytest.mark.parametrize(("wish", "inputs"), [("refresh", {}), ("uncertainty", {"on": True})])
def test_at_rest_an_unreadable_plane_is_told_once_and_asked_for_once(trained, wish, inputs):
    session = stack(trained, (0,))
    session.ask(wish, **inputs)
    turns(session)
    (notice,) = session.all(Notice)
    assert (notice.level, "the disk is gone" in notice.text) == ("error", True)
    assert session.read_planes == [(0,)]
    session.ask("cancel")
    turns(session)
    assert len(session.all(Notice)) == 1
    assert not session.work()  # the loop waits for a request, without a core


def test_an_unreadable_plane_is_asked_for_again_on_a_new_request(trained):
    session = stack(trained, (0,))
    session.ask("uncertainty", on=True)
    turns(session)
    look_at(session, (1,))
    turns(session)
    assert session.all(OverlayBlock)[-1].plane == (1,)
    look_at(session, (0,))
    turns(session)
    session.read = lambda plane: image()
    turns(session)
    assert session.read_planes == [(0,), (1,), (0,)]
    session.ask("refresh")
    turns(session)
    assert session.all(OverlayBlock)[-1].plane == (0,)


def test_moving_about_on_an_unreadable_plane_does_not_ask_again(trained):
    session = stack(trained, (0,))
    session.ask("uncertainty", on=True)
    for top in range(5):
        session.ask("view", view=pack_view(View((0,), Region(top, 0, 40, 40))))
        turns(session, 5)
    assert session.read_planes == [(0,)]


def test_out_of_memory_at_rest_is_told_once(trained, monkeypatch):
    def too_large(*args):
        raise OutOfMemoryError("The device has too little memory.")

    session = stack(trained)
    monkeypatch.setattr("napari_msd.inference.Predictor.labels_and_uncertainty", too_large)
    session.ask("uncertainty", on=True)
    turns(session)
    assert len(session.all(Notice)) == 1
    assert not session.work()


def test_live_on_an_unreadable_plane_ends_with_one_notice(trained):
    session = stack(trained, (0,))
    session.paint(painted(1, 2, plane=(0,)))
    session.ask("live", on=True)
    turns(session)
    assert [notice.level for notice in session.all(Notice)] == ["error"]
    assert session.progress.state == "idle"
    session.ask("live", on=True)
    turns(session)
    assert session.read_planes == [(0,), (0,)]
    assert len(session.all(Notice)) == 2


def test_live_goes_on_when_only_what_is_shown_is_unreadable(trained):
    session = stack(trained, (0,))
    session.paint(painted(1, 2, 3, plane=(1,)))
    session.ask("live", on=True)
    steps = session.loop._trainer.steps
    session.until(lambda: session.loop._trainer.steps > steps + 50)
    assert [notice.level for notice in session.all(Notice)] == ["warning"]
    assert session.progress.state == "training"


def test_update_once_ends_when_what_it_should_show_is_unreadable(trained):
    session = stack(trained, (0,))
    session.paint(painted(1, 2, 3, plane=(1,)))
    session.ask("update_once")
    session.until(lambda: session.all(Notice))
    assert session.all(Notice)[-1].level == "error"
    assert session.progress.state == "idle"


def test_predict_all_skips_what_cannot_be_read_or_used_and_names_it(trained):
    session = stack(trained, (1,), (3,))
    read = session.read
    session.read = lambda plane: image()[:9] if plane == (4,) else read(plane)
    session.ask("predict_all", planes=[[n] for n in range(6)])
    session.until(lambda: session.all(Finished))
    turns(session)
    assert [block.plane for block in session.all(OverlayBlock)] == [(0,), (2,), (5,)]
    texts = [notice.text for notice in session.all(Notice)]
    assert [notice.level for notice in session.all(Notice)] == ["warning"] * 3
    assert texts[0] == "Plane 1 could not be read and was skipped: the disk is gone"
    assert texts[1].startswith("Plane 3 could not be read")
    assert texts[2].startswith("Plane 4 cannot be used and was skipped: It is 9 x 96 pixels")
    assert session.all(Finished) == [Finished("predict")]


def test_models_are_compared_without_the_planes_that_cannot_be_read(trained):
    session = stack(trained, (7,))
    session.paint(painted(1, 2, 3, plane=(0,)))
    session.paint(painted(1, 2, 3, plane=(7,)))
    session.ask("measure", models=[pack_bytes(model_of(trained))])
    session.until(lambda: session.all(Measured))
    assert session.all(Measured)[0].scores[0] > 0.5
    assert [notice.level for notice in session.all(Notice)] == ["warning"]


def test_strokes_are_obeyed_between_any_two_units_of_work(trained):
    trained.ask("live", on=True)
    trained.ask("measure", models=[pack_bytes(model_of(trained))] * 5)
    for row in range(30):  # one request, one unit of work: nothing waits for more than that
        values = np.full((1, 1), 3, np.uint8)
        trained.paint([StrokeBlock((), Region(row, 0, row + 1, 1), values)])
        assert trained.loop._trainer.annotation.read(Box(0, (row, 0), (row + 1, 1))).item() == 3
        trained.work()
    assert trained.all(Measured)
