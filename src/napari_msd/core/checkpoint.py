"""What is told of trained weights: their classes, and how they came about."""

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
    """What a model's history tells of one version of its weights.

    Training steps; mean IoU (0..1) on held-out strokes, if any were; stretches of
    strokes and painted pixels it was trained on; the seed; ISO 8601 time, UTC.
    """

    steps: int
    score: float | None
    pieces: int
    painted: int
    seed: int
    created: str
