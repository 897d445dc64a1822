"""Messages arrive as they were sent, in order, whole; what is none of ours is refused."""

import io
import os
import struct
import sys
import threading

import msgspec
import numpy as np
import pytest

from napari_msd.core.box import Box
from napari_msd.core.settings import PRESETS, Settings
from napari_msd.core.space import Space
from napari_msd.document import Painted
from napari_msd.trainer import messages
from napari_msd.trainer.channel import (
    MOST_BYTES,
    FrameWriter,
    decode_event,
    decode_request,
    encode,
    read_frames,
    widen,
)
from napari_msd.trainer.envelopes import EventEnvelope, Gate, RequestEnvelope, Stamp
from napari_msd.trainer.messages import (
    Cancel,
    Finished,
    Heartbeat,
    LookHere,
    Measure,
    Measured,
    ModelKept,
    Notice,
    Open,
    OverlayBlock,
    OverlayTaken,
    Pause,
    PixelsPart,
    PixelsUnavailable,
    PixelsWanted,
    PredictAll,
    Progress,
    Ready,
    Refresh,
    SetLive,
    SetStrokes,
    SetUncertainty,
    SetView,
    ShowMe,
    TrainerDied,
    UpdateOnce,
)
from napari_msd.trainer.pixel_parts import PART_BYTES, PixelAssembly, parts_of

STAMP = Stamp(1, 2, 3)
IMAGE = Space("YX", (10, 20))
VOLUME = Space(
    "TZYX",
    (4, 5, 10, 20),
    convolved=3,
    n_channels=2,
    pixel_size=(1.0, 0.5, 0.25, 0.25),
    units=("s", "µm", "µm", "µm"),
    channel_names=("DAPI", "GFP"),
)
NEIGHBOURS = Space("ZYX", (5, 10, 20), n_channels=3, context=2)

EVENTS = [
    Ready("CPU", "Because.", "cpu", 17, {"torch": "2"}),
    Progress("training", 3, 0.5, {1: 0.25, 2: 1.0}, 0.6, 0.7, 12.5, "", 0.5, 3.0),
    Progress("idle", 9, iou_margin={1: 0.5}, iou_pieces={2: 3}, unmeasured={7: 1}, warning="O"),
    Progress("training", starved=True),
    LookHere(Box(1, (5, 0, 0), (6, 64, 64)), 0.625),
    PixelsWanted(Box(0, (1, 0, 0), (2, 7, 9)), ahead=True),
    ModelKept(b"\x00\xff" * 50, 4, None),
    ModelKept(b"weights", 4, 0.5, pieces=12, painted=345, network="0123abcd"),
    Measured({0: 0.5, 1: None}),
    Finished("update", cancelled=True),
    Notice("warning", "Zażółć"),
    TrainerDied("It died.", True),
    Heartbeat(7, 0.25),
]
REQUESTS = [
    Open(Settings(seed=2**64 - 1), {0: VOLUME, 7: VOLUME}, b"\x00model", fit_normalisation=True),
    Open(Settings(mode="2.5d", context=2), {0: NEIGHBOURS}),
    *(Open(preset, {0: IMAGE}) for preset in PRESETS.values()),
    PixelsUnavailable(Box(0, (3, 0, 0), (4, 10, 20)), "read", "the disk is gone"),
    SetView(Box(2, (1, 2, 0, 1), (2, 3, 2, 3))),
    SetLive(True),
    UpdateOnce(),
    PredictAll((Box(0, (0, 0), (10, 20)), Box(1, (1, 0, 0), (2, 10, 20)))),
    SetUncertainty(False),
    Refresh(),
    ShowMe(),
    Measure((b"\xff", b""), 12),
    Cancel(),
    Pause(),
    OverlayTaken(),
]


@pytest.mark.parametrize("event", EVENTS)
def test_events_arrive_as_they_were_sent(event):
    sent = EventEnvelope(STAMP, event)
    assert decode_event(encode(sent)) == sent


@pytest.mark.parametrize("request_", REQUESTS)
def test_requests_arrive_as_they_were_sent(request_):
    sent = RequestEnvelope(STAMP, request_)
    assert decode_request(encode(sent)) == sent


def test_every_message_is_tried_here():
    with_arrays = {"OverlayBlock", "SetStrokes", "PixelsPart"}
    tried = {type(message).__name__ for message in [*EVENTS, *REQUESTS]} | with_arrays
    unions = messages.Event.__args__ + messages.Request.__args__
    assert tried == {kind.__name__ for kind in unions}


def request_back(request_):
    return decode_request(encode(RequestEnvelope(STAMP, request_))).request


