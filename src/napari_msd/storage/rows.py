"""What the rows say that hold no operations: state, images, annotations, versions of networks."""

from __future__ import annotations

import json
import math
import zlib
from dataclasses import fields
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import msgspec

from napari_msd.core.checkpoint import VersionFigures
from napari_msd.core.space import Mode
from napari_msd.document import Version
from napari_msd.storage.content import JSON, MAX_CONTEXT, ImageReference, NetworkKey
from napari_msd.storage.limits import MAX_AXIS, MAX_TEXT, MAX_VIEW, UnreadableError
from napari_msd.storage.operation_codec import Body, Text, Whole, clean
from napari_msd.storage.sealed import opened, sealed

if TYPE_CHECKING:
    from collections.abc import Mapping

_Row = TypeVar("_Row", bound=msgspec.Struct)


Time = Annotated[float, msgspec.Meta(ge=0, le=1e11)]
Channels = Annotated[tuple[Whole, ...], msgspec.Meta(max_length=1000)]


class State(Body, frozen=True):
    """Of a session.

    `id` is eight hexadecimal digits; `created` and `changed` are times as `time.time`; `ended`
    says whether it was closed properly; `current` is the annotation that was worked on last.
    """

    id: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{8}$")]
    created: Time
    changed: Time
    ended: bool = False
    current: Whole | None = None


class AnnotationRow(Body, frozen=True):
    """An annotation layer's name, the number of its image, and of all that are its channels."""

    image: Whole
    name: Text
    channels: Channels = ()


class HistoryRow(Body, frozen=True):
    """Numbers of the versions of one of an image's networks, oldest first.

    What comes after `present` is missing in files of version 1.
    """

    image: Whole
    preset: Text
    versions: Annotated[tuple[Whole, ...], msgspec.Meta(max_length=1000)]
    present: Whole | None
    mode: Mode = "2d"
    context: Annotated[int, msgspec.Meta(ge=0, le=MAX_CONTEXT)] = 0
    channels: Channels = ()

    @property
    def key(self) -> NetworkKey:
        """Which network it is."""
        return NetworkKey(self.preset, self.mode, self.context, self.channels)


class _Image(Body, frozen=True):
    name: Text
    axes: Annotated[str, msgspec.Meta(max_length=16)]
    shape: Annotated[
        tuple[Annotated[int, msgspec.Meta(ge=0, le=MAX_AXIS)], ...], msgspec.Meta(max_length=16)
    ]
    n_channels: Annotated[int, msgspec.Meta(ge=0, le=2**20)]
    dtype: Text
    path: Annotated[bytes, msgspec.Meta(max_length=4 * MAX_TEXT)]
    reader: Text
    sample: tuple[Text, Text]
    fingerprint: Text
    part: tuple[Annotated[int, msgspec.Meta(ge=0, le=15)], Whole] | None = None
    axes_said: bool = False


class _About(Body, frozen=True):
    figures: VersionFigures
    source: Text
    lineage: Annotated[tuple[VersionFigures, ...], msgspec.Meta(max_length=100)]
    size: int
    checksum: int


_encoder = msgspec.msgpack.Encoder()


def seal(place: str, row: msgspec.Struct) -> bytes:
    """A row's content, for the row `place`."""
    return sealed(place, _encoder.encode(row))


def unseal(place: str, data: object, kind: type[_Row]) -> _Row:
    """What `seal` was given.

    Raises
    ------
    UnreadableError
        If it is damaged, or another kind of row.
    """
    body = opened(place, data)
    try:
        return msgspec.msgpack.decode(body, type=kind)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise UnreadableError(f"{place}: {error}") from error


def image_body(place: str, reference: ImageReference) -> bytes:
    """Content of an image's row."""
    row = _Image(
        clean(reference.name),
        clean(reference.axes),
        tuple(map(int, reference.shape)),
        reference.n_channels,
        clean(reference.dtype),
        reference.path[:MAX_TEXT].encode("utf-8", "surrogatepass"),
        clean(reference.reader),
        (clean(reference.sample[0]), clean(reference.sample[1])),
        clean(reference.fingerprint),
        reference.part,
        reference.axes_said,
    )
    return seal(place, row)


def image_of(place: str, data: object) -> ImageReference:
    """What `image_body` was given; raises `UnreadableError` as `unseal` does."""
    row = unseal(place, data, _Image)
    values = {key.name: getattr(row, key.name) for key in fields(ImageReference)}
    try:
        values["path"] = row.path.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise UnreadableError(f"the path of {place} is no text") from error
    return ImageReference(**values)


def version_about(place: str, version: Version) -> bytes:
    """Content of a version's row, but for its model."""
    row = _About(
        version.figures,
        clean(version.source),
        version.lineage,
        len(version.model),
        zlib.crc32(version.model),
    )
    return seal(place, row)


def version_of(place: str, about: object, model: object) -> Version:
    """The version of a row; raises `UnreadableError` as `unseal` does."""
    row = unseal(place, about, _About)
    if not isinstance(model, bytes) or (len(model), zlib.crc32(model)) != (row.size, row.checksum):
        raise UnreadableError(f"the model of {place} is damaged")
    for figures in (row.figures, *row.lineage):
        if figures.score is not None and not math.isfinite(figures.score):
            raise UnreadableError(f"the score of {place} is no number")
    return Version(model, row.figures, row.source, row.lineage)


def view_body(view: Mapping[str, JSON]) -> bytes:
    """The viewer's settings as JSON.

    Raises
    ------
    ValueError
        If they are not JSON, or larger than `MAX_VIEW`.
    """
    try:
        body = json.dumps(dict(view), allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, RecursionError) as error:
        raise ValueError(f"the view is no JSON object: {error}") from error
    if len(body) > MAX_VIEW:
        raise ValueError(f"the view takes {len(body)} bytes, more than {MAX_VIEW}")
    return body


def view_of(place: str, data: object) -> dict[str, Any]:
    """What `view_body` was given; raises `UnreadableError` as `unseal` does."""
    try:
        view = json.loads(opened(place, data), parse_constant=_refuse)
    except UnreadableError:
        raise
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"{place} is no JSON") from error
    if not isinstance(view, dict):
        raise UnreadableError(f"{place} is no JSON object")
    return view


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
