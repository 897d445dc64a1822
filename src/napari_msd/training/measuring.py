"""Predicting held-out strokes, at a bounded cost."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from napari_msd.annotation import HeldOut, StrokeStore
from napari_msd.inference import Plane, Predictor
from napari_msd.planes import PlaneKey, Region
from napari_msd.training.scores import Scores

PIECES_PER_CLASS = 8
"""More are not looked at: measuring must stay a small part of training."""


def measure(
    predictor: Predictor,
    planes: Mapping[PlaneKey, Plane],
    strokes: StrokeStore,
    held_out: HeldOut,
    side: int,
) -> Scores:
    """IoU per class on held-out pieces, each seen in a patch of `side` pixels around it.

    The same pieces are looked at every time, as long as the strokes stay the same.
    """
    truth, predicted = [], []
    for value in strokes.classes:
        pieces = [p for p in held_out.measured(strokes, value) if p.plane in planes]
        chosen = np.linspace(0, len(pieces) - 1, min(PIECES_PER_CLASS, len(pieces)))
        for piece in (pieces[round(i)] for i in chosen):
            plane = planes[piece.plane]
            y, x = piece.pixels.mean(axis=0).astype(int)
            patch = Region(y, x, y, x).grow(side // 2).clip((plane.shape[1], plane.shape[2]))
            labels = predictor.labels(
                plane[(slice(None), *patch.slices)],
                Region(0, 0, *patch.shape),
            )
            rows, columns = (piece.pixels - (patch.top, patch.left)).T
            truth.append(np.full(len(rows), value, np.uint8))
            predicted.append(labels[rows, columns])
    if not truth:
        return Scores()
    return Scores.of(np.concatenate(truth), np.concatenate(predicted))
