"""The engine in this very process: what it does next, without waiting for anything."""

from dataclasses import replace

import numpy as np
import pytest

from napari_msd.core.box import Box
from napari_msd.core.errors import ModelFileError, OutOfMemoryError
from napari_msd.core.space import Slab, Space
from napari_msd.document import Painted
from napari_msd.images.model_file import ModelRecord
from napari_msd.trainer import predict_all
from napari_msd.trainer.engine import Engine
from napari_msd.trainer.limits import MOST_AHEAD
from napari_msd.trainer.messages import (
    Cancel,
    Finished,
    LookHere,
    Measure,
    Measured,
    ModelKept,
    Notice,
    Open,
    OverlayBlock,
    OverlayTaken,
    PixelsPart,
    PixelsUnavailable,
    PixelsWanted,
    PredictAll,
    Progress,
    Refresh,
    SetLive,
    SetStrokes,
    SetUncertainty,
    SetView,
    ShowMe,
    UpdateOnce,
)
from napari_msd.trainer.overlay_credit import MOST_ON_THE_WAY
from napari_msd.trainer.pixel_parts import PixelAssembly, parts_of
from napari_msd.trainer.server import errors_reported
from napari_msd.training import plateau as stopping
from napari_msd.training.learner import Learner

from .conftest import (
    SHAPE,
    SMALL,
    area,
    image,
    painted,
    plane_of,
    plane_space,
    read_image,
    slab,
    stack_space,
    strokes,
)


class Session:
    """An engine, and a viewer that answers at once."""

    def __init__(self, pixels=None, model=None, read=None, spaces=None, settings=None, **opening):
        self.pixels = image() if pixels is None else pixels
        self.events, self.read_planes = [], []
        self.read = read or (lambda box: self.pixels)
        self.engine = Engine(self.hear)
        shape, n_channels = self.pixels.shape[:2], self.pixels[0, 0].size
        self.spaces = plane_space(shape, n_channels) if spaces is None else spaces
        self.ask(Open(settings or SMALL, self.spaces, model, **opening))
        self.ask(SetView(next(self.spaces[0].slabs(0))))

    def ask(self, request):
        with errors_reported(self.hear, self.engine):
            self.engine.handle(request)

    def answer(self, box):
        assert box == self.spaces[0].slab_of(box)  # all of one
        self.read_planes.append(plane_of(box))
        try:
            pixels = self.read(box)
        except OSError as error:
            self.ask(PixelsUnavailable(box, "read", str(error)))
        else:
            for part in parts_of(box, pixels):
                self.ask(part)

    def hear(self, event):
        self.events.append(event)

    def paint(self, blocks):
        self.ask(SetStrokes(tuple(blocks)))

    def work(self):
        """One unit of work; the viewer answers what came of it."""
        before = len(self.events)
        did = False
        with errors_reported(self.hear, self.engine):
            did = self.engine.work()
        for event in self.events[before:]:
            if isinstance(event, PixelsWanted):
                did = True
                self.answer(event.box)
            elif isinstance(event, OverlayBlock):
                self.ask(OverlayTaken())
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
        self.ask(SetLive(True))
        self.until(lambda: self.engine._trainer.steps >= steps)
        self.ask(SetLive(False))


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
    session.ask(SetLive(True))
    session.until(lambda: session.progress.state == "idle" and session.progress.step)
    steps = session.engine._trainer.steps
    assert session.all(ModelKept)[-1].step == session.engine._trainer.kept_steps
    for _ in range(50):
        session.work()
    assert not session.work()  # nothing to do: the loop waits for a request, without a core
    assert session.engine._trainer.steps == steps
    session.paint([Painted(area(0, 0, 3, 3), np.ones((3, 3), np.uint8))])
    session.until(lambda: session.engine._trainer.steps > steps)
    assert session.progress.state == "training"


def test_live_at_rest_still_shows_what_comes_on_screen(session, impatient):
    session.paint(painted(1, 2, 3))
    session.ask(SetLive(True))
    session.until(lambda: session.progress.state == "idle" and session.progress.step)
    while session.work():
        pass
    session.ask(SetView(area(0, 0, 20, 30)))
    assert session.work()
    assert session.all(OverlayBlock)[-1].box == area(0, 0, 20, 30)


