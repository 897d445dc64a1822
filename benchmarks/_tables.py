"""The table of scores that a race saves and adds to."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path


@dataclass(frozen=True)
class Score:
    """One answer's scores; a line of the table."""

    family: str
    half: str
    image: str
    amount: float
    """Share of the image that is painted at first, 0..1."""
    seed: int
    method: str
    mark: str
    """When it was: "5 s", "60 steps", "round 2", or empty for who answers once only."""
    seconds: float
    iou_here: float
    iou_there: float
    f1_here: float


COLUMNS = tuple(field.name for field in fields(Score))


def read(path: Path) -> list[Score]:
    """All lines of a table.

    Raises
    ------
    ValueError
        If it has other columns.
    """
    with path.open(newline="", encoding="utf-8") as file:
        lines = csv.DictReader(file)
        _require_columns(path, lines.fieldnames)
        return [
            Score(
                line["family"],
                line["half"],
                line["image"],
                float(line["amount"]),
                int(line["seed"]),
                line["method"],
                line["mark"],
                *(float(line[name]) for name in ("seconds", "iou_here", "iou_there", "f1_here")),
            )
            for line in lines
        ]


def append(path: Path, score: Score) -> None:
    """Add a line; the table is begun where there is none."""
    is_new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        if is_new:
            writer.writeheader()
        writer.writerow(asdict(score))


def require_appendable(path: Path) -> None:
    """Refuse to add to a table of other columns, before hours of racing.

    Raises
    ------
    ValueError
        One sentence that names the table.
    """
    if path.exists():
        with path.open(newline="", encoding="utf-8") as file:
            _require_columns(path, csv.DictReader(file).fieldnames)


def _require_columns(path: Path, names: Iterable[str] | None) -> None:
    if tuple(names or ()) != COLUMNS:
        raise ValueError(
            f"{path} has not the columns of this race ({', '.join(COLUMNS)}); race again."
        )
