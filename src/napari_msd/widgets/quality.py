"""How good a class's segmentation is, in words: what an IoU and its margin allow to say."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_msd.session.classes import ClassInfo

MAX_MARGIN = 0.25
"""An IoU with a margin of this or more says nothing."""
QUALITY_STEPS = 4


class Quality(Enum):
    """What is known of a class."""

    UNKNOWN = "unknown"
    """There is no network, or no stroke."""
    TOO_FEW = "too few"
    """The strokes are too few to measure it."""
    POOR = "poor"
    FAIR = "fair"
    GOOD = "good"
    VERY_GOOD = "very good"

    @property
    def step(self) -> int:
        """1 (poor) to 4 (very good); 0 if it is not known."""
        return _STEPS.index(self) + 1 if self in _STEPS else 0


_STEPS = (Quality.POOR, Quality.FAIR, Quality.GOOD, Quality.VERY_GOOD)
_LIMITS = ((0.9, 4), (0.75, 3), (0.5, 2))
"""Lowest IoU of each step; below is poor."""


def quality_of(info: ClassInfo) -> Quality:
    """The quality of a class, from its IoU on held-out strokes and the IoU's 95 % interval."""
    if info.iou is None:
        return Quality.TOO_FEW if info.too_few else Quality.UNKNOWN
    return quality(info.iou, info.margin)


def quality(iou: float, margin: float | None) -> Quality:
    """The quality of an IoU.

    Parameters
    ----------
    iou
        0..1.
    margin
        Half width of its 95 % interval; ``None`` if it is not known.

    Notes
    -----
    At most one step above the lower end of the interval: .92 ±.2 may be .72, so it is not
    called very good.
    """
    if margin is None or margin >= MAX_MARGIN:
        return Quality.TOO_FEW
    return _STEPS[min(_step(iou), _step(iou - margin) + 1) - 1]


def _step(iou: float) -> int:
    return next((step for lowest, step in _LIMITS if iou >= lowest), 1)