def test_live_pressed_again_trains_on(session, impatient):
    session.paint(painted(1, 2, 3))
    session.ask(SetLive(True))
    session.until(lambda: session.progress.state == "idle" and session.progress.step)
    steps = session.engine._trainer.steps
    session.ask(SetLive(False))
    session.ask(SetLive(True))
    assert session.progress.state == "training"
    session.until(lambda: session.engine._trainer.steps > steps)


def test_how_well_scores_are_known_is_reported():
    session = Session(pixels=np.tile(image(), (2, 1)))
    labels = np.zeros((128, 96), np.uint8)
    labels[:, ::4] = np.repeat([1, 2, 3], 8)
    session.paint([Painted(Box.whole(0, labels.shape), labels)])
    session.learn(20)
    told = session.progress
    assert set(told.held_out_iou) == set(told.iou_margin) == {1, 2, 3}
    split = session.engine._trainer.data.split
    assert told.iou_pieces == {value: len(split.measured(value)) for value in (1, 2, 3)}
    assert sum(told.iou_pieces.values()) == 9
    assert all(0 < margin <= 1 for margin in told.iou_margin.values())
    assert told.unmeasured == {}


def test_a_class_with_too_few_strokes_is_reported(session):
    labels = strokes(1, 2)
    labels[40:43, 70:73] = 3
    session.paint([Painted(slab(), labels)])
    session.learn(20)
    assert session.progress.unmeasured == {3: 1}
    assert 3 not in session.progress.held_out_iou


# --- where to paint next ------------------------------------------------------------------------


def test_uncertainty_crosses_only_while_it_is_wanted(trained):
    assert all(block.uncertainty is None for block in trained.all(OverlayBlock))
    trained.ask(SetUncertainty(True))
    while trained.work():  # Live is off: it is shown all the same
        pass
    labels = trained.all(OverlayBlock)[-1].labels
    uncertainty = trained.all(OverlayBlock)[-1].uncertainty
    assert labels.shape == uncertainty.shape == SHAPE
    assert len(np.unique(uncertainty)) > 10
    border = uncertainty[:, 30:34].mean()
    assert border > uncertainty[:, 10:20].mean()  # unsure between two greys, not within one
    trained.ask(SetUncertainty(False))
    trained.ask(Refresh())
    while trained.work():
        pass
    assert trained.all(OverlayBlock)[-1].uncertainty is None


def test_the_labels_are_the_same_with_and_without_uncertainty(trained):
    for on in (False, True):
        trained.ask(SetUncertainty(on))
        trained.ask(Refresh())
        while trained.work():
            pass
    assert np.array_equal(*(block.labels for block in trained.all(OverlayBlock)[-2:]))


def test_show_me_goes_to_one_place_after_another():
    session = Session(pixels=np.tile(image(), (3, 2)))
    session.paint(painted(1, 2, 3))
    session.learn(40)
    while not session.all(Notice):
        session.ask(ShowMe())
        while session.work():
            pass
    boxes = [look.box for look in session.all(LookHere)]
    assert len(boxes) >= 3
    for i, one in enumerate(boxes):
        assert one.clip(session.pixels.shape) == one
        assert all(one.intersect(other).empty for other in boxes[:i])
        assert not session.engine._trainer.annotation.read(one).all()
    assert session.all(Notice)[-1].level == "info"


def test_show_me_does_not_stop_live(session):
    session.ask(ShowMe())
    assert "no trained network" in session.all(Notice)[-1].text
    session.paint(painted(1, 2, 3))
    session.ask(SetLive(True))
    session.until(lambda: session.engine._trainer.learned)
    session.ask(ShowMe())
    session.until(lambda: session.all(LookHere) or len(session.all(Notice)) > 1)
    steps = session.engine._trainer.steps
    session.until(lambda: session.engine._trainer.steps > steps)


# --- transfer ------------------------------------------------------------------------------------


def model_of(session):
    return session.engine._trainer.record().to_bytes()


