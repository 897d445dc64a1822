"""What is shown over the image."""

from __future__ import annotations

from enum import Enum


class ViewMode(Enum):
    """One of three: results never cover each other."""

    SEGMENTATION = "segmentation"
    UNCERTAINTY = "uncertainty"
    IMAGE = "image"
    """Nothing: the image and the strokes alone."""
