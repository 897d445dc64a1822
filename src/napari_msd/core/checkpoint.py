"""Metadata of trained weights: their classes and training figures."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ClassInfo:
    """One class: its value in the annotation (1..255), its name, its colour ``#rrggbb``."""

    value: int
    name: str
    color: str


@dataclass(frozen=True)
class VersionFigures:
    """The figures of one version in a model's history.

    Training steps; mean IoU (0..1) on held-out strokes, ``None`` without any; number of pieces of
    strokes and of painted pixels it was trained on; seed; ISO 8601 time, UTC.
    """

    steps: int
    score: float | None
    pieces: int
    painted: int
    seed: int
    created: str
