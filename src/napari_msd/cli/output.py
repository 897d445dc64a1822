"""Messages of the command line on stderr, one line each."""

from __future__ import annotations

import sys
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from napari_msd.core.errors import ImageWarning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

MAX_NAMED = 5


def print_message(message: object) -> None:
    """Print one line to stderr."""
    print("napari-msd:", " ".join(str(message).split()), file=sys.stderr)


def warn(message: object) -> None:
    """Print one line with a warning; the work continues."""
    print_message(f"warning: {message}")


def warn_of_cores() -> None:
    """Warn of compiled cores that were set aside since the last call."""
    from napari_msd.native import take_sentences

    for sentence in take_sentences():
        warn(sentence)


def counted(number: int, noun: str) -> str:
    """A number with its noun: "1 image", "3 images"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def named(names: Sequence[str]) -> str:
    """Join names with commas; of many, only the first few."""
    rest = len(names) - MAX_NAMED
    return ", ".join(names[:MAX_NAMED]) + (f" and {rest} more" if rest > 0 else "")


@contextmanager
def image_warnings_to(say: Callable[[ImageWarning], None]) -> Iterator[None]:
    """Call `say` with every `ImageWarning` issued in the block; other warnings are unaffected."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", ImageWarning)
        usual = warnings.showwarning

        def show(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if isinstance(message, ImageWarning):
                say(message)
            else:
                usual(message, category, filename, lineno, file, line)

        warnings.showwarning = show
        yield


@contextmanager
def progress(title: str) -> Iterator[Callable[[float, str], None]]:
    """Show a progress bar on a terminal, else nothing; yields a function of (fraction, text)."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[text]}", markup=False),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as shown:
        task = shown.add_task(title, total=1.0, text="")

        def bar(fraction: float, text: str) -> None:
            shown.update(task, completed=fraction, text=text)

        yield bar
