"""2.5-D and 3-D tell apart what looks alike in every slice."""

from __future__ import annotations

import numpy as np
import pytest

from napari_msd.core.box import Box
from napari_msd.core.settings import Settings
from napari_msd.core.space import Mode, Space
from napari_msd.images.sources import ArraySource, in_mode
from napari_msd.inference import SlabPixels, channels_first
from napari_msd.training import Trainer

SHAPE = (18, 48, 48)
CELL = 12
PAINTED = (5, 9, 13)
"""Slices with strokes; discs lie on every fourth one."""
GROUND, COLUMN, DISC = 1, 2, 3
STEPS = 12


def columns_and_discs() -> tuple[np.ndarray, np.ndarray]:
    """Columns across all slices, and flat discs: in a slice both are round and equally bright."""
    truth = np.full(SHAPE, GROUND, np.uint8)
    y, x = np.ogrid[:CELL, :CELL]
    inside = (y - 5.5) ** 2 + (x - 5.5) ** 2 < 4.5**2
    for row in range(SHAPE[1] // CELL):
        for column in range(SHAPE[2] // CELL):
            is_column = (row + column) % 2 == 0
            slices = slice(None) if is_column else slice(1, None, 4)
            cell = (slices, *(slice(i * CELL, (i + 1) * CELL) for i in (row, column)))
            truth[cell][..., inside] = COLUMN if is_column else DISC
    noise = np.random.default_rng(0).normal(0, 0.15, SHAPE)
    return ((truth != GROUND) + noise).astype(np.float32), truth


def strokes_on(truth: np.ndarray) -> np.ndarray:
    """Small crosses in the upper half of three slices: on objects, and on the ground between."""
    strokes = np.zeros_like(truth)
    for z in PAINTED:
        for middle in range(CELL // 2, SHAPE[1] // 2, CELL):
            strokes[z, middle, ::2] = truth[z, middle, ::2]
            strokes[z, middle + CELL // 2 - 1] = truth[z, middle + CELL // 2 - 1]
    return strokes


def mean_iou(labels: np.ndarray, truth: np.ndarray) -> float:
    unpainted = np.delete(np.arange(SHAPE[0]), PAINTED)
    labels, truth = labels[unpainted], truth[unpainted]
    pairs = [(labels == value, truth == value) for value in (GROUND, COLUMN, DISC)]
    return float(np.mean([(a & b).sum() / (a | b).sum() for a, b in pairs]))


def learned(mode: Mode, trees: bool) -> float:
    """The score of a network in this mode after a few steps."""
    image, truth = columns_and_discs()
    strokes = strokes_on(truth)
    settings = Settings.from_preset(
        "quick", mode=mode, depth=8, patch_size=24, trees=trees, held_out_fraction=0, device="cpu"
    )
    whole = Space("ZYX", SHAPE)
    read, space = in_mode(ArraySource(image, whole).read, whole, mode, settings.context)

    def pixels(slab: Box) -> np.ndarray:
        found = read(slab)
        return found.reshape(*space.spatial, *found.shape[slab.ndim :])

    trainer = Trainer(settings, space.network_input)
    trainer.add_source(0, space)
    for slab in space.slabs(0):
        if strokes[slab.slices].any():
            trainer.set_pixels(slab, pixels(slab))
            trainer.paint(slab, strokes[slab.slices])
    for _ in range(STEPS):
        trainer.step()
    trainer.measure()
    labels = np.empty(SHAPE, np.uint8)
    for slab in space.slabs(0):
        plane = SlabPixels.whole(channels_first(pixels(slab), space.convolved))
        labels[slab.slices] = trainer.predictor().labels(plane, slab).reshape(slab.shape)
    return mean_iou(labels, truth)


@pytest.mark.parametrize("trees", [True, False], ids=["with trees", "network alone"])
def test_neighbouring_slices_tell_apart_what_looks_alike_in_each(trees):
    scores = {mode: learned(mode, trees) for mode in ("2d", "2.5d", "3d")}
    assert scores["2.5d"] > scores["2d"] + 0.2, scores
    assert scores["3d"] > scores["2d"] + 0.2, scores
