"""How well held-out strokes are predicted."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Scores:
    """IoU (intersection over union, 0..1) per class value, on held-out painted pixels.

    Classes without held-out strokes are missing; `mean` is None if all are.
    """

    iou: dict[int, float] = field(default_factory=dict)

    @property
    def mean(self) -> float | None:
        """Mean over the classes."""
        return sum(self.iou.values()) / len(self.iou) if self.iou else None

    @classmethod
    def of(cls, truth: npt.NDArray[np.uint8], predicted: npt.NDArray[np.uint8]) -> Scores:
        """Scores of `predicted` values at painted pixels whose value is `truth`, both (n,)."""
        iou = {}
        for value in np.unique(truth):
            here, there = truth == value, predicted == value
            iou[int(value)] = float((here & there).sum() / (here | there).sum())
        return cls(iou)
