"""Model files: everything needed to use, continue, explain and cite a network.

One ``.safetensors`` file: the weights as float32 arrays under MSDNet's own
``state_dict`` keys, everything else as JSON under the key ``napari_msd`` of the
header. Never a pickle: opening a model somebody sent cannot run code, and any
safetensors reader, in any language, can open it.

The bytes of such a file are also how weights cross the wall (`ModelKept`).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import safetensors
import safetensors.numpy

from napari_msd.errors import ModelFileError
from napari_msd.io import model_header
from napari_msd.io.atomic import explain, write_atomically
from napari_msd.io.checked_json import parse_json
from napari_msd.io.model_header import (
    CITATION,
    HEADER_KEY,
    MAX_HEADER_BYTES,
    ClassInfo,
    VersionFigures,
)

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping

    from napari_msd.config import Boundary

__all__ = ["ClassInfo", "ModelRecord", "VersionFigures", "parameter_shapes", "read"]

SUFFIX = ".safetensors"
MAX_FILE_BYTES = 2**30
"""A network of 200 layers of 10 channels is 72 MB; a larger file is no model of ours."""

_LENGTH_BYTES = 8


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True)
class ModelRecord:
    """A trained network, as plain data.

    Parameters
    ----------
    weights
        MSDNet's ``state_dict`` as float32 arrays; see `parameter_shapes`.
    in_channels, n_classes, depth, width, dilations, boundary, ndim
        MSDNet's arguments; `dilations` as given there, in pixels, a cycle over
        all hidden channels.
    classes
        Output k of the network is class ``classes[k]``.
    mean, std
        Per channel: the network is given ``(image - mean) / std``.
    axes
        Letters of the images it was trained on, like ``"YX"`` or ``"ZYX"``.
    pixel_size, units
        Of the network's `ndim` axes (Y, X or Z, Y, X), when known: size in `units`.
    settings
        ``Settings.to_dict()`` of the training; in a file they always agree with the
        architecture and the seed.
    seed, steps
        Of the training that made these weights.
    score, scores
        IoU (0..1) on held-out strokes, the mean and by class value; ``None`` or
        missing where nothing was held out.
    history
        Figures of the versions that came before, oldest first; their weights are not
        in the file.
    versions
        Packages and their versions.
    created
        ISO 8601 time, UTC.
    citation
        What to cite for the network.
    """

    weights: Mapping[str, np.ndarray]
    in_channels: int
    n_classes: int
    depth: int
    width: int
    dilations: tuple[int, ...]
    classes: tuple[ClassInfo, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    boundary: Boundary = "reflect"
    ndim: int = 2
    axes: str = "YX"
    pixel_size: tuple[float, ...] | None = None
    units: tuple[str, ...] | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    steps: int = 0
    score: float | None = None
    scores: dict[int, float] = field(default_factory=dict)
    history: tuple[VersionFigures, ...] = ()
    versions: dict[str, str] = field(default_factory=dict)
    created: str = field(default_factory=_now)
    citation: str = CITATION

    @property
    def class_names(self) -> dict[int, str]:
        """Name of each class, by value."""
        return {info.value: info.name for info in self.classes}

    def with_classes(
        self,
        names: Mapping[int, str] | None = None,
        colors: Mapping[int, str] | None = None,
    ) -> ModelRecord:
        """Return this record with the given classes' names and colours replaced, by value."""
        names, colors = names or {}, colors or {}
        classes = tuple(
            replace(
                info,
                name=names.get(info.value, info.name),
                color=colors.get(info.value, info.color),
            )
            for info in self.classes
        )
        return replace(self, classes=classes)

    def require_channels(self, channels: int) -> None:
        """Refuse an image of another number of channels.

        Raises
        ------
        ModelFileError
            When `channels` is not what the network was trained on.
        """
        if channels != self.in_channels:
            raise ModelFileError(
                f"This model was trained on images of {_count(self.in_channels, 'channel')}, this "
                f"image has {channels}; choose an image like those it was trained on."
            )

    def to_bytes(self) -> bytes:
        """Return the content of a model file.

        Raises
        ------
        ModelFileError
            When a value is out of its bounds or an array has a wrong shape.
        """
        content = {
            key: value for key, value in vars(self).items() if key not in ("weights", "classes")
        }
        content["classes"] = [asdict(info) for info in self.classes]
        content["history"] = [asdict(version) for version in self.history]
        try:
            content["settings"] = model_header.check(content)["settings"]
            weights = _checked_weights(self.weights, _shapes(content))
        except ModelFileError as error:
            raise ModelFileError(f"This model cannot be saved: {error}.") from error
        metadata = {HEADER_KEY: model_header.encode(content)}
        return safetensors.numpy.save(weights, metadata=metadata)

    @classmethod
    def from_bytes(cls, data: bytes, name: str = "This model") -> ModelRecord:
        """Read the content of a model file, trusting nothing in it.

        Parameters
        ----------
        data
            The file's bytes.
        name
            How to call it in an error's sentence.

        Raises
        ------
        ModelFileError
            One sentence: damaged, foreign, or from a newer version.
        """
        try:
            return cls(**_parse(data))
        except ModelFileError as error:
            raise ModelFileError(f"{name} cannot be used: {error}.") from error

    def write(self, path: str | os.PathLike[str]) -> Path:
        """Write a model file, atomically; ``.safetensors`` is added to a name without it.

        Raises
        ------
        ExportError
            When the file cannot be written; nothing that was there is lost.
        ModelFileError
            As `to_bytes`.
        """
        path = Path(path)
        if path.suffix.lower() != SUFFIX:
            path = path.with_name(path.name + SUFFIX)
        data = self.to_bytes()

        def write(file: Any) -> None:
            file.write(data)

        return write_atomically(path, write)


