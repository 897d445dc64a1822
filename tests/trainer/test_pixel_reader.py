"""Pixels are read on threads of their own."""

import threading
from queue import Empty, SimpleQueue

import numpy as np
import pytest

from napari_msd.core.box import Box
from napari_msd.core.settings import Settings
from napari_msd.trainer import pixel_reader
from napari_msd.trainer.epoch_state import EpochState, PixelsRequest
from napari_msd.trainer.pixel_reader import PixelRead, PixelReader

BOX = Box(0, (0, 0), (3, 4))


def zeros(box: Box) -> np.ndarray:
    return np.zeros(box.shape)


def epoch(number: int, read=zeros) -> EpochState:
    return EpochState(number, Settings(), {}, read)


@pytest.fixture
def delivered():
    return SimpleQueue[PixelRead]()


@pytest.fixture
def reader(delivered):
    made = PixelReader(delivered.put, lambda epoch: epoch.number > 0)
    yield made
    made.close()


def test_what_is_wanted_at_once_comes_before_what_is_wanted_soon(reader, delivered, monkeypatch):
    monkeypatch.setattr(pixel_reader, "READERS", 1)
    began, free = threading.Event(), threading.Event()

    def slow(box: Box) -> np.ndarray:
        began.set()
        assert free.wait(60)
        return zeros(box)

    one = epoch(1, slow)
    boxes = [BOX.along(0, 0, n) for n in (1, 2, 3)]
    reader.read(PixelsRequest(one, boxes[0]))
    assert began.wait(60)
    reader.read(PixelsRequest(one, boxes[1], ahead=True))
    reader.read(PixelsRequest(one, boxes[2]))
    free.set()
    found = [delivered.get(timeout=60).wanted.box for _ in boxes]
    assert found == [boxes[0], boxes[2], boxes[1]]


def test_a_second_box_is_read_while_the_first_one_waits(reader, delivered):
    began, free = threading.Event(), threading.Event()

    def slow_at_first(box: Box) -> np.ndarray:
        if box == BOX:
            began.set()
            assert free.wait(60)
        return zeros(box)

    one, other = epoch(1, slow_at_first), BOX.along(0, 0, 1)
    reader.read(PixelsRequest(one, BOX))
    assert began.wait(60)
    reader.read(PixelsRequest(one, other))
    assert delivered.get(timeout=60).wanted.box == other
    free.set()
    assert delivered.get(timeout=60).wanted.box == BOX


def test_a_source_that_does_not_answer_holds_up_its_own_epoch_only(reader, delivered):
    began, free = threading.Event(), threading.Event()

    def stuck(box: Box) -> np.ndarray:
        began.set()
        assert free.wait(60)
        return zeros(box)

    reader.read(PixelsRequest(epoch(1, stuck), BOX))
    assert began.wait(60)
    reader.read(PixelsRequest(epoch(2), BOX))
    try:
        assert delivered.get(timeout=30).wanted.epoch.number == 2
    except Empty:
        pytest.fail("the next epoch waits for the one before")
    finally:
        free.set()
    assert delivered.get(timeout=60).wanted.epoch.number == 1


def test_slabs_of_an_epoch_that_is_over_are_not_read(reader, delivered):
    def never(box: Box) -> np.ndarray:
        raise AssertionError("read")

    reader.read(PixelsRequest(epoch(0, never), BOX))
    reader.read(PixelsRequest(epoch(3), BOX))
    assert delivered.get(timeout=60).wanted.epoch.number == 3
    assert delivered.empty()
