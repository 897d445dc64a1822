"""Extremely randomised trees that classify pixels by their features.

`grow` makes a `Forest` from labelled samples, `Forest.probabilities` classifies pixels,
`out_of_fold` classifies each training sample with only the trees that were not trained on its fold.
A compiled library does the work; without it, NumPy gives the same results, bit for bit.

Source of the method: Geurts, Ernst & Wehenkel, Machine Learning 63, 2006,
doi 10.1007/s10994-006-6226-1.
"""

from __future__ import annotations

from napari_msd.trees.forest import Forest
from napari_msd.trees.growing import grow, out_of_fold

__all__ = ["Forest", "grow", "out_of_fold"]
