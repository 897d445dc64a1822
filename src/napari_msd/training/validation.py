"""Predicting held-out strokes, at a bounded cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_msd.core.box import Box
from napari_msd.core.space import Slab
from napari_msd.document import Piece, ValidationSplit
from napari_msd.inference import Predictor, SlabPixels
from napari_msd.inference.calibration import fit_temperature
from napari_msd.training.patches import is_here
from napari_msd.training.reach import Reach
from napari_msd.training.scores import Scores

PIECES_PER_CLASS = 8
"""More are not looked at: measuring must stay a small part of training."""


Places = list[tuple[SlabPixels, npt.NDArray[np.int32]]]
"""Slab, and pixels (n, 2 or 3) in it, of some pieces."""


@dataclass(frozen=True)
class Question:
    """What is asked of a network: painted pieces it was not trained on.

    Each is seen in a patch of about the size that `reach` tells around it, which holds all of it.
    The same ones are looked at every time, as long as the strokes stay the same.
    """

    slabs: Mapping[Slab, SlabPixels]
    classes: Sequence[int]
    split: ValidationSplit
    reach: Reach

    def patches(self) -> Iterator[tuple[int, SlabPixels, Box, npt.NDArray[np.int32]]]:
        """(class value, slab, patch, pixels (n, 2 or 3) in the slab) of every piece."""
        for value in self.classes:
            pieces = self.split.measured(value)
            here = [piece for piece in pieces if is_here(self.slabs, piece)]
            chosen = np.linspace(0, len(here) - 1, min(PIECES_PER_CLASS, len(here)))
            for piece in (here[round(i)] for i in chosen):
                yield value, self.slabs[piece.slab], self._patch(piece), piece.pixels

    def _patch(self, piece: Piece) -> Box:
        half = np.array(self.reach.sides(piece.pixels.shape[1])) // 2
        middle = piece.pixels.mean(axis=0).astype(int)
        start = np.minimum(middle - half, piece.pixels.min(axis=0))
        stop = np.maximum(middle + half, piece.pixels.max(axis=0) + 1)
        shape = self.slabs[piece.slab].shape[1:]
        return piece.slab.box(np.maximum(start, 0).tolist(), np.minimum(stop, shape).tolist())


@dataclass(frozen=True, eq=False)
class Answers:
    """What a network says of held-out pieces.

    `truth` (n,) is the class value of each pixel, `piece` (n,) the number of its piece;
    `logits` is (k, n); `places` tells the slab and the pixels (m, 2 or 3) of each piece.
    """

    truth: npt.NDArray[np.uint8]
    piece: npt.NDArray[np.integer]
    logits: npt.NDArray[np.float32]
    places: Places

    def scores(self, classes: npt.NDArray[np.uint8], logits: npt.NDArray[np.float32]) -> Scores:
        """IoU per class of other logits for the same pixels, whose row k is ``classes[k]``."""
        return Scores.of(self.truth, classes[logits.argmax(axis=0)], self.piece)


def answers_of(predictor: Predictor, question: Question) -> Answers | None:
    """What `predictor` says of the held-out pieces; None if there are none."""
    truth, piece, logits, places = [], [], [], []
    for i, (value, slab, patch, pixels) in enumerate(question.patches()):
        logits.append(predictor.logits_at(slab, patch, pixels))
        truth.append(np.full(len(pixels), value, np.uint8))
        piece.append(np.full(len(pixels), i))
        places.append((slab, pixels))
    if not truth:
        return None
    return Answers(
        np.concatenate(truth), np.concatenate(piece), np.concatenate(logits, axis=1), places
    )


def measure(predictor: Predictor, question: Question) -> Scores:
    """IoU per class on held-out pieces."""
    answers = answers_of(predictor, question)
    return answers.scores(predictor.classes, answers.logits) if answers is not None else Scores()


def temperature_of(predictor: Predictor, question: Question) -> float:
    """The temperature that makes `predictor` as sure as it is right on held-out pieces.

    1 while there is nothing to tell.
    """
    order = {int(value): i for i, value in enumerate(predictor.active)}  # of its outputs
    truth, logarithms = [], []
    for value, slab, patch, pixels in question.patches():
        if value not in order:
            continue  # a class the network does not know yet
        logits = predictor.logits_at(slab, patch, pixels)
        logarithms.append(logits[np.isin(predictor.classes, predictor.active)])
        truth.append(np.full(len(pixels), order[value]))
    if not truth:
        return 1.0
    return fit_temperature(
        np.concatenate(logarithms, axis=1), np.concatenate(truth), pieces=len(truth)
    )
