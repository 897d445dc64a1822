"""The Mixed-Scale Dense network: `MSDNet` to use, `reference` to read."""

from __future__ import annotations

from napari_msd.network.msdnet import MSDNet
from napari_msd.network.reference import mixed_scale_dense_reference

__all__ = ["MSDNet", "mixed_scale_dense_reference"]
