"""Model files: everything needed to use, continue, explain and cite a network.

One ``.safetensors`` file: the weights as float32 arrays under MSDNet's own
``state_dict`` keys, everything else as JSON under the key ``napari_msd`` of the
header. It is never a pickle: opening a model from an unknown source cannot run code, and
any safetensors reader, in any language, can open it.

The bytes of such a file are also how weights travel between processes (`ModelKept`).
"""

from __future__ import annotations

import stat
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import safetensors.numpy

from napari_msd.core.checkpoint import ClassInfo, VersionFigures
from napari_msd.core.errors import ModelFileError, shown
from napari_msd.core.space import NetworkInput
from napari_msd.images import model_header
from napari_msd.images.atomic import explain, write_atomically
from napari_msd.images.model_content import (
    checked_weights,
    content_of,
    parameter_shapes,
    parse,
    require_savable,
    require_weight_limit,
    shapes_of,
    weight_bytes,
)
from napari_msd.images.model_header import CITATION, HEADER_KEY
from napari_msd.images.model_trees import TreesRecord, checked_trees

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from napari_msd.core.settings import Boundary

__all__ = [
    "ModelRecord",
    "TreesRecord",
    "model_path",
    "parameter_shapes",
    "read",
    "require_savable",
]

SUFFIX = ".safetensors"


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
        all hidden channels. `in_channels` counts every value that the network gets of a pixel:
        the image's channels, of ``2 * context + 1`` slices.
    classes
        Output k of the network is class ``classes[k]``.
    mean, std
        One of each per input channel: the network's input is ``(image - mean) / std``; 0 and 1 if
        `normalise` is ``"plane"``.
    normalise
        ``"plane"``: every plane is first standardised by its own median and spread (see
        `napari_msd.inference.Normalisation.robust`); ``"fixed"``: by `mean` and `std` only.
    trees
        Trees whose predictions are mixed with the network's, if any.
    axes
        Axis letters of the training images, like ``"YX"`` or ``"ZYX"``.
    pixel_size, units
        Pixel size, in `units`, of the network's `ndim` axes (Y, X or Z, Y, X), if known.
    context
        Neighbouring slices on each side, 0..10, that are further channels (2.5-D).
    channels
        Names of the image's channels, in the network's order; empty if they have none.
    dilations_z
        In 3-D: dilations along Z, one for each of `dilations`; ``None`` if they are the same.
    anisotropy
        In 3-D: distance of the training images' slices in pixels of the slice, 1 or more.
    settings
        ``Settings.to_dict()`` of the training; in a file they always agree with the
        architecture and the seed.
    seed, steps
        Seed and steps of the training that produced these weights.
    score, scores
        IoU (0..1) on held-out strokes, mean and by class value; ``None`` or
        missing if nothing was held out.
    history
        Figures of earlier versions, oldest first; their weights are not in the file.
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
    normalise: Literal["fixed", "plane"] = "fixed"
    trees: TreesRecord | None = None
    boundary: Boundary = "reflect"
    ndim: int = 2
    axes: str = "YX"
    pixel_size: tuple[float, ...] | None = None
    units: tuple[str, ...] | None = None
    context: int = 0
    channels: tuple[str, ...] = ()
    dilations_z: tuple[int, ...] | None = None
    anisotropy: float = 1.0
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

    @property
    def n_image_channels(self) -> int:
        """Channels of the images; the network gets them of every slice that it sees."""
        return self.in_channels // (2 * self.context + 1)

    @property
    def network_input(self) -> NetworkInput:
        """What the network is given of an image."""
        return NetworkInput(self.n_image_channels, self.context, self.ndim, self.anisotropy)

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
        """Refuse an image with another number of channels.

        Parameters
        ----------
        channels
            Of the image; neighbouring slices do not count.

        Raises
        ------
        ModelFileError
            If the network was trained on another number of channels.
        """
        if channels != self.n_image_channels:
            named = f" ({', '.join(map(repr, self.channels[:5]))})" if self.channels else ""
            raise ModelFileError(
                f"This model was trained on images of {_count(self.n_image_channels, 'channel')}"
                f"{named}, this image has {channels}; choose an image like those it was trained on."
            )

    def to_bytes(self) -> bytes:
        """Return the content of a model file.

        Raises
        ------
        ModelFileError
            If a value is out of its bounds or an array has a wrong shape.
        """
        content = {
            key: value for key, value in vars(self).items() if key not in ("weights", "classes")
        }
        content["classes"] = [asdict(info) for info in self.classes]
        content["trees"] = self.trees.header() if self.trees is not None else None
        content["history"] = [asdict(version) for version in self.history]
        try:
            checked = model_header.check(content)
            content["settings"] = checked["settings"]
            content["classes"] = [asdict(info) for info in checked["classes"]]
            content["channels"] = checked["channels"]
            require_weight_limit(weight_bytes(checked))
            weights = checked_weights(self.weights, shapes_of(content))
            if self.trees is not None:
                weights |= checked_trees(checked["trees"], self.trees.arrays()).arrays()
        except ModelFileError as error:
            raise ModelFileError(f"This model cannot be saved: {error}.") from error
        metadata = {HEADER_KEY: model_header.encode(content)}
        return safetensors.numpy.save(weights, metadata=metadata)

    @classmethod
    def from_bytes(cls, data: bytes, name: str = "This model") -> ModelRecord:
        """Read the untrusted content of a model file.

        Parameters
        ----------
        data
            The file's bytes.
        name
            Name of the file for error messages.

        Raises
        ------
        ModelFileError
            One sentence: damaged, of another program, or from a newer version.
        """
        try:
            return cls(**parse(data))
        except ModelFileError as error:
            raise ModelFileError(f"{name} cannot be used: {error}.") from error

    def write(self, path: str | os.PathLike[str]) -> Path:
        """Write a model file, atomically; ``.safetensors`` is added to a name without suffix.

        Raises
        ------
        ExportError
            If the file cannot be written; an existing file is unchanged.
        ModelFileError
            As `to_bytes` and `model_path`.
        """
        path = model_path(path)
        data = self.to_bytes()

        def write(file: Any) -> None:
            file.write(data)

        return write_atomically(path, write)