def test_a_kept_version_is_shown_and_gone_on_from(trained):
    model, steps = model_of(trained), trained.engine._trainer.kept_steps
    again = Session(model=model)
    again.paint(painted(1, 2, 3))
    again.ask(Refresh())
    while again.work():
        pass
    again.until(lambda: again.all(OverlayBlock))
    right = np.broadcast_to(np.repeat([1, 2, 3], 32)[None, :], SHAPE)
    assert (again.all(OverlayBlock)[-1].labels == right).mean() > 0.9
    again.learn(steps + 1)
    assert again.engine._trainer.steps > steps
    assert again.engine._trainer.kept_scores.mean >= 0.9


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
    bright.learn(trained.engine._trainer.kept_steps + 3)
    assert not bright.all(Notice)


def test_an_image_unlike_the_models_is_said_once(trained_on_grey_values):
    trained = trained_on_grey_values
    bright = Session(pixels=image() + 500, model=model_of(trained))
    bright.paint(painted(1, 2, 3))
    bright.learn(trained.engine._trainer.kept_steps + 3)
    notices = bright.all(Notice)
    assert [notice.level for notice in notices] == ["warning"]
    assert "much brighter" in notices[0].text


def test_the_models_own_normalisation_is_kept(trained_on_grey_values):
    trained = trained_on_grey_values
    similar = Session(pixels=image() + 20, model=model_of(trained))
    similar.paint(painted(1, 2, 3))
    similar.learn(trained.engine._trainer.kept_steps + 3)
    assert similar.engine._trainer.normalisation == trained.engine._trainer.normalisation
    assert not similar.all(Notice)


def rested(session):
    """All that is asked for was done."""
    session.ask(Refresh())
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
    before = trained.engine._trainer.network_id
    trained.paint(painted(1, 2))
    fewer = trained.engine._trainer.network_id
    assert fewer != before
    trained.learn(trained.engine._trainer.kept_steps + 20)
    assert len({before, fewer, trained.engine._trainer.network_id}) == 3


def test_a_new_class_alone_leaves_the_id(trained):
    before = trained.engine._trainer.network_id
    trained.paint([Painted(area(0, 0, 3, 3), np.full((3, 3), 7, np.uint8))])
    assert trained.engine._trainer.network_id == before


def test_the_normalisation_can_be_fitted_anew(trained_on_grey_values):
    trained = trained_on_grey_values
    model = model_of(trained)
    bright = Session(pixels=image() * 3 + 500, model=model, fit_normalisation=True)
    bright.paint(painted(1, 2, 3))
    rested(bright)
    right = np.broadcast_to(np.repeat([1, 2, 3], 32)[None, :], SHAPE)
    assert (bright.all(OverlayBlock)[-1].labels == right).mean() > 0.9
    assert not bright.all(Notice)  # nothing is said of the model's own grey values
    (kept,) = bright.all(ModelKept)  # a restarted trainer goes on with it as it is
    assert kept.network == bright.all(OverlayBlock)[-1].network
    assert kept.network != trained.engine._trainer.network_id
    assert ModelRecord.from_bytes(kept.model).mean == bright.engine._trainer.normalisation.mean


def test_models_are_compared_on_the_held_out_strokes_of_now(trained):
    trained.engine._trainer.slabs.clear()  # they are asked for
    good = model_of(trained)
    colour = Session(pixels=np.repeat(image()[..., None], 3, 2))
    colour.paint(painted(1, 2, 3))
    colour.learn(1)
    trained.ask(Measure((good, b"broken", model_of(colour))))
    trained.until(lambda: trained.all(Measured))
    scores = trained.all(Measured)[-1].scores
    assert scores == {0: pytest.approx(trained.engine._trainer.kept_scores.mean), 1: None, 2: None}
    assert not trained.all(Notice)


def test_one_model_is_measured_per_turn_and_a_new_request_drops_the_rest(trained):
    model = model_of(trained)
    trained.ask(Measure((model,) * 3))
    trained.work()
    trained.ask(Measure((model,)))
    trained.work()
    assert [set(measured.scores) for measured in trained.all(Measured)] == [{0}]
    trained.ask(Measure((model,) * 3))
    trained.work()
    trained.ask(Cancel())
    while trained.work():
        pass
    assert len(trained.all(Measured)) == 1


