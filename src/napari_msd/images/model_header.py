"""The JSON in a model file's header, checked value by value when it is read.

Model files come by e-mail and from the web, so every value is checked. An invalid value leads to
one sentence that names it.
"""

from __future__ import annotations

import json
from typing import Any

from napari_msd.core.checkpoint import ClassInfo, VersionFigures
from napari_msd.core.class_names import class_name_or_number, clean_class_name
from napari_msd.core.errors import ModelFileError
from napari_msd.core.settings import BOUNDARIES, MAX_CLASSES
from napari_msd.core.space import MAX_ANISOTROPY
from napari_msd.images.checked_json import (
    MAX_TEXT,
    Values,
    checked_integer,
    checked_number,
    checked_text,
    parse_json,
    wrong,
)
from napari_msd.images.model_settings import agreeing
from napari_msd.images.model_trees import checked_header

HEADER_KEY = "napari_msd"
"""Key of our JSON in the safetensors header's ``__metadata__``."""

FORMAT_VERSION = 3
"""Increased when a reader of the old version would misread the new one. 2: trees beside the
network, and planes that are normalised separately. 3: neighbouring slices as channels, and
dilations along Z. Each file has the lowest version that holds what is in it."""

NORMALISATIONS = ("fixed", "plane")

MAX_HEADER_BYTES = 4 * 2**20
"""1000 layers of 100 channels, each named, with 100 000 dilations and 1000 versions: 2 MB."""

MAX_CHANNELS = 1024
MAX_DEPTH = 1000
MAX_WIDTH = 100
MAX_DILATION = 10_000
MAX_CONTEXT = 10
MAX_VERSIONS = 1000
SEEDS = (-(2**63), 2**64 - 1)

CITATION = (
    "D. M. Pelt and J. A. Sethian, A mixed-scale dense convolutional neural network for image "
    "analysis, PNAS 115(2), 254-259 (2018), doi:10.1073/pnas.1715832114"
)


def encode(content: dict[str, Any]) -> str:
    """Encode the header as JSON; `decode` reads it back."""
    return json.dumps({"format": _version_of(content), **_said(content)}, allow_nan=False)


def _version_of(content: dict[str, Any]) -> int:
    """The lowest version of the format that holds this content."""
    if content.get("context") or content.get("dilations_z") is not None:
        return 3
    if content.get("anisotropy", 1.0) != 1.0:
        return 3
    if content.get("trees") is not None or content.get("normalise", "fixed") != "fixed":
        return 2
    return 1


def _said(content: dict[str, Any]) -> dict[str, Any]:
    """The content without what an older file does not say."""
    unsaid = {"context": 0, "channels": (), "dilations_z": None, "anisotropy": 1.0}
    return {
        key: value for key, value in content.items() if key not in unsaid or value != unsaid[key]
    }


