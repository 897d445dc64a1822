"""Blocks go to a file on another thread, and what is interrupted can be gone on with."""

import threading
from queue import Queue

import numpy as np
import pytest

from napari_msd.core.box import Box
from napari_msd.core.errors import ExportError
from napari_msd.session.result_file import Ended, ResultFile

SHAPE = (2, 40, 60)
TILES = list(Box.whole(0, SHAPE).tiles((1, 20, 30)))


class ArraySink:
    """In memory; cannot be gone on with."""

    def __init__(self):
        self.array = np.zeros(SHAPE, np.uint8)
        self.state = "open"

    def write(self, box, values):
        self.array[box.slices] = values

    def close(self):
        self.state = "closed"

    def discard(self):
        self.state = "discarded"


class Resumable(ArraySink):
    def __init__(self, done=()):
        super().__init__()
        self.done = set(done)

    def write(self, box, values):
        super().write(box, values)
        self.done.add(box)

    def is_done(self, box):
        return box in self.done

    def leave(self):
        self.state = "left"


class Session:
    """Where calls of the writing thread arrive."""

    def __init__(self, open_sink):
        self.calls = Queue()
        self.missing = self.ended = None
        self.file = ResultFile(open_sink, TILES, self.on_ready, self.on_ended, self.calls.put)

    def on_ready(self, missing):
        self.missing = missing

    def on_ended(self, how):
        self.ended = how

    def wait_for(self, what):
        while getattr(self, what) is None:
            self.calls.get(timeout=30)()
        return getattr(self, what)


def write(session, tiles):
    for number, tile in enumerate(tiles, start=1):
        session.file.put(tile, np.full(tile.shape, number, np.uint8))


def test_everything_is_asked_for_written_and_closed():
    sink = ArraySink()
    session = Session(lambda: sink)
    assert session.wait_for("missing") == TILES
    write(session, TILES)
    session.file.finish(complete=True)
    assert session.wait_for("ended") == Ended("", True, False, 1.0)
    assert sink.state == "closed"
    assert sink.array.min() > 0


def test_only_what_is_missing_is_asked_for():
    sink = Resumable(TILES[:5])
    session = Session(lambda: sink)
    assert session.wait_for("missing") == TILES[5:]
    write(session, TILES[5:])
    session.file.finish(complete=True)
    assert session.wait_for("ended") == Ended("", True, True, 1.0)


@pytest.mark.parametrize(("sink", "state"), [(Resumable(), "left"), (ArraySink(), "discarded")])
def test_what_is_stopped_is_left_or_thrown_away(sink, state):
    session = Session(lambda: sink)
    session.wait_for("missing")
    write(session, TILES[:4])
    session.file.finish(complete=False)
    how = session.wait_for("ended")
    assert (how.complete, how.done) == (False, 0.5)
    assert how.resumable == (state == "left")
    assert sink.state == state


def test_what_could_not_be_segmented_counts_as_missing():
    session = Session(Resumable)
    session.wait_for("missing")
    write(session, TILES[:6])
    session.file.finish(complete=True)
    assert session.wait_for("ended") == Ended("", True, True, 0.75)


def test_a_file_that_cannot_be_opened_is_said():
    def refuse():
        raise ExportError("Cannot write x: it is being written already.")

    how = Session(refuse).wait_for("ended")
    assert how.error == "Cannot write x: it is being written already."


def test_a_full_disk_ends_it_and_what_is_written_stays():
    class Full(Resumable):
        def write(self, box, values):
            if len(self.done) == 3:
                raise ExportError("Cannot write x: no space is left.")
            super().write(box, values)

    sink = Full()
    session = Session(lambda: sink)
    session.wait_for("missing")
    write(session, TILES)
    how = session.wait_for("ended")
    assert how == Ended("Cannot write x: no space is left.", False, True, 3 / 8)
    assert sink.state == "left"
    session.file.put(TILES[0], np.zeros(TILES[0].shape, np.uint8))  # late ones are dropped
    session.file.finish(complete=True)


def test_whoever_brings_blocks_to_a_stuck_disk_goes_on():
    free = threading.Event()

    class Stuck(ArraySink):
        def write(self, box, values):
            assert free.wait(60)
            super().write(box, values)

    sink = Stuck()
    session = Session(lambda: sink)
    session.wait_for("missing")
    for _ in range(140):
        write(session, TILES[:1])
    session.file.finish(complete=True)
    assert sink.state == "open"
    free.set()
    session.wait_for("ended")
    assert sink.state == "closed"
