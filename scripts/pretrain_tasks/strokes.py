"""Strokes as a person paints them at first, and dabs where the answer is still wrong."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import distance_transform_edt, label

from pretrain_tasks.fields import Classes, Mask, Numbers, Random


def first_strokes(random: Random, truth: Classes, amount: float) -> Classes:
    """Random walks inside each class, clear of its border; 0 = unpainted.

    Parameters
    ----------
    random
        Source of chance.
    truth
        Classes 1..k, 0 = not known, never painted.
    amount
        About this share of the picture is painted, 0..1.
    """
    strokes = np.zeros_like(truth)
    values = [int(value) for value in np.unique(truth) if value]
    for value in values:
        room = distance_transform_edt(truth == value)
        clear = min(float(random.choice([1, 2, 3, 4])), 0.8 * room.max())
        radius = int(max(0, min(random.integers(0, 3), clear - 1)))
        n = max(1, int(amount * truth.size / len(values) / (25 * (2 * radius + 1))))
        walked = _walks(random, room >= clear, n, radius)
        strokes[walked & (truth == value)] = value
    return strokes


def corrections(random: Random, truth: Numbers, found: Numbers, most: int = 3) -> Mask:
    """Where a person who sees the answer paints next: a dab in each of the largest wrong regions.

    Parameters
    ----------
    random
        Source of chance.
    truth, found
        (rows, columns); negative truth is not known.
    most
        Regions that are corrected.

    Returns
    -------
    ndarray
        True where painted (with the truth), always where `found` is wrong.
    """
    wrong = (found != truth) & (truth >= 0)
    regions, n = label(wrong)
    painted = np.zeros(wrong.shape, bool)
    for region in np.argsort(-np.bincount(regions.ravel(), minlength=n + 1)[1:])[:most] + 1:
        places = np.argwhere(regions == region)
        row, column = places[random.integers(len(places))]
        reach = int(random.integers(1, 5))
        rows = slice(max(0, row - reach), row + reach + 1)
        columns = slice(max(0, column - reach), column + reach + 1)
        same = (regions[rows, columns] == region) & (truth[rows, columns] == truth[row, column])
        painted[rows, columns] |= same
    return painted


def _walks(random: Random, allowed: Mask, n: int, radius: int) -> Mask:
    starts = np.argwhere(allowed)
    places = starts[random.integers(len(starts), size=n)].astype(float)
    direction = random.uniform(0, 2 * np.pi, n)
    painted = np.zeros(allowed.shape, bool)
    last = np.array(allowed.shape) - 1
    for _ in range(int(random.integers(12, 50))):
        pixels = np.rint(places).astype(int)
        for dy in range(-radius, radius + 1):
            for dx in range(-radius, radius + 1):
                painted[tuple(np.clip(pixels + np.array([dy, dx]), 0, last).T)] = True
        direction += random.normal(0, 0.35, n)
        ahead = places + np.stack([np.sin(direction), np.cos(direction)], axis=1)
        pixels = np.rint(ahead).astype(int)
        inside = ((pixels >= 0) & (pixels <= last)).all(axis=1)
        free = inside & allowed[tuple(np.clip(pixels, 0, last).T)]
        places[free] = ahead[free]
        direction[~free] += random.uniform(1, 5, int((~free).sum()))
    return painted