def test_the_space_of_a_source_arrives_with_its_pixel_sizes():
    back = request_back(Open(Settings(), {3: VOLUME})).spaces[3]  # sizes do not count for equality
    assert (back.pixel_size, back.units) == (VOLUME.pixel_size, VOLUME.units)
    assert back.channel_names == VOLUME.channel_names


def test_strokes_arrive_as_they_were_sent():
    values = np.random.default_rng(0).integers(0, 255, (7, 5, 1)).astype(np.uint8).T
    box = Box(0, (2, 10, 20), (3, 15, 27))
    (back,) = request_back(SetStrokes((Painted(box, values),))).blocks
    assert back.box == box
    assert np.array_equal(back.values, values)
    assert back.values.dtype == np.uint8


@pytest.mark.parametrize("uncertainty", [None, np.full((1, 1, 2, 3), 9, np.uint8)])
def test_blocks_arrive_as_they_were_sent(uncertainty):
    labels = np.arange(6, dtype=np.uint8).reshape(1, 1, 2, 3)
    box = Box(0, (3, 4, 1, 2), (4, 5, 3, 5))
    block = OverlayBlock(box, 9, labels, uncertainty, "0123")
    back = decode_event(encode(EventEnvelope(STAMP, block))).event
    assert (back.box, back.step, back.network) == (box, 9, "0123")
    assert np.array_equal(back.labels, labels)
    assert np.array_equal(back.uncertainty, uncertainty)


@pytest.mark.parametrize(
    "pixels",
    [
        np.arange(12, dtype=np.uint16).reshape(3, 4).T,
        np.arange(24, dtype=">f4").reshape(2, 3, 4),
        np.arange(-3, 3, dtype=np.int64).reshape(2, 3),
        np.array([[True, False]]),
        np.ones((2, 2), np.float16),
        np.random.default_rng(0).random((700, 700)),
    ],
)
def test_a_plane_arrives_as_it_was(pixels):
    assembly, box = PixelAssembly(), Box.whole(4, pixels.shape[:2])
    whole = [assembly.add(request_back(part)) for part in parts_of(box, pixels)]
    assert all(part is None for part in whole[:-1])
    assert np.array_equal(whole[-1], pixels)


def test_a_plane_is_sent_in_parts_of_bounded_size():
    pixels = np.zeros((3, PART_BYTES), np.uint16)
    frames = [
        encode(RequestEnvelope(STAMP, part))
        for part in parts_of(Box.whole(0, pixels.shape), pixels)
    ]
    assert len(frames) == 6
    assert max(map(len, frames)) < PART_BYTES + 200


def test_parts_of_two_planes_do_not_mix():
    boxes = [Box(0, (n, 0, 0), (n + 1, 2, PART_BYTES)) for n in (1, 2)]
    one, two = (np.full(box.shape, box.start[0], np.uint8) for box in boxes)
    assembly = PixelAssembly()
    pairs = zip(parts_of(boxes[0], one), parts_of(boxes[1], two), strict=True)
    whole = [assembly.add(part) for pair in pairs for part in pair]
    assert np.array_equal(whole[-2], one)
    assert np.array_equal(whole[-1], two)


# --- what is refused -----------------------------------------------------------------------------


def array(header, values=b"\x00" * 6):
    """A message of strokes with this array inside."""
    header = msgspec.msgpack.encode(header)
    block = {
        "box": {"source": 0, "start": (0, 0), "stop": (2, 3)},
        "values": msgspec.msgpack.Ext(1, bytes([len(header)]) + header + values),
    }
    request_ = {"type": "SetStrokes", "blocks": [block]}
    return msgspec.msgpack.encode([[1, 1, 1], request_])


def test_an_array_made_by_hand_is_accepted():
    assert decode_request(array(("|u1", (2, 3)))).request.blocks[0].values.shape == (2, 3)


@pytest.mark.parametrize(
    "frame",
    [
        b"nonsense",
        msgspec.msgpack.encode([[1, 1, 1], {"type": "Nonsense"}]),
        msgspec.msgpack.encode([[1, 1, 1], {"type": "SetLive", "on": "yes"}]),
        msgspec.msgpack.encode([[1, 1, 1], {"type": "SetLive", "on": True, "and": 1}]),
        array(("|O8", (2, 3)), b"\x00" * 48),  # pointers
        array(("<M8[s]", (2, 3)), b"\x00" * 48),
        array(("<u2", (2, 3)), b"\x00" * 12),  # strokes are uint8
        array(("|u1", (3, 2))),  # not as the box
        array(("|u1", (2, 4))),  # more than there is
        array(("|u1", (-2, -3))),
        array(("no type", (2, 3))),
    ],
)
def test_what_is_no_request_is_refused(frame):
    with pytest.raises((msgspec.DecodeError, ValueError)):
        decode_request(frame)