def read(path: str | os.PathLike[str]) -> ModelRecord:
    """Read a model file.

    Raises
    ------
    ModelFileError
        When it is missing, unreadable, damaged, foreign, or from a newer version.
    """
    path = Path(path)
    if path.is_dir():
        raise ModelFileError(f"{str(path)!r} is a folder; choose a model file ({SUFFIX}).")
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError as error:
        raise ModelFileError(f"There is no model file {str(path)!r}.") from error
    except (OSError, ValueError) as error:
        reason = explain(error) if isinstance(error, OSError) else "its name is not possible"
        raise ModelFileError(f"Cannot read the model file {str(path)!r}: {reason}.") from error
    return ModelRecord.from_bytes(data, name=f"The model file {str(path)!r}")


def parameter_shapes(
    in_channels: int, n_classes: int, depth: int, width: int, ndim: int = 2
) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Name and shape of each of MSDNet's parameters, in the order of its ``state_dict``."""
    for i in range(depth):
        yield f"layers.{i}.weight", (width, in_channels + i * width, *(3,) * ndim)
        yield f"layers.{i}.bias", (width,)
    yield "output.weight", (n_classes, in_channels + depth * width, *(1,) * ndim)
    yield "output.bias", (n_classes,)


def _parse(data: bytes) -> dict[str, Any]:
    """Keyword arguments of a `ModelRecord`, every one of them checked."""
    if len(data) > MAX_FILE_BYTES:
        raise ModelFileError("it is far too large for a model of napari-msd")
    header = _header(data)
    metadata = header.pop("__metadata__", None)
    text = metadata.get(HEADER_KEY) if isinstance(metadata, dict) else None
    if not isinstance(text, str):
        raise ModelFileError("it was not made by napari-msd")
    values = model_header.decode(text)
    shapes = _shapes(values)
    described = {
        name: entry.get("dtype") == "F32" and entry.get("shape")
        for name, entry in header.items()
        if isinstance(entry, dict)
    }
    if described != {name: list(shape) for name, shape in shapes.items()}:
        raise ModelFileError("its arrays are not those of the network its header describes")
    try:
        arrays = safetensors.numpy.load(data)
    except (safetensors.SafetensorError, ValueError, KeyError, TypeError, OverflowError) as error:
        raise ModelFileError("it is damaged or was cut short") from error
    return {"weights": _checked_weights(arrays, shapes), **values}


def _header(data: bytes) -> dict[str, Any]:
    """Parse the safetensors header: 8 bytes of length, little-endian, then JSON."""
    length = int.from_bytes(data[:_LENGTH_BYTES], "little")
    if len(data) <= _LENGTH_BYTES or length > MAX_HEADER_BYTES:
        raise ModelFileError("it is not a safetensors file")
    if length > len(data) - _LENGTH_BYTES:
        raise ModelFileError("it is damaged or was cut short")
    return parse_json(data[_LENGTH_BYTES : _LENGTH_BYTES + length])


def _shapes(values: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    names = ("in_channels", "n_classes", "depth", "width", "ndim")
    return dict(parameter_shapes(*(values[name] for name in names)))


def _checked_weights(
    weights: Mapping[str, np.ndarray], shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, np.ndarray]:
    """Own, contiguous float32 copies, in the order of `shapes`."""
    if set(weights) != set(shapes):
        raise ModelFileError("its arrays are not those of the network its header describes")
    checked = {}
    for name, shape in shapes.items():
        array = np.array(weights[name], dtype=np.float32, order="C")
        if array.shape != shape:
            raise ModelFileError(f"{name!r} has shape {array.shape} instead of {shape}")
        if not np.isfinite(array).all():
            raise ModelFileError(f"{name!r} holds values that are not finite numbers")
        checked[name] = array
    return checked


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
