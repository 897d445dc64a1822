"""What the command line says while it works: one line for each thing, on stderr."""

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

MOST_NAMED = 5


def complain(message: object) -> None:
    """Print one line for a person to stderr."""
    print("napari-msd:", " ".join(str(message).split()), file=sys.stderr)


def warn(message: object) -> None:
    """Print one line about what may have gone wrong, though the work goes on."""
    complain(f"warning: {message}")


def counted(number: int, noun: str) -> str:
    """A number of things: "1 image", "3 images"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def named(names: Sequence[str]) -> str:
    """Names in a row, of many only the first few."""
    rest = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {rest} more" if rest > 0 else "")


@contextmanager
def heard(say: Callable[[ImageWarning], None]) -> Iterator[None]:
    """Call `say` with every `ImageWarning` that is given meanwhile; others go their way."""
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
    """Show a bar on a terminal, nothing elsewhere; call what it gives with (fraction, text)."""
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
