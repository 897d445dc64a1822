"""How messages are written for the process boundary: JSON with small arrays inside.

Stroke values are almost all zeros: compressed they are a few hundred bytes, so
they travel in the message itself. Planes and overlay blocks are large and go
through shared memory instead (see `client`).
"""

from __future__ import annotations

import base64
import zlib
from dataclasses import fields
from typing import Any

import numpy as np

from napari_msd.core.planes import Region
from napari_msd.trainer import messages
from napari_msd.trainer.messages import Event, StrokeBlock, View

_BY_NUMBER = {"held_out_iou", "iou_margin", "iou_pieces", "unmeasured", "scores"}
"""Values by class or by index: JSON makes every key a text."""


def pack_bytes(data: bytes) -> str:
    """Bytes as compressed text."""
    return base64.b64encode(zlib.compress(data, 1)).decode("ascii")


def unpack_bytes(text: str) -> bytes:
    """Read `pack_bytes`'s text."""
    return zlib.decompress(base64.b64decode(text))


def pack_region(region: Region) -> list[int]:
    """A rectangle as four numbers."""
    return [region.top, region.left, region.bottom, region.right]


def pack_strokes(block: StrokeBlock) -> dict[str, Any]:
    """A changed rectangle of strokes."""
    values = np.ascontiguousarray(block.values, np.uint8)
    return {
        "plane": list(block.plane),
        "region": pack_region(block.region),
        "values": pack_bytes(values.tobytes()),
    }


def unpack_strokes(data: dict[str, Any]) -> StrokeBlock:
    """Read `pack_strokes`'s form."""
    region = Region(*data["region"])
    values = np.frombuffer(unpack_bytes(data["values"]), np.uint8).reshape(region.shape)
    return StrokeBlock(tuple(data["plane"]), region, values)


def pack_view(view: View) -> dict[str, Any]:
    """What is on screen."""
    return {"plane": list(view.plane), "region": pack_region(view.region)}


def unpack_view(data: dict[str, Any]) -> View:
    """Read `pack_view`'s form."""
    return View(tuple(data["plane"]), Region(*data["region"]))


def pack_event(event: Event) -> dict[str, Any]:
    """An event as JSON-ready data; an overlay block's labels stay in the slot."""
    data: dict[str, Any] = {"event": type(event).__name__}
    for item in fields(event):
        value = getattr(event, item.name)
        if isinstance(value, Region):
            value = pack_region(value)
        elif isinstance(value, bytes):
            value = pack_bytes(value)
        elif isinstance(value, tuple):
            value = list(value)
        elif isinstance(value, np.ndarray):
            continue
        data[item.name] = value
    return data


def unpack_event(data: dict[str, Any]) -> Event:
    """Read `pack_event`'s form."""
    data = dict(data)
    kind: type[Any] = getattr(messages, data.pop("event"))
    if "plane" in data:
        data["plane"] = tuple(data["plane"])
    if "region" in data:
        data["region"] = Region(*data["region"])
    if "model" in data:
        data["model"] = unpack_bytes(data["model"])
    for name in _BY_NUMBER & data.keys():
        data[name] = {int(k): v for k, v in data[name].items()}
    event: Event = kind(**data)
    return event