def read(path: str | os.PathLike[str]) -> ModelRecord:
    """Read a model file.

    Raises
    ------
    ModelFileError
        If it is missing, unreadable, damaged, of another program, or from a newer version.
    """
    path = Path(path)
    name = f"The model file {str(path)!r}"
    try:
        about = path.stat()
        if stat.S_ISDIR(about.st_mode):
            raise ModelFileError(f"{str(path)!r} is a folder; choose a model file ({SUFFIX}).")
        if not stat.S_ISREG(about.st_mode):  # reading a pipe could block for ever
            raise ModelFileError(f"{str(path)!r} is not a file; choose a model file ({SUFFIX}).")
        with path.open("rb") as file:
            try:
                data = content_of(file, about.st_size)
            except ModelFileError as error:
                raise ModelFileError(f"{name} cannot be used: {error}.") from error
    except FileNotFoundError as error:
        raise ModelFileError(f"There is no model file {str(path)!r}.") from error
    except MemoryError as error:
        raise ModelFileError(f"{name} does not fit into memory.") from error
    except (OSError, ValueError) as error:
        if isinstance(error, ModelFileError):
            raise
        reason = explain(error) if isinstance(error, OSError) else "its name is not possible"
        raise ModelFileError(f"Cannot read the model file {str(path)!r}: {reason}.") from error
    return ModelRecord.from_bytes(data, name=name)


def model_path(path: str | os.PathLike[str]) -> Path:
    """The name of a model file; ``.safetensors`` is added to a name without suffix.

    Raises
    ------
    ModelFileError
        For any other suffix.
    """
    path = Path(path)
    if not path.name:
        raise ModelFileError(f"{str(path)!r} is not a model file name; end it in {SUFFIX}.")
    if path.suffix and path.suffix.lower() != SUFFIX:
        raise ModelFileError(
            f"A model cannot be saved as {shown(path.name)}; end its name in {SUFFIX}."
        )
    return path if path.suffix else path.with_name(path.name + SUFFIX)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
