"""Every operation comes back as it was; what is none is refused before memory is taken."""

import contextlib
import zlib

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from napari_msd.core.box import Box
from napari_msd.core.checkpoint import ClassInfo
from napari_msd.core.errors import SessionError
from napari_msd.core.settings import PRESETS, Settings
from napari_msd.core.space import MODES, Space
from napari_msd.document.operations import (
    BindSource,
    ChooseSettings,
    DefineClass,
    MergeClasses,
    PaintBox,
    RemoveClass,
    RenameClass,
)
from napari_msd.storage import limits, operation_codec
from napari_msd.storage.limits import MemoryGuard, UnreadableError
from napari_msd.storage.operation_codec import CHOOSE, PAINT, decode, encode, parts

GUARD = MemoryGuard("It")
VALUES = st.integers(1, 255)
NAMES = st.text(max_size=20)


@st.composite
def paints(draw):
    values = draw(npst.arrays(np.uint8, npst.array_shapes(min_dims=2, max_dims=4, max_side=9)))
    start = draw(st.tuples(*[st.integers(0, 2**39)] * values.ndim))
    stop = tuple(a + n for a, n in zip(start, values.shape, strict=True))
    return PaintBox(Box(draw(st.integers(0, 9)), start, stop), values)


@st.composite
def bindings(draw):
    axes = draw(st.sampled_from(["YX", "ZYX", "TZYX"]))
    n = len(axes)
    convolved = draw(st.integers(2, min(n, 3)))
    space = Space(
        axes,
        draw(st.tuples(*[st.integers(1, 2**15)] * n)),
        convolved,
        draw(st.integers(1, 5)),
        draw(st.integers(0, 3)) if convolved == 2 and n > 2 else 0,
        draw(st.none() | st.tuples(*[st.floats(1e-9, 1e9)] * n)),
        draw(st.none() | st.tuples(*[NAMES] * n)),
    )
    return BindSource(draw(st.integers(0, 9)), space, draw(NAMES))


operations = st.one_of(
    paints(),
    bindings(),
    st.builds(
        lambda v, n, c: DefineClass(ClassInfo(v, n, f"#{c:06x}")),
        VALUES,
        NAMES,
        st.integers(0, 2**24 - 1),
    ),
    st.builds(RenameClass, VALUES, NAMES),
    st.builds(MergeClasses, st.integers(1, 127), st.integers(128, 255)),
    st.builds(RemoveClass, VALUES),
    st.builds(
        lambda preset, seed, dilations, mode, context: ChooseSettings(
            Settings.from_preset(preset, seed=seed, dilations=dilations, mode=mode, context=context)
        ),
        st.sampled_from(sorted(PRESETS)),
        st.integers(0, 2**64 - 1),
        st.lists(st.integers(1, 100), min_size=1, max_size=9),
        st.sampled_from(MODES),
        st.integers(1, 10),
    ),
)


def space_of(operation):
    """All of a space; pixel sizes do not count when spaces are compared."""
    return vars(operation.space) if isinstance(operation, BindSource) else None


@settings(deadline=None)
@given(operations)
def test_an_operation_comes_back(operation):
    again = decode(*encode(operation), GUARD)
    assert again == operation
    assert space_of(again) == space_of(operation)


def test_names_that_no_file_can_hold_are_mended():
    again = decode(*encode(RenameClass(1, "mito\udc80")), GUARD)
    assert again == RenameClass(1, "mito?")
    assert decode(*encode(RenameClass(1, "n" * 20_000)), GUARD).name == "n" * limits.MAX_TEXT


def test_sizes_that_are_no_numbers_are_left_out():
    bound = BindSource(0, Space("YX", (4, 4), pixel_size=(float("nan"), 1.0)))
    assert decode(*encode(bound), GUARD).space.pixel_size is None


def test_a_large_box_becomes_several(monkeypatch):
    monkeypatch.setattr(operation_codec, "MAX_PIXELS", 100)
    values = np.arange(21 * 17, dtype=np.uint8).reshape(21, 17)
    pieces = list(parts(PaintBox(Box(0, (3, 4), (24, 21)), values)))
    assert max(piece.box.size for piece in pieces) <= 100
    canvas = np.zeros((30, 30), np.uint8)
    for piece in pieces:
        assert not canvas[piece.box.slices].any()
        canvas[piece.box.slices] = piece.values
    assert np.array_equal(canvas[3:24, 4:21], values)


def painted(start, stop, data):
    return msgspec.msgpack.encode((0, start, stop, data))


@pytest.mark.parametrize(
    ("start", "stop", "data"),
    [
        ((0, 0), (2**31, 2**31), b"x" * 2000),  # claims 2^62 pixels
        ((0, 0), (2**40, 1), b"x" * 2000),
        ((0, 0), (4, 4), zlib.compress(bytes(2_000_000))),  # inflates to more than it says
        ((0, 0), (4, 4), zlib.compress(bytes(15))),  # to less
        ((0, 0), (4, 4), zlib.compress(bytes(16)) + b"more"),
        ((0, 0), (4, 4), zlib.compress(bytes(16))[:-1]),
        ((0, 0), (4, 4), b"not deflated"),
        ((0,), (4,), zlib.compress(bytes(4))),
        ((0, 0), (4, 4, 1), zlib.compress(bytes(16))),
        ((-1, 0), (3, 4), zlib.compress(bytes(16))),
    ],
)
def test_values_that_do_not_fit_their_box_are_refused(start, stop, data):
    with pytest.raises(UnreadableError):
        decode(PAINT, painted(start, stop, data), GUARD)


def test_no_more_is_inflated_than_the_box_holds(monkeypatch):
    asked = []
    real = zlib.decompressobj

    class Inflater:
        def __init__(self):
            self.inner = real()

        def decompress(self, data, most):
            asked.append(most)
            return self.inner.decompress(data, most)

        def __getattr__(self, name):
            return getattr(self.inner, name)

    monkeypatch.setattr(operation_codec.zlib, "decompressobj", Inflater)
    bomb = painted((0, 0), (4, 4), zlib.compress(bytes(10_000_000)))
    with pytest.raises(UnreadableError):
        decode(PAINT, bomb, GUARD)
    assert asked == [17]


def test_what_does_not_fit_into_memory_is_refused_before_it_is_inflated(monkeypatch):
    kind, body = encode(PaintBox(Box(0, (0, 0), (4000, 4000)), np.zeros((4000, 4000), np.uint8)))
    monkeypatch.setattr(limits, "available", lambda: 2**20)
    monkeypatch.setattr(operation_codec.zlib, "decompressobj", None)
    with pytest.raises(SessionError, match=r"It needs more memory .* close other programs"):
        decode(kind, body, MemoryGuard("It"))


@pytest.mark.parametrize(
    "settings",
    [
        {"preset": "nonsense"},
        {"depth": 10**9},
        {"unknown": 1},
        {"device": "/dev/sda"},
        {"depth": []},
    ],
)
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(UnreadableError):
        decode(CHOOSE, msgspec.msgpack.encode((settings,)), GUARD)


@given(st.integers(-1, 9), st.binary(max_size=60))
def test_any_bytes_are_refused_or_an_operation(kind, body):
    with contextlib.suppress(UnreadableError):
        decode(kind, body, GUARD)


def test_a_box_may_count_in_numpys_integers():
    box = Box(0, (np.int64(1), np.int64(2)), (np.int64(3), np.int64(4)))
    assert (
        encode(PaintBox(box, np.ones((2, 2), np.uint8)))[0]
        == encode(PaintBox(Box(0, (1, 2), (3, 4)), np.ones((2, 2), np.uint8)))[0]
    )
