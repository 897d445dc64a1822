"""Events reach the session on its own thread, and only those of the epoch that is open."""

import numpy as np
import pytest

from napari_msd.core.settings import Settings
from napari_msd.core.space import Space
from napari_msd.session.connection import TrainerConnection
from napari_msd.session.ports import ImageData
from napari_msd.trainer.messages import Finished, Notice

IMAGE = ImageData((object(),), Space("YX", (4, 5)), lambda box: np.zeros(box.shape))


class Trainer:
    def __init__(self, on_event):
        self.say, self.epoch, self.closed = on_event, 0, False

    def start(self):
        pass

    def open(self, settings, spaces, read, model, *, fit_normalisation):
        self.epoch += 1
        return self.epoch

    def close(self):
        self.closed = True


class Loop:
    """An event loop that a test turns."""

    def __init__(self):
        self.functions = []

    def call_soon(self, function):
        self.functions.append(function)

    def turn(self):
        functions, self.functions = self.functions, []
        for function in functions:
            function()


@pytest.fixture
def loop():
    return Loop()


@pytest.fixture
def connection(loop):
    connection = TrainerConnection(Trainer, loop.call_soon)
    connection.start()
    return connection


@pytest.fixture
def heard(connection):
    events = []
    connection.heard.connect(events.append)
    return events


def open_it(connection, **changes):
    settings = Settings.from_preset("quick", **changes)
    return connection.open(settings, (1,), IMAGE, None, None)


def test_events_wait_for_the_session_s_thread_and_come_in_one_turn(connection, loop, heard):
    open_it(connection)
    said = [Notice("info", text) for text in "abc"]
    for event in said:
        connection.client.say(1, event)
    assert not heard
    assert len(loop.functions) == 1
    loop.turn()
    assert heard == said


def test_what_still_waits_when_another_epoch_is_opened_is_dropped(connection, loop, heard):
    open_it(connection)
    connection.client.say(1, Notice("info", "late"))
    connection.client.say(1, Finished("stop"))  # somebody waits for it, whatever is open
    connection.client.say(0, Notice("info", "of none"))
    assert open_it(connection, seed=1)
    loop.turn()
    assert heard == [Finished("stop"), Notice("info", "of none")]


def test_the_same_again_is_no_new_epoch(connection):
    assert open_it(connection)
    assert not open_it(connection)
    connection.leave()
    assert open_it(connection)


def test_nothing_is_heard_after_the_end(connection, loop, heard):
    open_it(connection)
    trainer = connection.client
    trainer.say(1, Notice("info", "before"))
    connection.close()
    trainer.say(1, Notice("info", "after"))
    loop.turn()
    assert not heard
    assert trainer.closed


def test_a_listener_may_close_it(connection, loop):
    open_it(connection)
    heard = []
    connection.heard.connect(lambda event: (heard.append(event), connection.close()))
    for text in "ab":
        connection.client.say(1, Notice("info", text))
    loop.turn()
    assert heard == [Notice("info", "a")]
