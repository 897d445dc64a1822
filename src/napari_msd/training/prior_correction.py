"""How much of the image each class covers, and what the outputs should know of it.

Strokes say nothing of it: a person paints as much of what is rare as of what is common, and
training weighs classes alike, so a network from strokes overgrows what is rare. The classes'
shares of the unpainted image can be found from the network's own answers (Saerens, Latinne
and Decaestecker, *Adjusting the outputs of a classifier to new a priori probabilities*,
Neural Computation 14(1), 2002): answers weighted by the shares, and shares as the mean of the
answers, in turns. Done to the full this swallows a rare class that the network is not sure of,
so it is damped (`Settings.share_damping`), and by less where strokes tell that it is too much.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_msd.network import MSDNet

SMALLEST_SHARE = 1e-3
TURNS = 12
EVERY = 7
"""Neighbouring pixels tell nearly the same; no divisor of a usual patch's side."""

DAMPINGS = 4
"""Steps in which `bearable_offsets` tries how much damping strokes bear."""

BEARABLE = 0.01
"""Share of a class's strokes that may be missed on account of the class shares."""

Numbers = npt.NDArray[np.float32]
OffsetRule = Callable[[Numbers, float], Numbers]


def share_offsets(log_probabilities: Numbers, damping: float) -> Numbers:
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
    k, n = log_probabilities.shape
    if damping == 0:
        return np.zeros(k, np.float32)
    answers = np.exp(log_probabilities - log_probabilities.max(axis=0))
    shares = np.full(k, 1 / k)
    for _ in range(TURNS):
        # sums of products, not `@`: BLAS would wake its threads, beside the core's
        weights = ((shares * k) ** damping).astype(np.float32)
        of_all = np.einsum("k,kn->n", weights, answers)
        shares = weights * np.einsum("kn,n->k", answers, 1 / of_all) / n
        shares = np.maximum(shares, SMALLEST_SHARE)
    return _centred(damping * np.log(shares))


def bearable_offsets(
    log_probabilities: Numbers,
    damping: float,
    evidence: Numbers,
    labels: npt.NDArray[np.integer],
) -> Numbers:
    """`share_offsets` of the largest damping that strokes bear.

    A rare class that is often missed is taken for rarer than it is, and then missed more often.
    Strokes tell: offsets that make trees miss strokes of a class, which they have not seen,
    are too large.

    Parameters
    ----------
    log_probabilities, damping
        As in `share_offsets`; `damping` is the most.
    evidence
        (k, n): logarithms of answers for painted pixels that had no part in making them.
    labels
        (n,) class 0..k-1 of these pixels.
    """
    found = share_offsets(log_probabilities, 0.0)
    before = _recalls(evidence, labels)
    for part in range(1, DAMPINGS + 1):
        offsets = share_offsets(log_probabilities, damping * part / DAMPINGS)
        after = _recalls(evidence + offsets[:, None], labels)
        if (before - after).max() <= BEARABLE:
            found = offsets
    return found


def _recalls(logits: Numbers, labels: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
    """Share of each class's pixels that are answered right; 0 for a class without pixels."""
    k = len(logits)
    right = np.bincount(labels[logits.argmax(axis=0) == labels], minlength=k)
    return right / np.maximum(np.bincount(labels, minlength=k), 1)


def damped_offsets(log_probabilities: Numbers, damping: float) -> Numbers:
    """The offsets that outputs already have in them which were shifted before.

    Where `share_offsets` came to rest, the shares were the mean of the shifted answers.
    Arguments as there, but under the outputs as they are now.
    """
    shares = np.maximum(np.exp(log_probabilities).mean(axis=1), SMALLEST_SHARE)
    return _centred(damping * np.log(shares))


def _centred(offsets: npt.NDArray[np.float64]) -> Numbers:
    centred: Numbers = (offsets - offsets.mean()).astype(np.float32)
    return centred


@torch.no_grad()
def log_probabilities(network: MSDNet, images: Numbers, active: list[int]) -> Numbers:
    """Of the `active` outputs at every `EVERY`th pixel of images (n, C, rows, columns): (k, m)."""
    logits: Tensor = network(torch.from_numpy(images).to(network.weight.device))[:, active]
    some = logits.transpose(0, 1).flatten(1)[:, ::EVERY]
    return torch.log_softmax(some, dim=0).cpu().numpy()
