"""The bytes of a model file: a safetensors file whose header describes a network.

Sizes are compared before any weight is read: of a file that is larger or smaller than the network
it describes, only the header is read.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import safetensors
import safetensors.numpy

from napari_msd.core.errors import ModelFileError
from napari_msd.images import model_header
from napari_msd.images.checked_json import parse_json
from napari_msd.images.model_header import HEADER_KEY, MAX_HEADER_BYTES
from napari_msd.images.model_trees import Shapes, array_shapes, checked_trees, is_of_trees, n_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MAX_WEIGHT_BYTES = 2**30
"""200 layers of 10 channels need 72 MB, 500 such layers 450 MB, 1000 layers of one channel 18 MB.
Larger networks can neither be saved nor read."""

_LENGTH_BYTES = 8


def parameter_shapes(
    in_channels: int, n_classes: int, depth: int, width: int, ndim: int = 2
) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Name and shape of each of MSDNet's parameters, in the order of its ``state_dict``."""
    for i in range(depth):
        yield f"layers.{i}.weight", (width, in_channels + i * width, *(3,) * ndim)
        yield f"layers.{i}.bias", (width,)
    yield "output.weight", (n_classes, in_channels + depth * width, *(1,) * ndim)
    yield "output.bias", (n_classes,)


def weight_bytes(architecture: Mapping[str, Any]) -> int:
    """Bytes of a network's weights, and of its trees if it has any.

    `architecture` has `parameter_shapes`' arguments by name.
    """
    network = sum(4 * math.prod(shape) for shape in shapes_of(architecture).values())
    trees = architecture.get("trees")
    return network + (n_bytes(trees) if trees is not None else 0)


def require_savable(architecture: Mapping[str, Any]) -> None:
    """Refuse, before training, a network that is too large for a model file.

    Raises
    ------
    ModelFileError
        If its weights need more than `MAX_WEIGHT_BYTES`.
    """
    try:
        require_weight_limit(weight_bytes(architecture))
    except ModelFileError as error:
        raise ModelFileError(f"This network could not be saved: {error}.") from error


def require_weight_limit(size: int) -> None:
    """Refuse weights of more than `MAX_WEIGHT_BYTES`."""
    if size > MAX_WEIGHT_BYTES:
        raise ModelFileError(
            f"its weights need {size / 2**20:.0f} MiB and a model file holds "
            f"{MAX_WEIGHT_BYTES >> 20}; use fewer layers or channels"
        )


def content_of(file: BinaryIO, size: int) -> bytes:
    """Read a model file of `size` bytes, if its header describes a network of that size.

    Raises
    ------
    ModelFileError
        Half a sentence; no weight was read.
    """
    beginning = file.read(_LENGTH_BYTES)
    length = _header_length(beginning, size)
    beginning += file.read(length)
    _described(beginning, size)
    return beginning + file.read(size - len(beginning))


def parse(data: bytes) -> dict[str, Any]:
    """Read the keyword arguments of a `ModelRecord`, each of them checked.

    Raises
    ------
    ModelFileError
        Half a sentence that says what is wrong.
    """
    values, shapes = _described(data, len(data))
    try:
        arrays = safetensors.numpy.load(data)
    except (safetensors.SafetensorError, ValueError, KeyError, TypeError, OverflowError) as error:
        raise ModelFileError("it is damaged or was cut short") from error
    of_trees = {name: array for name, array in arrays.items() if is_of_trees(name)}
    weights = {name: array for name, array in arrays.items() if name not in of_trees}
    if values["trees"] is not None:
        values["trees"] = checked_trees(values["trees"], of_trees)
    return {"weights": checked_weights(weights, shapes), **values}


def _described(data: bytes, size: int) -> tuple[dict[str, Any], dict[str, tuple[int, ...]]]:
    """Read a header: its values, and the shapes of the arrays.

    Parameters
    ----------
    data
        The beginning of the file, at least its header.
    size
        Bytes of the whole file.
    """
    length = _header_length(data, size)
    header = parse_json(data[_LENGTH_BYTES : _LENGTH_BYTES + length])
    metadata = header.pop("__metadata__", None)
    text = metadata.get(HEADER_KEY) if isinstance(metadata, dict) else None
    if not isinstance(text, str):
        raise ModelFileError("it was not made by napari-msd")
    values = model_header.decode(text)
    needed = weight_bytes(values)
    require_weight_limit(needed)
    shapes = shapes_of(values)
    expected: Shapes = {name: ("F32", shape) for name, shape in shapes.items()}
    if values["trees"] is not None:
        expected |= array_shapes(values["trees"])
    described = {
        name: (entry.get("dtype"), entry.get("shape"))
        for name, entry in header.items()
        if isinstance(entry, dict)
    }
    if described != {name: (dtype, list(shape)) for name, (dtype, shape) in expected.items()}:
        raise ModelFileError("its arrays are not those of the network its header describes")
    if size != _LENGTH_BYTES + length + needed:
        raise ModelFileError("it is damaged: its size does not match its network")
    return values, shapes


def _header_length(data: bytes, size: int) -> int:
    """Bytes of the safetensors header: 8 bytes of length, little-endian, then JSON."""
    length = int.from_bytes(data[:_LENGTH_BYTES], "little")
    if size <= _LENGTH_BYTES or length > MAX_HEADER_BYTES:
        raise ModelFileError("it is not a safetensors file")
    if length > size - _LENGTH_BYTES:
        raise ModelFileError("it is damaged or was cut short")
    return length


def shapes_of(values: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """`parameter_shapes` of a network whose arguments are given by name."""
    names = ("in_channels", "n_classes", "depth", "width", "ndim")
    return dict(parameter_shapes(*(values[name] for name in names)))


def checked_weights(
    weights: Mapping[str, np.ndarray], shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, np.ndarray]:
    """Contiguous float32 copies, in the order of `shapes`."""
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
