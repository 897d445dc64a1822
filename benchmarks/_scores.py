"""How well labels agree with the truth."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_dilation
from skimage.segmentation import find_boundaries

Labels = npt.NDArray[np.uint8]

TOLERANCE = 2
"""Pixels by which a boundary may be off and still count."""


def mean_iou(labels: Labels, truth: Labels, scored: npt.NDArray[np.bool_]) -> float:
    """Mean over the classes of truth of intersection over union, on `scored` pixels."""
    scores = []
    for value in np.unique(truth[scored]):
        a, b = (labels == value)[scored], (truth == value)[scored]
        scores.append((a & b).sum() / (a | b).sum())
    return float(np.mean(scores))


def boundary_f1(labels: Labels, truth: Labels) -> float:
    """Harmonic mean of the shares of either's boundary that lies near the other's."""
    ours_, theirs = find_boundaries(labels), find_boundaries(truth)
    if not ours_.any() or not theirs.any():
        return 0.0
    precision = (ours_ & binary_dilation(theirs, iterations=TOLERANCE)).sum() / ours_.sum()
    recall = (theirs & binary_dilation(ours_, iterations=TOLERANCE)).sum() / theirs.sum()
    return float(2 * precision * recall / (precision + recall)) if precision + recall else 0.0