@pytest.mark.parametrize("offset", [-1, 1])
def test_a_part_outside_its_plane_is_refused(offset):
    with pytest.raises(ValueError, match="values at"):
        PixelsPart(Box.whole(0, (2, 2)), (2, 2), offset, np.zeros(4, np.uint8))


def test_numbers_of_numpy_are_numbers():
    start, stop = np.arange(3), np.arange(3) + 4
    sent = RequestEnvelope(STAMP, SetView(Box(np.int64(7), tuple(start), tuple(stop))))
    assert decode_request(encode(sent)).request == SetView(Box(7, (0, 1, 2), (4, 5, 6)))
    progress = Progress("idle", loss=np.float32(0.5), held_out_iou={np.int64(1): np.float64(0.25)})
    assert decode_event(encode(EventEnvelope(STAMP, progress))).event == progress


def test_only_what_a_message_can_hold_is_sent():
    with pytest.raises(NotImplementedError, match="cannot hold a object"):
        encode(EventEnvelope(STAMP, object()))


# --- frames --------------------------------------------------------------------------------------


def test_frames_of_many_threads_stay_whole():
    source, sink = os.pipe()
    with open(source, "rb") as reader, open(sink, "wb") as stream:  # noqa: PTH123
        writer = FrameWriter(stream)

        def write(letter):
            for n in range(50):
                writer.write(letter * (n * 997))

        threads = [threading.Thread(target=write, args=(letter,)) for letter in (b"a", b"b", b"c")]
        for thread in threads:
            thread.start()
        frames = read_frames(reader)
        found = [next(frames) for _ in range(150)]
        for thread in threads:
            thread.join()
        stream.close()
        assert list(frames) == []
    assert sorted(map(len, found)) == sorted(3 * [n * 997 for n in range(50)])
    assert all(len(set(frame)) <= 1 for frame in found)


def test_a_stream_that_ends_within_a_frame_ends():
    whole = io.BytesIO()
    FrameWriter(whole).write(b"first")
    FrameWriter(whole).write(b"second")
    for length in range(9, len(whole.getvalue())):
        assert list(read_frames(io.BytesIO(whole.getvalue()[:length]))) == [b"first"]


def test_a_length_that_cannot_be_is_refused_before_memory_is_taken():
    stream = io.BytesIO(struct.pack("<I", MOST_BYTES + 1))
    with pytest.raises(ValueError, match="too long"):
        next(read_frames(stream))


# --- what is stale -------------------------------------------------------------------------------


def test_messages_of_another_session_are_stale():
    gate = Gate(session=2)
    assert not gate.accepts(Stamp(1, 0, 1))
    assert gate.accepts(Stamp(2, 0, 1))
    gate.renew(3)
    assert not gate.accepts(Stamp(2, 0, 2))
    assert gate.accepts(Stamp(3, 0, 1))  # and they are counted anew


def test_messages_that_came_before_are_stale():
    gate = Gate(session=1)
    assert [gate.accepts(Stamp(1, 0, n)) for n in (1, 2, 2, 1, 5, 4)] == [1, 1, 0, 0, 1, 0]


def test_messages_of_an_earlier_epoch_are_stale():
    gate = Gate(session=1, epoch=4)
    assert not gate.accepts(Stamp(1, 3, 1), Notice("info", "Late."))
    assert gate.accepts(Stamp(1, 4, 2), Notice("info", "In time."))
    assert gate.accepts(Stamp(1, 0, 3), Notice("info", "Of no epoch."))


def test_the_answer_to_a_stop_is_never_too_old():
    gate = Gate(session=1, epoch=4)
    assert gate.accepts(Stamp(1, 3, 1), Finished("stop"))
    assert not gate.accepts(Stamp(1, 3, 2), Finished("update"))
    assert not gate.accepts(Stamp(2, 3, 3), Finished("stop"))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets the size be chosen")
def test_a_wide_pipe_holds_a_whole_block_of_the_overlay():
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", 0) as reader, os.fdopen(writing, "wb", 0) as writer:
        widen(writer)
        block = bytes(1 << 20)
        assert writer.write(block) == len(block)  # nobody reads meanwhile
        assert len(reader.read(len(block))) == len(block)


def test_a_stream_that_is_no_pipe_stays_as_it_is(tmp_path):
    with (tmp_path / "file").open("wb") as file:
        widen(file)
