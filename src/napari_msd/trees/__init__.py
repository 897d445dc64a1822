"""Extremely randomised trees that classify pixels by their features.

`grow` makes a `Forest` from labelled samples, `Forest.probabilities` classifies pixels,
`out_of_fold` answers for each training sample with only those trees that never saw its fold.
A compiled library does the work; where it is missing, NumPy does the same, bit for bit.

Source of the method: Geurts, Ernst & Wehenkel, Machine Learning 63, 2006,
doi 10.1007/s10994-006-6226-1.
"""

from __future__ import annotations

from napari_msd.trees.forest import Forest
from napari_msd.trees.growing import grow, out_of_fold

__all__ = ["Forest", "grow", "out_of_fold"]
