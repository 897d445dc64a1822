"""How well held-out strokes are predicted, and how well that is known."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

_CERTAIN = 0.975
"""Quantile of Student's t at the upper end of a 95 % interval."""


@dataclass(frozen=True)
class Scores:
    """IoU (intersection over union, 0..1) per class value, on held-out painted pixels.

    Classes without held-out strokes are missing; `mean` is None if all are. `margin` is
    half the width (0..1) of the 95 % interval around an IoU, missing where a single
    piece tells nothing of it; `pieces` is on how many pieces of the class it rests.
    """

    iou: dict[int, float] = field(default_factory=dict)
    margin: dict[int, float] = field(default_factory=dict)
    pieces: dict[int, int] = field(default_factory=dict)

    @property
    def mean(self) -> float | None:
        """Mean over the classes."""
        return sum(self.iou.values()) / len(self.iou) if self.iou else None

    @classmethod
    def of(
        cls,
        truth: npt.NDArray[np.uint8],
        predicted: npt.NDArray[np.uint8],
        piece: npt.NDArray[np.integer] | None = None,
    ) -> Scores:
        """Scores of `predicted` values at painted pixels whose value is `truth`, both (n,).

        Parameters
        ----------
        truth, predicted
            Class values.
        piece
            Number 0, 1, ... of the piece that each pixel is of, (n,). Without it there
            are no margins: neighbouring pixels alone do not tell how sure a score is.
        """
        scores = cls()
        for value in np.unique(truth):
            here, there = truth == value, predicted == value
            both, either = here & there, here | there
            iou = float(both.sum() / either.sum())
            scores.iou[int(value)] = iou
            if piece is None:
                continue
            n = len(np.unique(piece[here]))
            scores.pieces[int(value)] = n
            if n > 1:
                scores.margin[int(value)] = _margin(iou, both, either, piece, n)
        return scores


def _margin(
    iou: float,
    both: npt.NDArray[np.bool_],
    either: npt.NDArray[np.bool_],
    piece: npt.NDArray[np.integer],
    n: int,
) -> float:
    """Half the 95 % interval of a ratio of sums over `n` pieces (Cochran's ratio estimator).

    Never less than half a piece's share, the continuity correction of a proportion: on three
    pieces a perfect score does not mean a perfect network.
    """
    residuals = np.bincount(piece, both) - iou * np.bincount(piece, either)
    spread = math.sqrt(n / (n - 1) * float((residuals**2).sum())) / float(either.sum())
    t = float(stdtrit(n - 1, _CERTAIN))
    return min(max(t * spread, 0.5 / n), 1.0)
