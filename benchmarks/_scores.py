"""How well labels agree with the truth."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_dilation, binary_erosion
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
    """Harmonic mean of the shares of either's boundary that lies near the other's.

    Where truth is 0 nobody knows the boundary, nor can anyone say whether one that lies within
    `TOLERANCE` of there is right: such boundaries do not count.

    Parameters
    ----------
    labels, truth
        Classes (Y, X), 1..k; truth also 0 = not known.

    Returns
    -------
    float
        0..1, 0 where either has no boundary at all.
    """
    known = truth > 0
    seen, counted = known, known
    if not known.all():
        seen = binary_erosion(known, border_value=1)
        counted = binary_erosion(seen, iterations=TOLERANCE, border_value=1)
    ours_, theirs = find_boundaries(labels) & seen, find_boundaries(truth) & seen
    precision = _share_near(ours_ & counted, theirs)
    recall = _share_near(theirs & counted, ours_)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _share_near(boundary: npt.NDArray[np.bool_], other: npt.NDArray[np.bool_]) -> float:
    """Share of the pixels of a boundary, (Y, X), that lie near another; 0 where there are none."""
    near = boundary & binary_dilation(other, iterations=TOLERANCE)
    return float(near.sum() / boundary.sum()) if boundary.any() else 0.0
