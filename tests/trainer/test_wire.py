"""Messages arrive as they were sent, in order, whole."""

import io
import json
import threading

import numpy as np
import pytest

from napari_msd.core.planes import Region
from napari_msd.trainer import wire
from napari_msd.trainer.inbox import Inbox
from napari_msd.trainer.messages import (
    Finished,
    LookHere,
    Measured,
    ModelKept,
    Notice,
    OverlayBlock,
    PlaneWanted,
    Progress,
    Ready,
    StrokeBlock,
    View,
)
from napari_msd.trainer.process import WholeLines


@pytest.mark.parametrize(
    "event",
    [
        Ready("CPU", "Because.", "cpu", 17, {"torch": "2"}),
        Progress("training", 3, 0.5, {1: 0.25, 2: 1.0}, 0.6, 0.7, 12.5, "", 0.5, 3.0),
        Progress("idle", 9, iou_margin={1: 0.5}, iou_pieces={2: 3}, unmeasured={7: 1}, warning="O"),
        OverlayBlock((3, 4), Region(1, 2, 3, 4), 9),
        OverlayBlock((), Region(1, 2, 3, 4), 9, unsure=True, network="0123"),
        LookHere((5,), Region(0, 0, 64, 64), 0.625),
        PlaneWanted((1,)),
        ModelKept(b"\x00\xff" * 50, 4, None),
        ModelKept(b"weights", 4, 0.5, pieces=12, painted=345, network="0123abcd"),
        Measured({0: 0.5, 1: None}),
        Progress("training", starved=True),
        Finished("update", cancelled=True),
        Notice("warning", "Zażółć"),
    ],
)
def test_events_cross_as_json(event):
    assert wire.unpack_event(json.loads(json.dumps(wire.pack_event(event)))) == event


def test_strokes_and_views_cross_as_json():
    values = np.random.default_rng(0).integers(0, 255, (5, 7)).astype(np.uint8)
    block = StrokeBlock((2,), Region(10, 20, 15, 27), values.T.copy().T)
    back = wire.unpack_strokes(json.loads(json.dumps(wire.pack_strokes(block))))
    assert (back.plane, back.region) == (block.plane, block.region)
    assert np.array_equal(back.values, values)
    view = View((1, 2), Region(0, 1, 2, 3))
    assert wire.unpack_view(json.loads(json.dumps(wire.pack_view(view)))) == view


def test_the_inbox_restores_the_order():
    inbox = Inbox()
    for number in (2, 0, 1, 4):
        inbox.put(number, str(number), {})
    assert [name for name, _ in inbox.take(timeout=0)] == ["0", "1", "2"]
    assert inbox.take(timeout=0) == []
    inbox.put(3, "3", {})
    assert [name for name, _ in inbox.take(timeout=0)] == ["3", "4"]


def test_lines_of_many_threads_stay_whole():
    out = io.StringIO()
    stream = WholeLines(out)

    def write(letter):
        for _ in range(200):
            print(letter * 50, file=stream)

    threads = [threading.Thread(target=write, args=(letter,)) for letter in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = out.getvalue().splitlines()
    assert len(lines) == 800
    assert all(len(line) == 50 and len(set(line)) == 1 for line in lines)