def test_nothing_held_out_gives_no_score(session, trained):
    empty = Session()
    empty.ask(Measure((model_of(trained),)))
    empty.work()
    assert empty.all(Measured) == [Measured({0: None})]


def test_a_stop_is_answered_once_and_last_whatever_was_under_way(trained):
    def answers():
        mark = len(trained.events)
        trained.ask(Cancel())
        return trained.events[mark:]

    stop = Finished("stop")
    assert [e for e in answers() if isinstance(e, Finished)] == [stop]
    trained.ask(PredictAll((slab(),)))
    assert [e for e in answers() if isinstance(e, Finished)] == [Finished("predict", True), stop]
    trained.ask(UpdateOnce())
    trained.ask(SetLive(True))
    trained.work()
    came = answers()
    assert [e for e in came if isinstance(e, Finished)] == [Finished("update", True), stop]
    assert came[-1] == stop


def test_a_stop_is_answered_even_if_the_network_cannot_be_sent(trained, monkeypatch):
    def broken():
        raise ModelFileError("This network cannot be saved.")

    trained.ask(SetLive(True))
    steps = trained.engine._trainer.kept_steps
    trained.until(lambda: trained.engine._trainer.kept_steps > steps)
    monkeypatch.setattr(trained.engine._trainer, "record", broken)
    trained.engine._sender.restart()
    trained.ask(SetLive(False))
    assert isinstance(trained.all(Notice)[-1], Notice)
    assert trained.events[-1] == Finished("stop")


def test_no_block_is_predicted_that_the_viewer_has_not_asked_for(trained):
    mark = len(trained.all(OverlayBlock))
    trained.ask(PredictAll((slab(),) * 10))
    while trained.engine.work():  # nobody takes the blocks
        pass
    assert len(trained.all(OverlayBlock)) == mark + MOST_ON_THE_WAY
    trained.ask(OverlayTaken())
    while trained.engine.work():
        pass
    assert len(trained.all(OverlayBlock)) == mark + MOST_ON_THE_WAY + 1


# --- planes that are not to be had ---------------------------------------------------------------


def unreadable(*planes):
    """Reads all planes but these."""

    def read(box):
        if plane_of(box) in planes:
            raise OSError("the disk is gone")
        return read_image(box)

    return read


def turns(session, n=50):
    for _ in range(n):
        session.work()


def stack(trained, *bad):
    """A model opened on a stack, whose bad planes cannot be read, with the view on plane 0."""
    return Session(model=model_of(trained), read=unreadable(*bad), spaces=stack_space())


def look_at(session, plane):
    session.ask(SetView(slab(*plane)))


@pytest.mark.parametrize("request_", [Refresh(), SetUncertainty(True)])
def test_at_rest_an_unreadable_plane_is_told_once_and_asked_for_once(trained, request_):
    session = stack(trained, (0,))
    session.ask(request_)
    turns(session)
    (notice,) = session.all(Notice)
    assert (notice.level, "the disk is gone" in notice.text) == ("error", True)
    assert session.read_planes == [(0,)]
    session.ask(Cancel())
    turns(session)
    assert len(session.all(Notice)) == 1
    assert not session.work()  # the loop waits for a request, without a core


def test_an_unreadable_plane_is_asked_for_again_on_a_new_request(trained):
    session = stack(trained, (0,))
    session.ask(SetUncertainty(True))
    turns(session)
    look_at(session, (1,))
    turns(session)
    assert session.all(OverlayBlock)[-1].box == slab(1)
    look_at(session, (0,))
    turns(session)
    session.read = read_image
    turns(session)
    assert session.read_planes == [(0,), (1,), (0,)]
    session.ask(Refresh())
    turns(session)
    assert session.all(OverlayBlock)[-1].box == slab(0)


def test_moving_about_on_an_unreadable_plane_does_not_ask_again(trained):
    session = stack(trained, (0,))
    session.ask(SetUncertainty(True))
    for top in range(5):
        session.ask(SetView(area(top, 0, 40, 40, plane=(0,))))
        turns(session, 5)
    assert session.read_planes == [(0,)]


