"""How much of the image each class covers, and what the outputs should know of it.

Strokes say nothing of it: a person paints as much of what is rare as of what is common, and
training weighs classes alike, so a network from strokes overgrows what is rare. The classes'
shares of the unpainted image can be found from the network's own answers (Saerens, Latinne
and Decaestecker, *Adjusting the outputs of a classifier to new a priori probabilities*,
Neural Computation 14(1), 2002): answers weighted by the shares, and shares as the mean of the
answers, in turns. Done to the full this swallows a rare class that the network is not sure of,
so it is done by half measures (`DAMPING`).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

DAMPING = 0.4
"""Power of the shares, 0 (off) to 1 (Saerens et al.); chosen in docs/learning.md."""

SMALLEST_SHARE = 1e-3
TURNS = 30

Numbers = npt.NDArray[np.float32]


def share_offsets(log_probabilities: Numbers, damping: float = DAMPING) -> Numbers:
    """What to add to each class's logit, so that classes are answered about as often as they are.

    Parameters
    ----------
    log_probabilities
        (k, n): of pixels taken evenly from the image, under the outputs as trained.
    damping
        Power of the shares, 0..1.

    Returns
    -------
    ndarray
        (k,), float32, with mean 0: moving all logits alike changes nothing.
    """
    k = len(log_probabilities)
    shares = np.full(k, 1 / k)
    for _ in range(TURNS):
        shifted = log_probabilities + damping * np.log(shares * k)[:, None]
        answers = np.exp(shifted - shifted.max(axis=0))
        shares = np.maximum((answers / answers.sum(axis=0)).mean(axis=1), SMALLEST_SHARE)
    offsets = damping * np.log(shares)
    return (offsets - offsets.mean()).astype(np.float32)
