"""The trees of a model file: their arrays and their header."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_msd.core.errors import ModelFileError
from napari_msd.core.settings import MAX_CLASSES
from napari_msd.images.checked_json import Values, checked_integer, checked_number, wrong
from napari_msd.trees import Forest
from napari_msd.trees.forest import MAX_FEATURES, MAX_NODES, MAX_TREES

if TYPE_CHECKING:
    from collections.abc import Mapping

_PREFIX = "trees."
_FIELDS = ("feature", "threshold", "child", "answers", "roots")
_MAX_LAYERS = 200
_MAX_DILATION = 10_000

Shapes = dict[str, tuple[str, tuple[int, ...]]]
"""Type as safetensors calls it, and shape, by an array's name."""


@dataclass(frozen=True, eq=False)
class TreesRecord:
    """Trees beside a network, as plain data; see `napari_msd.inference.ensemble`.

    Parameters
    ----------
    forest
        The forest; its class k is class ``values[k]``.
    values
        Class values, 1..255.
    weight
        Weight of the trees' probabilities in the mixture, 0..1.
    offsets
        Added to the logarithm of each class's mixed probability.
    layers
        Hidden layers whose maps are features, by `state_dict` names ``layers.0.weight`` ...: those
        of an MS-D network with one channel and width 1. None for volumes.
    dilations
        One per layer, in pixels.
    """

    forest: Forest
    values: tuple[int, ...]
    weight: float
    offsets: tuple[float, ...]
    layers: Mapping[str, np.ndarray]
    dilations: tuple[int, ...]

    def header(self) -> dict[str, Any]:
        """The header that describes the arrays, ready for JSON."""
        return {
            "values": list(self.values),
            "weight": self.weight,
            "offsets": list(self.offsets),
            "dilations": list(self.dilations),
            "features": self.forest.n_features,
            "nodes": len(self.forest.feature),
            "leaves": len(self.forest.answers),
            "trees": self.forest.n_trees,
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """All arrays, by their names in the file."""
        found = {_PREFIX + name: getattr(self.forest, name) for name in _FIELDS}
        return found | {_PREFIX + name: array for name, array in self.layers.items()}


def checked_header(data: object) -> dict[str, Any]:
    """Check the part of a header that describes trees.

    Raises
    ------
    ModelFileError
        For anything missing, of a wrong type, or outside its bounds.
    """
    if not isinstance(data, dict):
        raise wrong("trees", "a set of names and values")
    read = Values(data)
    values = [
        checked_integer(value, 1, MAX_CLASSES, "values")
        for value in read.items("values", 1, MAX_CLASSES)
    ]
    if len(set(values)) != len(values):
        raise wrong("values", "different class values")
    offsets = read.items("offsets", len(values), len(values))
    dilations = read.items("dilations", 0, _MAX_LAYERS)
    return {
        "values": values,
        "weight": read.number("weight", 0.0, 1.0),
        "offsets": [checked_number(offset, -100.0, 100.0, "offsets") for offset in offsets],
        "dilations": [
            checked_integer(dilation, 1, _MAX_DILATION, "dilations") for dilation in dilations
        ],
        "features": read.integer("features", 1, MAX_FEATURES),
        "nodes": read.integer("nodes", 1, MAX_NODES),
        "leaves": read.integer("leaves", 1, MAX_NODES),
        "trees": read.integer("trees", 1, MAX_TREES),
    }


def array_shapes(header: Mapping[str, Any]) -> Shapes:
    """Type and shape of each array that a checked header describes."""
    nodes = (header["nodes"],)
    shapes: Shapes = {
        "feature": ("I32", nodes),
        "threshold": ("F32", nodes),
        "child": ("I32", nodes),
        "answers": ("F32", (header["leaves"], len(header["values"]))),
        "roots": ("I32", (header["trees"],)),
    }
    for i in range(len(header["dilations"])):
        shapes[f"layers.{i}.weight"] = ("F32", (1, 1 + i, 3, 3))
        shapes[f"layers.{i}.bias"] = ("F32", (1,))
    return {_PREFIX + name: entry for name, entry in shapes.items()}


def n_bytes(header: Mapping[str, Any]) -> int:
    """Total bytes of the arrays that a header describes."""
    return sum(4 * math.prod(shape) for _, shape in array_shapes(header).values())


def checked_trees(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> TreesRecord:
    """Copy the arrays that a checked header describes, and check them.

    Raises
    ------
    ModelFileError
        Half a sentence.
    """
    own = {name.removeprefix(_PREFIX): array for name, array in arrays.items()}
    if set(arrays) != set(array_shapes(header)):
        raise ModelFileError("its trees' arrays are not those that its header describes")
    for name, (_, shape) in array_shapes(header).items():
        if arrays[name].shape != shape:
            raise ModelFileError(f"{name!r} has shape {arrays[name].shape} instead of {shape}")
    feature, threshold, child, answers, roots = (own.pop(name) for name in _FIELDS)
    forest = Forest.checked(feature, threshold, child, answers, roots, header["features"])
    layers = {name: np.array(array, np.float32, order="C") for name, array in own.items()}
    if not all(np.isfinite(array).all() for array in layers.values()):
        raise ModelFileError("its trees' layers hold values that are not finite numbers")
    return TreesRecord(
        forest,
        tuple(header["values"]),
        header["weight"],
        tuple(header["offsets"]),
        layers,
        tuple(header["dilations"]),
    )


def is_of_trees(name: str) -> bool:
    """Whether an array of this name belongs to the trees."""
    return name.startswith(_PREFIX)