def test_out_of_memory_at_rest_is_told_once(trained, monkeypatch):
    def too_large(*args):
        raise OutOfMemoryError("The device has too little memory.")

    session = stack(trained)
    monkeypatch.setattr("napari_msd.inference.Predictor.labels_and_uncertainty", too_large)
    session.ask(SetUncertainty(True))
    turns(session)
    assert len(session.all(Notice)) == 1
    assert not session.work()


def test_live_on_an_unreadable_plane_ends_with_one_notice(trained):
    session = stack(trained, (0,))
    session.paint(painted(1, 2, plane=(0,)))
    session.ask(SetLive(True))
    turns(session)
    assert [notice.level for notice in session.all(Notice)] == ["error"]
    assert session.progress.state == "idle"
    session.ask(SetLive(True))
    turns(session)
    assert session.read_planes == [(0,), (0,)]
    assert len(session.all(Notice)) == 2


def test_live_goes_on_when_only_what_is_shown_is_unreadable(trained):
    session = stack(trained, (0,))
    session.paint(painted(1, 2, 3, plane=(1,)))
    session.ask(SetLive(True))
    steps = session.engine._trainer.steps
    session.until(lambda: session.engine._trainer.steps > steps + 50)
    assert [notice.level for notice in session.all(Notice)] == ["warning"]
    assert session.progress.state == "training"


def test_update_once_ends_when_what_it_should_show_is_unreadable(trained):
    session = stack(trained, (0,))
    session.paint(painted(1, 2, 3, plane=(1,)))
    session.ask(UpdateOnce())
    session.until(lambda: session.all(Notice))
    assert session.all(Notice)[-1].level == "error"
    assert session.progress.state == "idle"


def test_predict_all_skips_what_cannot_be_read_or_used_and_names_it(trained):
    session = stack(trained, (1,), (3,))
    read = session.read
    session.read = lambda box: image()[None, :9] if box == slab(4) else read(box)
    session.ask(PredictAll(tuple(map(slab, range(6)))))
    session.until(lambda: session.all(Finished))
    turns(session)
    assert [block.box for block in session.all(OverlayBlock)] == [slab(0), slab(2), slab(5)]
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
    session.ask(Measure((model_of(trained),)))
    session.until(lambda: session.all(Measured))
    assert session.all(Measured)[0].scores[0] > 0.5
    assert [notice.level for notice in session.all(Notice)] == ["warning"]


def test_a_stroke_through_slices_is_painted_on_each_and_cut_at_the_ends_of_the_stack():
    session = Session(read=read_image, spaces=stack_space(3))
    box = Box(0, (1, -2, 90), (5, 4, 99))  # slices 1 to 4, of which there are 1 and 2
    session.paint([Painted(box, np.arange(1, 217, dtype=np.uint8).reshape(box.shape))])
    annotation = session.engine._trainer.annotation
    assert annotation.slabs == {Slab(0, (1,)), Slab(0, (2,))}
    inside = Box(0, (1, 0, 90), (3, 4, 96))
    expected = np.arange(1, 217, dtype=np.uint8).reshape(4, 6, 9)[:2, 2:, :6]
    assert np.array_equal(annotation.read(inside), expected)
    assert sum(annotation.counts.values()) == inside.size


def test_strokes_are_obeyed_between_any_two_units_of_work(trained):
    trained.ask(SetLive(True))
    trained.ask(Measure((model_of(trained),) * 5))
    for row in range(30):  # one request, one unit of work: nothing waits for more than that
        values = np.full((1, 1), 3, np.uint8)
        trained.paint([Painted(area(row, 0, row + 1, 1), values)])
        assert trained.engine._trainer.annotation.read(area(row, 0, row + 1, 1)).item() == 3
        trained.work()
    assert trained.all(Measured)


# --- reading ahead -------------------------------------------------------------------------------


def wanted(session):
    return [(plane_of(event.box), event.ahead) for event in session.all(PixelsWanted)]


def test_predict_all_asks_for_the_next_planes_before_their_turn(trained):
    session = stack(trained)
    session.ask(PredictAll(tuple(map(slab, range(30)))))
    session.engine.work()
    first = MOST_AHEAD + 1  # these planes are small: it is their number that bounds them
    assert wanted(session) == [((n,), n > 0) for n in range(first)]
    session.answer(slab(0))
    session.engine.work()
    session.engine.work()
    assert wanted(session)[first:] == [((first,), True)]


