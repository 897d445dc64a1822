"""The JSON in a model file's header, checked value by value when it is read.

Model files come by e-mail and from the web: nothing in them is believed before
it has been looked at, and a wrong value becomes one sentence that names it.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from napari_msd.config import BOUNDARIES, MAX_CLASSES, Settings
from napari_msd.errors import ModelFileError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

HEADER_KEY = "napari_msd"
"""Where our JSON lies in the safetensors header's ``__metadata__``."""

FORMAT_VERSION = 1
"""Raised when a reader of the old version would misread the new one."""

MAX_HEADER_BYTES = 16 * 2**20
MAX_CHANNELS = 1024
MAX_DEPTH = 1000
MAX_WIDTH = 100
MAX_DILATION = 10_000
MAX_TEXT = 2000

CITATION = (
    "D. M. Pelt and J. A. Sethian, A mixed-scale dense convolutional neural network for image "
    "analysis, PNAS 115(2), 254-259 (2018), doi:10.1073/pnas.1715832114"
)


@dataclass(frozen=True)
class ClassInfo:
    """One class: its value in the annotation (1..255), its name, its colour ``#rrggbb``."""

    value: int
    name: str
    color: str


def encode(content: dict[str, Any]) -> str:
    """Write the header's JSON; `decode` reads it back."""
    return json.dumps({"format": FORMAT_VERSION, **content}, allow_nan=False)


def decode(text: str) -> dict[str, Any]:
    """Read and check the header's JSON.

    Parameters
    ----------
    text
        The text found under `HEADER_KEY`.

    Returns
    -------
    dict
        Keyword arguments of `ModelRecord`, without ``weights``.

    Raises
    ------
    ModelFileError
        For anything missing, of a wrong type, or outside its bounds.
    """
    data = parse_json(text)
    version = _Reader(data).integer("format", 1, 10**6)
    if version > FORMAT_VERSION:
        raise ModelFileError("it was written by a newer napari-msd; update napari-msd to use it")
    return check(data)


def parse_json(text: str | bytes) -> dict[str, Any]:
    """Parse a JSON object strictly: no NaN, no bottomless nesting, an object at the top."""
    try:
        data = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise ModelFileError("its header is not readable JSON") from error
    if not isinstance(data, dict):
        raise ModelFileError("its header is not a JSON object")
    return data


def check(data: dict[str, Any]) -> dict[str, Any]:
    """Check the values of a header, whether just read or about to be written.

    Raises
    ------
    ModelFileError
        As `decode`.
    """
    read = _Reader(data)
    ndim = read.integer("ndim", 2, 3)
    in_channels = read.integer("in_channels", 1, MAX_CHANNELS)
    n_classes = read.integer("n_classes", 1, MAX_CLASSES)
    classes = read.classes("classes", n_classes)
    depth = read.integer("depth", 1, MAX_DEPTH)
    width = read.integer("width", 1, MAX_WIDTH)
    values = {info.value for info in classes}
    pixel_size = read.optional("pixel_size", lambda key: read.numbers(key, ndim, above=0.0))
    units = read.optional("units", lambda key: read.texts(key, ndim))
    return {
        "in_channels": in_channels,
        "n_classes": n_classes,
        "depth": depth,
        "width": width,
        "dilations": read.dilations("dilations", depth * width),
        "boundary": read.choice("boundary", BOUNDARIES),
        "ndim": ndim,
        "classes": classes,
        "mean": read.numbers("mean", in_channels),
        "std": read.numbers("std", in_channels, above=0.0),
        "axes": read.matching("axes", r"[A-Z]{1,8}", "letters like 'YX'"),
        "pixel_size": pixel_size,
        "units": units,
        "settings": read.settings("settings"),
        "seed": read.integer("seed", -(2**63), 2**64 - 1),
        "steps": read.integer("steps", 0, 2**53),
        "score": read.optional("score", lambda key: read.number(key, 0.0, 1.0)),
        "scores": read.scores("scores", values),
        "versions": read.versions("versions"),
        "created": read.text("created"),
        "citation": read.text("citation"),
    }


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


