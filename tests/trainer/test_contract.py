"""What every `Trainer` does: the one in a child process, the one in this process, and the fake.

The tests of the window use the fake one; that they mean anything rests on this.
"""

import inspect

import numpy as np
import psutil
import pytest

from napari_msd.document import Painted
from napari_msd.trainer.client import TrainerClient
from napari_msd.trainer.envelopes import NOT_SENT, EventEnvelope, Stamp
from napari_msd.trainer.in_process import InProcessTrainer
from napari_msd.trainer.messages import (
    Finished,
    Measured,
    ModelKept,
    Notice,
    OverlayBlock,
    Progress,
    Ready,
    TrainerDied,
)
from napari_msd.trainer.protocol import Trainer

from ..gui.fake_client import FakeClient
from .conftest import (
    SHAPE,
    SMALL,
    Listener,
    all_of,
    painted,
    plane_space,
    read_image,
    slab,
    stack_space,
    strokes,
)

STOP = Finished("stop")


class Real:
    """A trainer that does its work by itself."""

    def __init__(self, kind, listener):
        self.client = kind(listener)

    def complete(self):
        pass

    def say_late(self, epoch, event):
        connection = self.client._connection
        stamp = Stamp(connection.trainer.session, epoch, NOT_SENT)
        connection.on_envelope(EventEnvelope(stamp, event))


class InChildProcess(Real):
    def __init__(self, listener):
        super().__init__(TrainerClient, listener)

    def crash(self):
        psutil.Process(self.client.pid).kill()


class InThisProcess(Real):
    def __init__(self, listener):
        super().__init__(InProcessTrainer, listener)

    def crash(self):
        self.client._connection.trainer.host.inbox.put(None)  # a mistake of ours


class Fake:
    """A trainer that a test has to make work."""

    def __init__(self, listener):
        self.client = FakeClient(listener)

    def complete(self):
        self.client.complete()

    def say_late(self, epoch, event):
        self.client.say(event, epoch)

    def crash(self):
        self.client.die()


KINDS = [InChildProcess, InThisProcess, Fake]


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind.__name__)
def shared(request):
    """One trainer for the tests that do not end it."""

    class Relay:
        listener = Listener()

    trainer = request.param(lambda *event: Relay.listener(*event))
    trainer.relay = Relay
    trainer.client.start()
    Relay.listener.wait(Ready)
    yield trainer
    trainer.client.close()


@pytest.fixture
def trainer(shared):
    """A trainer that is up and has nothing to do."""
    shared.relay.listener = before = Listener()
    shared.client.open(SMALL, plane_space(), read_image)
    shared.client.cancel()
    before.wait(Finished)
    shared.listener = shared.relay.listener = Listener()
    return shared


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def own_trainer(request):
    """A trainer for a test that ends it."""
    listener = Listener()
    trainer = request.param(listener)
    trainer.listener = listener
    trainer.client.start()
    listener.wait(Ready)
    yield trainer
    trainer.client.close()


def open_painted(trainer, model=None):
    epoch = trainer.client.open(SMALL, plane_space(), read_image, model)
    trainer.client.set_strokes(painted(1, 2, 3))
    trainer.client.set_view(all_of())
    return epoch


def learn(trainer):
    """Live until there is a network; returns the model's bytes."""
    mark = trainer.listener.now
    trainer.client.set_live(True)
    trainer.complete()
    trainer.listener.wait(ModelKept, since=mark)
    trainer.listener.wait(OverlayBlock, since=mark)
    trainer.client.set_live(False)
    trainer.listener.wait(Finished, since=mark)
    return trainer.client.model


def settle(trainer):
    """Until everything that was asked for has been answered; returns what came since."""
    mark = trainer.listener.now
    trainer.client.measure([], request=99)
    trainer.complete()
    trainer.listener.wait(Measured, lambda m: m.request == 99, since=mark)


def finished(listener):
    return [event for event in listener.events if isinstance(event, Finished)]


# --- the methods ---------------------------------------------------------------------------------


def public(kind):
    return {name: item for name, item in vars(kind).items() if not name.startswith("_")}


@pytest.mark.parametrize("kind", [TrainerClient, InProcessTrainer, FakeClient])
def test_methods_take_what_the_protocol_says(kind):
    for name, item in public(Trainer).items():
        if isinstance(item, property):
            continue
        expected, found = (inspect.signature(f).parameters for f in (item, getattr(kind, name)))
        assert [(p.name, p.kind, p.default) for p in found.values()] == [
            (p.name, p.kind, p.default) for p in expected.values()
        ], name


def test_properties_are_there(trainer):
    assert isinstance(trainer.client.pid, int)
    assert trainer.client.model is None


# --- opening -------------------------------------------------------------------------------------


def test_it_says_that_it_is_ready_in_no_epoch(own_trainer):
    own_trainer.client.start()  # it is there already
    settle(own_trainer)
    ready = [isinstance(event, Ready) for event in own_trainer.listener.events]
    assert sum(ready) == 1
    assert own_trainer.listener.sessions[ready.index(True)] == 0


def test_each_opening_begins_another_epoch(trainer):
    first = open_painted(trainer)
    second = open_painted(trainer)
    assert 0 < first < second


def test_opening_forgets_strokes_and_network(trainer):
    open_painted(trainer)
    assert learn(trainer) is not None
    trainer.client.open(SMALL, plane_space(), read_image)
    settle(trainer)
    assert trainer.client.model is None
    mark = trainer.listener.now
    trainer.client.predict_all([slab()])
    assert trainer.listener.wait(Notice, since=mark).level == "error"


