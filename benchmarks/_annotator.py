"""A simulated annotator: strokes as a person paints them, and corrections where it is wrong.

A stroke is a random walk that keeps its direction, stays inside one region of a class
and a few pixels away from its border, and is drawn with a round brush.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt, label

Labels = npt.NDArray[np.uint8]

BRUSH_RADII = (1, 2, 3)
CLEAR_OF_BORDER = 2.0
"""Pixels that a stroke's edge keeps from the class's border, where the class is wide enough."""
TURN = 0.35
"""Standard deviation in radians of the change of direction at each pixel of the way."""


def paint(truth: Labels, amount: float, rng: np.random.Generator, longest: int = 60) -> Labels:
    """Strokes over all classes, each getting an equal share of the paint where it has room.

    Parameters
    ----------
    truth
        (Y, X), classes 1..255; 0 is never painted.
    amount
        Share of the plane to paint, 0..1.
    rng
        Source of chance.
    longest
        Longest stroke in pixels.

    Returns
    -------
    ndarray
        Annotation, uint8 (Y, X), 0 = unpainted.
    """
    labels = np.zeros_like(truth)
    values = [int(v) for v in np.unique(truth) if v]
    share = amount * truth.size / len(values)
    for value in values:
        room = distance_transform_edt(truth == value)
        wanted = min(share, 0.5 * (truth == value).sum())
        for _ in range(1000):
            if (labels == value).sum() >= wanted:
                break
            _stroke(labels, room, value, rng, longest)
    return labels


def correct(
    truth: Labels, predicted: Labels, labels: Labels, strokes: int, rng: np.random.Generator
) -> Labels:
    """Add strokes inside the largest wrong regions, as a person does after a look.

    Returns a new annotation; arguments as in `paint`.
    """
    labels = labels.copy()
    wrong, n = label((predicted != truth) & (truth > 0) & (labels == 0))
    sizes = np.bincount(wrong.ravel(), minlength=n + 1)[1:]
    for region in np.argsort(sizes)[::-1][:strokes] + 1:
        inside = wrong == region
        value = int(np.bincount(truth[inside]).argmax())
        room = distance_transform_edt(inside & (truth == value))
        _stroke(labels, room, value, rng, longest=30)
    return labels


def _stroke(
    labels: Labels,
    room: npt.NDArray[np.float64],
    value: int,
    rng: np.random.Generator,
    longest: int,
) -> None:
    """Draw one stroke; `room` is the distance to the border of where it may lie."""
    radius = int(rng.choice(BRUSH_RADII))
    clear = radius + CLEAR_OF_BORDER
    starts = np.argwhere(room >= min(clear, room.max()))
    clear = min(clear, float(room.max()))
    radius = max(0, min(radius, int(clear - CLEAR_OF_BORDER)))
    y, x = starts[rng.integers(len(starts))].astype(float)
    direction = rng.uniform(0, 2 * np.pi)
    for _ in range(int(rng.integers(longest // 3, longest + 1))):
        row, column = round(y), round(x)
        _dab(labels, row, column, radius, value)
        for _ in range(8):
            direction += rng.normal(0, TURN)
            ahead_y, ahead_x = y + np.sin(direction), x + np.cos(direction)
            row, column = round(ahead_y), round(ahead_x)
            inside = 0 <= row < labels.shape[0] and 0 <= column < labels.shape[1]
            if inside and room[row, column] >= clear:
                y, x = ahead_y, ahead_x
                break
            direction += rng.normal(0, 1)
        else:
            return


def _dab(labels: Labels, row: int, column: int, radius: int, value: int) -> None:
    top, left = max(row - radius, 0), max(column - radius, 0)
    part = labels[top : row + radius + 1, left : column + radius + 1]
    rows, columns = np.ogrid[top : top + part.shape[0], left : left + part.shape[1]]
    part[(rows - row) ** 2 + (columns - column) ** 2 <= radius**2 + 0.5] = value