def decode(text: str) -> dict[str, Any]:
    """Read and check the header's JSON.

    Parameters
    ----------
    text
        The text stored under `HEADER_KEY`.

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
    version = Values(data).integer("format", 1, 10**6)
    if version > FORMAT_VERSION:
        raise ModelFileError("it was written by a newer napari-msd; update napari-msd to use it")
    return check(data)


def check(data: dict[str, Any]) -> dict[str, Any]:
    """Check the values of a header, whether just read or about to be written.

    Raises
    ------
    ModelFileError
        As `decode`.
    """
    read = _Header(data)
    ndim = read.integer("ndim", 2, 3)
    in_channels = read.integer("in_channels", 1, MAX_CHANNELS)
    n_classes = read.integer("n_classes", 1, MAX_CLASSES)
    classes = read.classes("classes", n_classes)
    depth = read.integer("depth", 1, MAX_DEPTH)
    width = read.integer("width", 1, MAX_WIDTH)
    dilations = read.dilations("dilations", depth * width)
    architecture: dict[str, Any] = {
        "depth": depth,
        "width": width,
        "dilations": dilations,
        "boundary": read.choice("boundary", BOUNDARIES),
        "seed": read.integer("seed", *SEEDS),
    }
    context = read.integer("context", 0, MAX_CONTEXT) if "context" in data else 0
    if (context and ndim != 2) or in_channels % (2 * context + 1):
        raise wrong("context", "a number of slices that fits the network's channels")
    values = {info.value for info in classes}
    pixel_size = read.optional("pixel_size", lambda key: read.numbers(key, ndim, above=0.0))
    units = read.optional("units", lambda key: read.units(key, ndim))
    return {
        "in_channels": in_channels,
        "n_classes": n_classes,
        **architecture,
        "ndim": ndim,
        "context": context,
        "channels": read.channels("channels", in_channels // (2 * context + 1)),
        "dilations_z": read.dilations_z("dilations_z", ndim, len(dilations)),
        "anisotropy": read.anisotropy("anisotropy", ndim),
        "classes": classes,
        "normalise": read.choice("normalise", NORMALISATIONS) if "normalise" in data else "fixed",
        "trees": checked_header(data["trees"]) if data.get("trees") is not None else None,
        "mean": read.numbers("mean", in_channels),
        "std": read.numbers("std", in_channels, above=0.0),
        "axes": read.matching("axes", r"[A-Z]{1,8}", "letters like 'YX'"),
        "pixel_size": pixel_size,
        "units": units,
        "settings": read.settings("settings", architecture | {"ndim": ndim, "context": context}),
        "steps": read.integer("steps", 0, 2**53),
        "score": read.optional("score", lambda key: read.number(key, 0.0, 1.0)),
        "scores": read.scores("scores", values),
        "history": read.history("history"),
        "versions": read.versions("versions"),
        "created": read.text("created"),
        "citation": read.text("citation"),
    }


class _Header(Values):
    """Reads the values that only this header has."""

    def dilations(self, key: str, channels: int) -> tuple[int, ...]:
        items = self.items(key, 1, max(channels, MAX_DILATION))
        return tuple(checked_integer(item, 1, MAX_DILATION, key) for item in items)

    def dilations_z(self, key: str, ndim: int, count: int) -> tuple[int, ...] | None:
        """Read dilations along Z; files of networks that have one for all axes lack them."""
        if self.data.get(key) is None:
            return None
        if ndim != 3:
            raise wrong(key, "left out: this network has no axis Z")
        items = self.items(key, count, count)
        return tuple(checked_integer(item, 1, MAX_DILATION, key) for item in items)

    def anisotropy(self, key: str, ndim: int) -> float:
        """Read the distance of slices in pixels; 1 where the file does not say it."""
        if key not in self.data:
            return 1.0
        return self.number(key, 1.0, MAX_ANISOTROPY if ndim == 3 else 1.0)

    def channels(self, key: str, count: int) -> tuple[str, ...]:
        """Read the names of an image's channels: all, or none."""
        if key not in self.data or self.get(key) in ([], ()):
            return ()
        names = (_limited_text(item, key) for item in self.items(key, count, count))
        return tuple(
            clean_class_name(name) or f"channel {number}" for number, name in enumerate(names, 1)
        )

    def classes(self, key: str, count: int) -> tuple[ClassInfo, ...]:
        infos = []
        for item in self.items(key, count, count):
            if not isinstance(item, dict):
                raise wrong(key, "a list of classes with value, name and color")
            read = _Header(item)
            color = read.matching("color", r"#[0-9a-fA-F]{6}", "a colour like '#1f77b4'")
            value = read.integer("value", 1, MAX_CLASSES)
            infos.append(ClassInfo(value, read.class_name("name", value), color))
        if len({info.value for info in infos}) != count:
            raise wrong(key, "classes of different values")
        return tuple(infos)

    def class_name(self, key: str, value: int) -> str:
        """Read a class name: cleaned, or "class 3" if nothing is left of it."""
        name = _limited_text(self.get(key), key)
        return class_name_or_number(name, value) if name else ""

    def units(self, key: str, count: int) -> tuple[str, ...]:
        """Read a unit per axis: cleaned as names are, or "pixel" if nothing is left of it."""
        units = (_limited_text(item, key) for item in self.items(key, count, count))
        return tuple(clean_class_name(unit) or "pixel" for unit in units)

    def scores(self, key: str, values: set[int]) -> dict[int, float]:
        scores = self.get(key)
        if not isinstance(scores, dict):
            raise wrong(key, "an IoU per class")
        known = {str(value): value for value in values}
        if any(str(value) not in known for value in scores):
            raise wrong(key, "an IoU for classes of this model")
        return {
            known[str(name)]: checked_number(iou, 0.0, 1.0, key) for name, iou in scores.items()
        }

    def history(self, key: str) -> tuple[VersionFigures, ...]:
        """Read earlier versions, oldest first; old files have none."""
        if key not in self.data:
            return ()
        return tuple(_version(item, key) for item in self.items(key, 0, MAX_VERSIONS))

    def versions(self, key: str) -> dict[str, str]:
        versions = self.get(key)
        if not isinstance(versions, dict) or len(versions) > 100:
            raise wrong(key, "a version per package")
        return {
            checked_text(name, key): checked_text(version, key)
            for name, version in versions.items()
        }

    def settings(self, key: str, architecture: dict[str, Any]) -> dict[str, Any]:
        """Read the settings and make them agree with the architecture, see `agreeing`."""
        settings = self.get(key)
        if not isinstance(settings, dict):
            raise wrong(key, "a set of names and values")
        return agreeing(settings, architecture).to_dict()


def _limited_text(text: object, key: str) -> str:
    """`text` as a string, if it is not excessively long."""
    if not isinstance(text, str) or len(text) > MAX_TEXT:
        raise wrong(key, f"a text of at most {MAX_TEXT} characters")
    return text


def _version(item: object, key: str) -> VersionFigures:
    if not isinstance(item, dict):
        raise wrong(key, "a list of versions with steps, score and strokes")
    read = Values(item)
    return VersionFigures(
        steps=read.integer("steps", 0, 2**53),
        score=read.optional("score", lambda name: read.number(name, 0.0, 1.0)),
        pieces=read.integer("pieces", 0, 2**53),
        painted=read.integer("painted", 0, 2**53),
        seed=read.integer("seed", *SEEDS),
        created=read.text("created"),
    )