class _Reader:
    """Takes values out of a header, each with its type and bounds checked."""

    def __init__(self, data: dict[str, Any]) -> None:
        self.data = data

    def get(self, key: str) -> Any:
        if key not in self.data:
            raise ModelFileError(f"its header lacks {key!r}")
        return self.data[key]

    def optional(self, key: str, read: Callable[[str], Any]) -> Any:
        return None if self.get(key) is None else read(key)

    def integer(self, key: str, low: int, high: int) -> int:
        return _integer(self.get(key), low, high, key)

    def number(self, key: str, low: float, high: float) -> float:
        return _number(self.get(key), low, high, key)

    def numbers(self, key: str, count: int, above: float = -math.inf) -> tuple[float, ...]:
        items = self.items(key, count, count)
        numbers = tuple(_number(item, above, math.inf, key) for item in items)
        if any(number <= above for number in numbers):
            raise _wrong(key, f"{count} numbers above {above:g}")
        return numbers

    def items(self, key: str, least: int, most: int) -> list[Any]:
        items = self.get(key)
        if not isinstance(items, list | tuple) or not least <= len(items) <= most:
            count = str(least) if least == most else f"{least} to {most}"
            raise _wrong(key, f"a list of {count} entries")
        return list(items)

    def text(self, key: str) -> str:
        return _text(self.get(key), key)

    def texts(self, key: str, count: int) -> tuple[str, ...]:
        return tuple(_text(item, key) for item in self.items(key, count, count))

    def choice(self, key: str, choices: tuple[str, ...]) -> str:
        value = self.get(key)
        if not isinstance(value, str) or value not in choices:
            raise _wrong(key, f"one of {', '.join(choices)}")
        return value

    def matching(self, key: str, pattern: str, wanted: str) -> str:
        value = self.get(key)
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise _wrong(key, wanted)
        return value

    def dilations(self, key: str, channels: int) -> tuple[int, ...]:
        items = self.items(key, 1, max(channels, MAX_DILATION))
        return tuple(_integer(item, 1, MAX_DILATION, key) for item in items)

    def classes(self, key: str, count: int) -> tuple[ClassInfo, ...]:
        infos = []
        for item in self.items(key, count, count):
            if not isinstance(item, dict):
                raise _wrong(key, "a list of classes with value, name and color")
            read = _Reader(item)
            color = read.matching("color", r"#[0-9a-fA-F]{6}", "a colour like '#1f77b4'")
            infos.append(ClassInfo(read.integer("value", 1, MAX_CLASSES), read.text("name"), color))
        if len({info.value for info in infos}) != count:
            raise _wrong(key, "classes of different values")
        return tuple(infos)

    def scores(self, key: str, values: set[int]) -> dict[int, float]:
        scores = self.get(key)
        if not isinstance(scores, dict):
            raise _wrong(key, "an IoU per class")
        known = {str(value): value for value in values}
        if any(str(value) not in known for value in scores):
            raise _wrong(key, "an IoU for classes of this model")
        return {known[str(name)]: _number(iou, 0.0, 1.0, key) for name, iou in scores.items()}

    def versions(self, key: str) -> dict[str, str]:
        versions = self.get(key)
        if not isinstance(versions, dict) or len(versions) > 100:
            raise _wrong(key, "a version per package")
        return {_text(name, key): _text(version, key) for name, version in versions.items()}

    def settings(self, key: str) -> dict[str, Any]:
        """Take the settings this version knows; ones added by later versions are left out."""
        settings = self.get(key)
        if not isinstance(settings, dict):
            raise _wrong(key, "a set of names and values")
        known = {field.name for field in fields(Settings)}
        kept = {name: value for name, value in settings.items() if name in known}
        try:
            return Settings.from_dict(kept).to_dict()
        except SettingsError as error:
            raise ModelFileError(f"in its settings, {str(error).rstrip('.')}") from error
        except (TypeError, ValueError, OverflowError) as error:
            raise _wrong(key, "settings of napari-msd") from error


def _integer(value: object, low: int, high: int, key: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise _wrong(key, f"a whole number from {low} to {high}")
    return value


def _number(value: object, low: float, high: float, key: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong(key, "a number")
    try:
        number = float(value)
    except OverflowError as error:
        raise _wrong(key, "a finite number") from error
    if not math.isfinite(number) or not low <= number <= high:
        bounds = f"a number from {low:g} to {high:g}" if math.isfinite(high) else "a finite number"
        raise _wrong(key, bounds)
    return number


def _text(value: object, key: str) -> str:
    if not isinstance(value, str) or len(value) > MAX_TEXT or not value.isprintable():
        raise _wrong(key, f"a printable text of at most {MAX_TEXT} characters")
    return value


def _wrong(key: str, wanted: str) -> ModelFileError:
    return ModelFileError(f"{key!r} in its header must be {wanted}")
