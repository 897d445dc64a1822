"""Operations as bytes and back: small typed structs in MessagePack, painted values deflated.

What is decoded may come from anywhere. It is checked here, before memory is taken, and by the
document that it is done to.
"""

from __future__ import annotations

import math
import re
import zlib
from typing import TYPE_CHECKING, Annotated

import msgspec
import numpy as np

from napari_msd.core.box import Box
from napari_msd.core.checkpoint import ClassInfo
from napari_msd.core.errors import SettingsError
from napari_msd.core.palette import class_color
from napari_msd.core.settings import MAX_CLASSES, Settings
from napari_msd.core.space import Space
from napari_msd.document.operations import (
    BindSource,
    ChooseSettings,
    DefineClass,
    MergeClasses,
    Operation,
    PaintBox,
    RemoveClass,
    RenameClass,
)
from napari_msd.storage.limits import (
    MAX_AXIS,
    MAX_BODY,
    MAX_PAINT_BODY,
    MAX_PIXELS,
    MAX_RATIO,
    MAX_TEXT,
    MemoryGuard,
    UnreadableError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

PAINT, BIND, DEFINE, RENAME, MERGE, REMOVE, CHOOSE = range(1, 8)
"""Kinds of rows."""

_LEVEL = 1
"""Painted values are a few runs of equal bytes: higher levels take longer and save little."""

_COLOR = re.compile("#[0-9a-fA-F]{6}")

Text = Annotated[str, msgspec.Meta(max_length=MAX_TEXT)]
Whole = Annotated[int, msgspec.Meta(ge=0, le=MAX_AXIS)]
_Corner = Annotated[tuple[Whole, ...], msgspec.Meta(min_length=2, max_length=8)]
_Lengths = Annotated[
    tuple[Annotated[int, msgspec.Meta(ge=1, le=MAX_AXIS)], ...],
    msgspec.Meta(min_length=2, max_length=8),
]
_Value = Annotated[int, msgspec.Meta(ge=1, le=MAX_CLASSES)]
_Numbers = Annotated[tuple[float, ...], msgspec.Meta(max_length=8)]
_Texts = Annotated[tuple[Text, ...], msgspec.Meta(max_length=8)]


class Body(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True, gc=False):
    """A row's content."""


class _Paint(Body, frozen=True):
    source: Whole
    start: _Corner
    stop: _Corner
    values: bytes


class _Bind(Body, frozen=True):
    source: Whole
    axes: Annotated[str, msgspec.Meta(max_length=8)]
    shape: _Lengths
    convolved: Annotated[int, msgspec.Meta(ge=2, le=3)]
    n_channels: Annotated[int, msgspec.Meta(ge=1, le=2**20)]
    context: Annotated[int, msgspec.Meta(ge=0, le=2**10)]
    pixel_size: _Numbers | None
    units: _Texts | None
    name: Text


class _Define(Body, frozen=True):
    value: _Value
    name: Text
    color: Text


class _Rename(Body, frozen=True):
    value: _Value
    name: Text


class _Merge(Body, frozen=True):
    value: _Value
    into: _Value


class _Remove(Body, frozen=True):
    value: _Value


class _Choose(Body, frozen=True):
    settings: dict[str, bool | int | float | str | list[int]]


_encoder = msgspec.msgpack.Encoder()
_decoders: dict[int, msgspec.msgpack.Decoder[Body]] = {
    PAINT: msgspec.msgpack.Decoder(_Paint),
    BIND: msgspec.msgpack.Decoder(_Bind),
    DEFINE: msgspec.msgpack.Decoder(_Define),
    RENAME: msgspec.msgpack.Decoder(_Rename),
    MERGE: msgspec.msgpack.Decoder(_Merge),
    REMOVE: msgspec.msgpack.Decoder(_Remove),
    CHOOSE: msgspec.msgpack.Decoder(_Choose),
}


def parts(operation: Operation) -> Iterator[Operation]:
    """The operation in as many as it takes: a box of more than `MAX_PIXELS` becomes several."""
    if not isinstance(operation, PaintBox) or operation.box.size <= MAX_PIXELS:
        yield operation
        return
    box = operation.box
    axis = max(range(box.ndim), key=lambda i: box.shape[i])
    middle = (box.start[axis] + box.stop[axis]) // 2
    for start, stop in ((box.start[axis], middle), (middle, box.stop[axis])):
        half = box.along(axis, start, stop)
        yield from parts(PaintBox(half, operation.values[half.within(box).slices]))


def encode(operation: Operation) -> tuple[int, bytes]:
    """Kind and content of the row that holds an operation."""
    match operation:
        case PaintBox(box, values):
            deflated = zlib.compress(np.ascontiguousarray(values).data, _LEVEL)
            start, stop = tuple(map(int, box.start)), tuple(map(int, box.stop))  # NumPy's, too
            return PAINT, _encoder.encode(_Paint(box.source, start, stop, deflated))
        case BindSource(source, space, name):
            return BIND, _encoder.encode(_bind(source, space, name))
        case DefineClass(info):
            row = _Define(info.value, clean(info.name), clean(info.color))
            return DEFINE, _encoder.encode(row)
        case RenameClass(value, name):
            return RENAME, _encoder.encode(_Rename(value, clean(name)))
        case MergeClasses(value, into):
            return MERGE, _encoder.encode(_Merge(value, into))
        case RemoveClass(value):
            return REMOVE, _encoder.encode(_Remove(value))
        case ChooseSettings(settings):
            return CHOOSE, _encoder.encode(_Choose(settings.to_dict()))


def decode(kind: int, body: bytes, guard: MemoryGuard) -> Operation:
    """The operation that `encode` was given.

    Parameters
    ----------
    kind, body
        Of the row.
    guard
        Asked before memory is taken.

    Raises
    ------
    UnreadableError
        If it is none.
    SessionError
        If memory is too small for it.
    """
    decoder = _decoders.get(kind)
    if decoder is None or len(body) > (MAX_PAINT_BODY if kind == PAINT else MAX_BODY):
        raise UnreadableError(f"there is no operation {kind} of {len(body)} bytes")
    try:
        return _operation(decoder.decode(body), guard)
    except (msgspec.MsgspecError, SettingsError, ValueError, RecursionError) as error:
        raise UnreadableError(str(error)) from error


def clean(text: str) -> str:
    """A text that every row can hold: half characters are replaced, the longest is cut."""
    return text[:MAX_TEXT].encode("utf-8", "replace").decode()


def _operation(row: Body, guard: MemoryGuard) -> Operation:
    match row:
        case _Paint():
            return _paint(row, guard)
        case _Bind():
            return BindSource(row.source, _space(row), row.name)
        case _Define(value, name, color):
            known = color if _COLOR.fullmatch(color) else class_color(value)
            return DefineClass(ClassInfo(value, name, known))
        case _Rename(value, name):
            return RenameClass(value, name)
        case _Merge(value, into):
            return MergeClasses(value, into)
        case _Remove(value):
            return RemoveClass(value)
        case _Choose(settings):
            return ChooseSettings(Settings.from_dict(settings))
    raise UnreadableError(f"nothing is done by {type(row).__name__}")


def _paint(row: _Paint, guard: MemoryGuard) -> PaintBox:
    box = Box(row.source, row.start, row.stop)
    size = box.size
    if size > min(MAX_PIXELS, MAX_RATIO * len(row.values)):
        raise UnreadableError(f"{len(row.values)} bytes cannot be {size} pixels")
    guard.take_box(box)
    inflater = zlib.decompressobj()
    try:
        values = inflater.decompress(row.values, size + 1)
    except zlib.error as error:
        raise UnreadableError("painted values are damaged") from error
    if len(values) != size or not inflater.eof or inflater.unused_data:
        raise UnreadableError(f"these are not the values of {size} pixels")
    return PaintBox(box, np.frombuffer(values, np.uint8).reshape(box.shape))


def _bind(source: int, space: Space, name: str) -> _Bind:
    units = space.units if space.units is None else tuple(map(clean, space.units))
    return _Bind(
        source,
        clean(space.axes),
        space.shape,
        space.convolved,
        space.n_channels,
        space.context,
        _pixel_size(space.pixel_size, space.ndim),
        units,
        clean(name),
    )


def _space(row: _Bind) -> Space:
    if math.prod(row.shape) > 2**62:
        raise UnreadableError("there are no images of this size")
    return Space(
        row.axes,
        row.shape,
        row.convolved,
        row.n_channels,
        row.context,
        _pixel_size(row.pixel_size, len(row.shape)),
        row.units if row.units is not None and len(row.units) == len(row.shape) else None,
    )


def _pixel_size(size: tuple[float, ...] | None, ndim: int) -> tuple[float, ...] | None:
    """The pixel size if it can be one: a finite length above 0 per axis."""
    if size is None or len(size) != ndim or not all(0 < n < math.inf for n in size):
        return None
    return size