def test_planes_in_memory_are_bounded_while_they_are_predicted(trained):
    session = Session(model=model_of(trained), read=read_image, spaces=stack_space(41))
    look_at(session, (40,))
    session.ask(PredictAll(tuple(map(slab, range(40)))))
    most = 0
    while not session.all(Finished):
        session.work()
        most = max(most, len(session.engine._trainer.slabs))
    assert most <= MOST_AHEAD + 2
    assert [block.box for block in session.all(OverlayBlock)] == list(map(slab, range(40)))
    assert session.read_planes == [(n,) for n in range(40)]  # each once
    assert set(session.engine._trainer.slabs) <= {Slab(0, (40,))}


def test_what_was_asked_for_ahead_is_not_kept_after_a_cancel(trained):
    session = stack(trained)
    session.ask(PredictAll(tuple(map(slab, range(30)))))
    session.engine.work()
    session.ask(Cancel())
    for n in range(1, MOST_AHEAD):
        session.answer(slab(n))
    assert not session.engine._trainer.slabs
    look_at(session, (3,))
    session.ask(Refresh())
    session.engine.work()
    assert wanted(session)[-1] == ((3,), False)  # now it is needed


def test_large_planes_are_asked_for_one_ahead(trained, monkeypatch):
    monkeypatch.setattr(predict_all, "AHEAD_BYTES", 10 << 20)  # at 4 bytes, two planes and a half
    space = Space("ZYX", (30, 1024, 1024))
    session = Session(model=model_of(trained), spaces={0: space})
    session.ask(PredictAll(tuple(space.slabs(0))))
    session.engine.work()
    assert wanted(session) == [((0,), False), ((1,), True)]


def test_the_end_of_a_plane_whose_beginning_was_for_another_image_is_dropped(trained):
    parts = list(parts_of(Box.whole(0, (1024, 1024)), np.zeros((1024, 1024), np.float32)))
    assert len(parts) > 1
    trained.ask(parts[0])
    trained.ask(Open(SMALL, plane_space((1024, 1024))))
    trained.ask(parts[-1])
    assert not trained.engine._trainer.slabs


def test_a_plane_that_nobody_waits_for_is_not_kept(trained):
    session = stack(trained)
    session.ask(PixelsPart(slab(9), (1, *SHAPE), 0, image().ravel()))
    assert not session.engine._trainer.slabs


def test_strokes_of_an_image_that_is_not_open_are_dropped(trained):
    for box in (Box(5, (0, 0), (3, 3)), Box(0, (0, 0, 0), (1, 3, 3))):
        trained.paint([Painted(box, np.full(box.shape, 7, np.uint8))])
    assert 7 not in trained.engine._trainer.annotation.classes
    assert not trained.all(Notice)


def test_too_little_memory_is_told_and_live_goes_on(trained, monkeypatch):
    learn = Learner.learn

    def small_only(learner, batch, active):
        if len(batch.images) > 1:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate")
        return learn(learner, batch, active)

    session = trained
    monkeypatch.setattr(Learner, "learn", small_only)
    session.ask(SetLive(True))
    steps = session.engine._trainer.steps
    session.until(lambda: session.engine._trainer.steps > steps + 10)
    (notice,) = session.all(Notice)
    assert notice.level == "warning"
    assert "too little memory: training goes on with 1 patch of 32 pixels" in notice.text
    assert session.progress.state == "training"


def test_too_little_memory_for_a_plane_is_told_and_the_next_one_comes(trained, monkeypatch):
    def none_left(assembly, part):
        raise MemoryError

    add = PixelAssembly.add
    session = stack(trained)
    monkeypatch.setattr(PixelAssembly, "add", none_left)
    session.ask(Refresh())
    turns(session)
    (notice,) = session.all(Notice)
    assert "too little memory for this part of the image" in notice.text
    assert not session.all(OverlayBlock)
    monkeypatch.setattr(PixelAssembly, "add", add)
    look_at(session, (1,))
    session.ask(Refresh())
    turns(session)
    assert session.all(OverlayBlock)
