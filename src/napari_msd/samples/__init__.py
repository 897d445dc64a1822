"""Real microscopy images that come with the plugin: napari's File > Open Sample.

`made` has images that are computed: a stack, two channels, a time series, a huge image.

`load` returns the same images for scripts, tests and benchmarks, with the ground truth. napari does
not get the ground truth, because it would look like another annotation. ``files/README.txt`` names
source and licence of the files.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np
from PIL import Image

from napari_msd.core.errors import BadInputError
from napari_msd.samples.layers import LayerData, strokes_layer

_FOLDER = "files"


@dataclass(frozen=True)
class Sample:
    """A sample image.

    Parameters
    ----------
    name
        Name of its layer.
    image
        (Y, X) or (Y, X, 3), uint8.
    strokes
        (Y, X), uint8: sparse annotation, 0 = unlabelled; ``None`` if there is none.
    truth
        (Y, X), uint8: the class of every pixel; ``None`` if unknown.
    class_names
        Name of each class value.
    """

    name: str
    image: np.ndarray
    strokes: np.ndarray | None
    truth: np.ndarray | None
    class_names: dict[int, str]


_TWO = {1: "background", 2: "nucleus"}
_FILES: dict[str, tuple[str, dict[int, str], bool]] = {
    "nuclei": ("nuclei", _TWO, True),
    "nuclei_edges": ("large nuclei", {**_TWO, 3: "edge"}, True),
    "tissue": ("stained tissue", _TWO, False),
}
NAMES = tuple(_FILES)
"""Names that `load` accepts."""


def load(name: str = "nuclei") -> Sample:
    """Load one of the images that come with the plugin.

    Parameters
    ----------
    name
        One of `NAMES`: ``nuclei`` and ``nuclei_edges`` have strokes, all have a ground truth.

    Raises
    ------
    BadInputError
        For an unknown name.
    """
    if name not in _FILES:
        raise BadInputError(f"There is no sample {name!r}; choose one of {', '.join(NAMES)}.")
    title, class_names, has_strokes = _FILES[name]
    strokes = _read(f"{name}_strokes.png") if has_strokes else None
    image, truth = _read(f"{name}.png"), _read(f"{name}_truth.png")
    return Sample(title, image, strokes, truth, dict(class_names))


def iou_per_class(segmentation: np.ndarray, truth: np.ndarray) -> dict[int, float]:
    """Intersection over union (0..1) of each class in `truth`, whose pixels with 0 are ignored."""
    known = truth > 0
    scores = {}
    for value in np.unique(truth[known]):
        found, wanted = (segmentation == value) & known, truth == value
        scores[int(value)] = float((found & wanted).sum() / (found | wanted).sum())
    return scores


# --- for napari's File menu -------------------------------------------------------------


def nuclei() -> list[LayerData]:
    """Fluorescent nuclei with strokes of two classes, ready to train."""
    return _layers(load("nuclei"))


def nuclei_edges() -> list[LayerData]:
    """Touching nuclei with strokes of three classes: background, nucleus, edge."""
    return _layers(load("nuclei_edges"))


def tissue() -> list[LayerData]:
    """Stained tissue in colour, to paint on."""
    return _layers(load("tissue"))


def immunohistochemistry() -> list[LayerData]:
    """Stained colon glands in colour, from scikit-image's own files, to paint on."""
    from skimage import data

    image: np.ndarray = data.immunohistochemistry()  # type: ignore[no-untyped-call]
    return [(image, {"name": "immunohistochemistry", "rgb": True}, "image")]


def _layers(sample: Sample) -> list[LayerData]:
    meta: dict[str, Any] = {"name": sample.name}
    if sample.image.ndim == 3:
        meta["rgb"] = True
    else:
        low, high = np.percentile(sample.image, (0.5, 99.0))
        meta.update(contrast_limits=(float(low), float(high)), gamma=0.7)
    layers: list[LayerData] = [(sample.image, meta, "image")]
    if sample.strokes is not None:
        layers.append(strokes_layer(sample.name, sample.strokes, sample.class_names))
    return layers


def _read(file_name: str) -> np.ndarray:
    resource = files("napari_msd.samples").joinpath(_FOLDER, file_name)
    with resource.open("rb") as file, Image.open(file) as picture:
        return np.array(picture)
