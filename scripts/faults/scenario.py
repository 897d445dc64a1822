"""A fault, one occurrence of it, and the row of the table that all occurrences make."""

from __future__ import annotations

import random
import statistics
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


class UnavailableError(Exception):
    """A fault cannot be made on this system; the message says why."""


class Run:
    """One occurrence of a fault: the scenario notes here what it sees.

    Parameters
    ----------
    folder
        An empty folder of its own.
    number
        Of the occurrence, from 0; also the seed of `random`.
    short
        Whether it is to take seconds only, for the tests.
    """

    def __init__(self, folder: Path, number: int, short: bool) -> None:
        self.folder = folder
        self.number = number
        self.short = short
        self.random = random.Random(number)
        self.losses: list[str] = []
        self.problems: list[str] = []
        self.told: list[str] = []
        self.notes: list[str] = []
        self.figures: dict[str, list[float]] = {}

    def lost(self, what: str) -> None:
        """Something of the person's is gone."""
        self.losses.append(what)

    def check(self, right: bool, problem: str) -> None:
        """Note a problem unless it is right."""
        if not right:
            self.problems.append(problem)

    def say(self, sentence: str) -> None:
        """What the person was told."""
        self.told.append(sentence)

    def figure(self, name: str, value: float) -> None:
        """Something measured; `name` ends in its unit ("back after, s")."""
        self.figures.setdefault(name, []).append(value)

    def note(self, text: str) -> None:
        """Something measured, in words."""
        self.notes.append(text)

    def timed(self, name: str) -> Timed:
        """Measure the seconds of a with statement."""
        return Timed(self, name)


class Timed:
    """See `Run.timed`."""

    def __init__(self, run: Run, name: str) -> None:
        self._run, self._name = run, name

    def __enter__(self) -> None:
        self._began = time.perf_counter()

    def __exit__(self, *error: object) -> None:
        self._run.figure(self._name, time.perf_counter() - self._began)


@dataclass(frozen=True)
class Scenario:
    """A fault that can be made.

    Parameters
    ----------
    name
        For the command line.
    fault
        What happens, for the table.
    act
        Makes it happen once, and notes what came of it. Any exception is a problem; an
        `UnavailableError` leaves the row out.
    times
        How often, in full.
    in_tests
        Whether the tests make it happen, too; what takes a minute even once is left to
        ``make faults``.
    """

    name: str
    fault: str
    act: Callable[[Run], None]
    times: int = 10
    in_tests: bool = True


@dataclass
class Row:
    """All occurrences of a fault together."""

    fault: str
    times: int = 0
    losses: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    figures: dict[str, list[float]] = field(default_factory=dict)
    unavailable: str = ""

    def cells(self) -> list[str]:
        """For the table: fault, times, lost, told, measured."""
        if self.unavailable:
            return [self.fault, "0", "not tried here", "", self.unavailable]
        lost = [f"{_times(self.losses, text)}{text}" for text in dict.fromkeys(self.losses)]
        wrong = [
            f"**{_times(self.problems, text)}{text}**" for text in dict.fromkeys(self.problems)
        ]
        told = [f"“{text}”" for text in dict.fromkeys(self.told)]
        measured = [_summary(name, values) for name, values in self.figures.items()]
        return [
            self.fault,
            str(self.times),
            "; ".join([*lost, *wrong]) or "nothing",
            " ".join(told),
            "; ".join([*measured, *self.notes]),
        ]


def _times(texts: list[str], text: str) -> str:
    count = texts.count(text)
    return f"{count} x " if count > 1 else ""


def _summary(name: str, values: list[float]) -> str:
    """Median and worst, or the one value."""
    what, _, unit = name.partition(", ")
    worst, middle = max(values), statistics.median(values)
    amount = (
        f"{_rounded(middle)}"
        if len(values) == 1
        else f"{_rounded(middle)}, worst {_rounded(worst)}"
    )
    return f"{what} {amount}{' ' + unit if unit else ''}"


def _rounded(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.2g}"


def perform(scenario: Scenario, times: int | None = None, *, short: bool = False) -> Row:
    """Make a fault happen some times.

    Parameters
    ----------
    times
        As often as the scenario says, if not given.
    short
        See `Run.short`.
    """
    row = Row(scenario.fault)
    for number in range(scenario.times if times is None else times):
        with tempfile.TemporaryDirectory(prefix="napari-msd-faults-") as folder:
            run = Run(Path(folder), number, short)
            try:
                scenario.act(run)
            except UnavailableError as error:
                row.unavailable = str(error)
                return row
            except Exception as error:
                traceback.print_exc()
                run.problems.append(f"{type(error).__name__}: {error}")
        row.times += 1
        row.losses += run.losses
        row.problems += run.problems
        row.told += run.told
        row.notes += run.notes
        for name, values in run.figures.items():
            row.figures.setdefault(name, []).extend(values)
    return row
