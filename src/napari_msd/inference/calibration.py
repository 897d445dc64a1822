"""Probabilities that mean what they say: temperature scaling.

Guo, Pleiss, Sun and Weinberger, *On calibration of modern neural networks*, ICML 2017: one
number divides all logits, chosen so that strokes never trained on become most likely. Which
class wins stays the same.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

COLDEST, HOTTEST = 0.05, 20.0
"""Bounds of the temperature; beyond them nothing changes that could be seen."""

_HALVINGS = 40

Numbers = npt.NDArray[np.floating]


def fit_temperature(
    log_probabilities: Numbers, truth: npt.NDArray[np.integer], pieces: int | None = None
) -> float:
    """The temperature under which `truth` is most likely.

    Parameters
    ----------
    log_probabilities
        Logits, or log-probabilities, of held-out pixels, (k, n).
    truth
        Index (0..k-1) of each pixel's class, (n,).
    pieces
        Of how many independent pieces the pixels are. Each class is then expected as
        if one more piece of every class had been seen (Platt's targets), so that a few
        pieces, all of them right, do not make the network certain of everything. Not given:
        the pixels count as they are.

    Returns
    -------
    float
        1 for no pixels or a single class, else `COLDEST` to `HOTTEST`.
    """
    k, n = log_probabilities.shape
    if n == 0 or k < 2:
        return 1.0
    z = np.asarray(log_probabilities, np.float64)
    z = z - z.max(axis=0)
    target = np.zeros((k, n))
    target[truth, np.arange(n)] = 1.0
    if pieces is not None:
        target = (pieces * target + 1) / (pieces + k)
    wanted = (target * z).sum(axis=0).mean()

    def slope(inverse: float) -> float:
        """Of the cross-entropy with respect to 1 / temperature; it never decreases."""
        p = np.exp(inverse * z)
        p /= p.sum(axis=0)
        return float((p * z).sum(axis=0).mean() - wanted)

    low, high = np.log(1 / HOTTEST), np.log(1 / COLDEST)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if slope(float(np.exp(middle))) < 0:
            low = middle
        else:
            high = middle
    return float(np.exp(-(low + high) / 2))


def expected_calibration_error(
    probabilities: Numbers, truth: npt.NDArray[np.integer], bins: int = 15
) -> float:
    """How far confidence and accuracy lie apart, 0..1.

    Parameters
    ----------
    probabilities
        Of each class at each pixel, (k, n).
    truth
        Index (0..k-1) of each pixel's class, (n,).
    bins
        Pixels are compared in so many groups of similar confidence.

    References
    ----------
    Equation 3 of Guo et al. 2017.
    """
    confidence = probabilities.max(axis=0)
    right = probabilities.argmax(axis=0) == truth
    group = np.minimum((confidence * bins).astype(int), bins - 1)
    error = 0.0
    for index in np.unique(group):
        here = group == index
        error += float(here.mean() * abs(right[here].mean() - confidence[here].mean()))
    return error