def test_the_model_that_was_opened_is_the_one_in_use(trainer):
    open_painted(trainer)
    model = learn(trainer)
    open_painted(trainer, model)
    settle(trainer)
    assert trainer.client.model == model


# --- what is stale -------------------------------------------------------------------------------


def test_nothing_of_an_earlier_epoch_is_heard_but_the_answer_to_a_stop(trainer):
    first = open_painted(trainer)
    trainer.client.set_live(True)
    trainer.client.set_live(False)
    second = open_painted(trainer)
    trainer.listener.wait(Finished)
    mark = trainer.listener.now
    late = Notice("warning", "Of the image before.")
    for event in (late, ModelKept(b"late", 7, 0.5), Progress("training", step=7)):
        trainer.say_late(first, event)
    trainer.say_late(second, Notice("info", "Of this image."))
    trainer.say_late(first, STOP)
    settle(trainer)
    events = trainer.listener.events[mark:]
    assert late not in events
    assert trainer.client.model is None
    assert Notice("info", "Of this image.") in events
    heard = zip(trainer.listener.sessions[mark:], events, strict=True)
    assert {type(event) for epoch, event in heard if epoch == first} == {Finished}


# --- work ----------------------------------------------------------------------------------------


def test_a_stop_is_answered_once_whether_or_not_there_is_work(trainer):
    open_painted(trainer)
    trainer.client.cancel()
    settle(trainer)
    assert finished(trainer.listener) == [STOP]
    trainer.client.set_live(True)
    trainer.client.set_live(False)
    trainer.client.cancel()
    settle(trainer)
    assert finished(trainer.listener) == [STOP] * 3


def test_a_cancelled_update_ends_before_the_stop(trainer):
    open_painted(trainer)
    trainer.client.update_once()
    trainer.client.cancel()
    settle(trainer)
    assert finished(trainer.listener) == [Finished("update", cancelled=True), STOP]


def test_cancelled_predictions_end_before_the_stop(trainer):
    open_painted(trainer)
    model = learn(trainer)
    trainer.client.open(SMALL, stack_space(10_000), read_image, model)
    trainer.client.predict_all([slab(n) for n in range(10_000)])
    trainer.client.cancel()
    settle(trainer)
    assert finished(trainer.listener)[-2:] == [Finished("predict", cancelled=True), STOP]


def test_an_update_ends_once_with_a_network_and_what_it_predicts(trainer):
    epoch = open_painted(trainer)
    trainer.client.update_once()
    trainer.complete()
    trainer.listener.wait(Finished)
    settle(trainer)
    assert finished(trainer.listener) == [Finished("update")]
    events = trainer.listener.events[: trainer.listener.events.index(Finished("update"))]
    (block, *_) = [event for event in reversed(events) if isinstance(event, OverlayBlock)]
    assert (block.box, block.labels.shape) == (slab(), SHAPE)
    assert any(isinstance(event, ModelKept) for event in events)
    assert set(trainer.listener.sessions) - {0} == {epoch}
    assert trainer.client.model is not None


def test_planes_are_predicted_in_the_order_they_were_asked_for(trainer):
    open_painted(trainer)
    model = learn(trainer)
    trainer.client.open(SMALL, stack_space(), read_image, model)
    boxes = [slab(n) for n in (3, 0, 1, 2, *range(4, 30))]
    mark = trainer.listener.now
    trainer.client.predict_all(boxes)
    trainer.complete()
    trainer.listener.wait(Finished, lambda f: f.work == "predict", since=mark)
    events = trainer.listener.events[mark:]
    assert [event.box for event in events if isinstance(event, OverlayBlock)] == boxes
    assert events[-1] == Finished("predict")


def test_the_caller_may_reuse_the_array_of_a_stroke(trainer):
    trainer.client.open(SMALL, plane_space(), read_image)
    values = strokes(1, 2, 3)
    trainer.client.set_strokes([Painted(slab(), values)])
    values[:] = 0
    trainer.client.set_view(all_of())
    assert learn(trainer) is not None


def test_a_comparison_is_answered_with_its_number(trainer):
    open_painted(trainer)
    model = learn(trainer)
    trainer.client.measure([model, model], request=5)
    trainer.complete()
    answer = trainer.listener.wait(Measured)
    assert answer.request == 5
    assert set(answer.scores) == {0, 1}
    assert all(0 <= score <= 1 for score in answer.scores.values())


# --- the end -------------------------------------------------------------------------------------


def test_a_trainer_that_dies_is_replaced_and_knows_all(own_trainer):
    epoch = open_painted(own_trainer)
    settle(own_trainer)
    own_trainer.crash()
    died = own_trainer.listener.wait(TrainerDied)
    assert died.restarting
    mark = own_trainer.listener.now
    assert learn(own_trainer) is not None  # the strokes are still there
    heard = zip(own_trainer.listener.sessions, own_trainer.listener.events, strict=True)
    kept = [number for number, event in heard if isinstance(event, ModelKept)]
    assert set(kept) == {epoch}
    assert own_trainer.listener.wait(OverlayBlock, since=mark).box == slab()  # and the view


def test_nothing_comes_after_the_end(own_trainer):
    open_painted(own_trainer)
    own_trainer.client.set_live(True)
    own_trainer.client.close()
    mark = own_trainer.listener.now
    own_trainer.client.close()
    own_trainer.client.set_strokes([Painted(slab(), np.zeros(SHAPE, np.uint8))])
    own_trainer.client.update_once()
    own_trainer.client.cancel()
    own_trainer.complete()
    own_trainer.say_late(own_trainer.client.open(SMALL, plane_space(), read_image), STOP)
    assert own_trainer.listener.now == mark
