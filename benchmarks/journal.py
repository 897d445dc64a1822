"""What a session file costs: per brush step, on disk, at opening, after compaction.

Paints strokes as a person does, into a session in a temporary folder (or ``--folder``, to measure
another disk). What is read is checked against what was painted.
"""

from __future__ import annotations

import argparse
import os
import platform
import sqlite3
import statistics
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_msd.core.box import Box
from napari_msd.core.space import Space
from napari_msd.document import Document, requests_of
from napari_msd.document.operations import BindSource, PaintBox
from napari_msd.storage import ImageReference, SessionFile, read, summaries
from napari_msd.storage.compaction import compact, shrink
from napari_msd.storage.elsewhere import VARIABLE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_msd.storage.store import Store

SPACE = Space("YX", (4096, 4096))
STEPS_PER_STROKE = 10
"""Positions of the mouse along one stroke."""
BRUSH = 11
"""Pixels across."""


def brush_steps(strokes: int) -> Iterator[PaintBox]:
    """The painted boxes of strokes that wander, each in one of three classes."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:BRUSH, :BRUSH] - BRUSH // 2
    disc = rows**2 + columns**2 <= (BRUSH / 2) ** 2
    canvas = np.zeros(SPACE.shape, np.uint8)
    for _ in range(strokes):
        at = rng.uniform(100, 3900, 2)
        heading, value = rng.uniform(0, 2 * np.pi), int(rng.integers(1, 4))
        for _ in range(STEPS_PER_STROKE):
            heading += rng.normal(0, 0.3)
            at = np.clip(at + 4 * np.array([np.sin(heading), np.cos(heading)]), 20, 4000)
            top, left = map(int, at)
            box = Box(0, (top, left), (top + BRUSH, left + BRUSH))
            canvas[box.slices][disc] = value
            yield PaintBox(box, canvas[box.slices])


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Print how long a block took."""
    start = time.perf_counter()
    yield
    print(f"{what:<48}{time.perf_counter() - start:8.2f} s")


def on_disk(path: Path) -> int:
    """Bytes of a session with what SQLite keeps beside it."""
    return sum(each.stat().st_size for each in path.parent.glob(f"{path.name}*"))


def us(seconds: list[float]) -> str:
    """Median and 99th percentile."""
    return f"{1e6 * statistics.median(seconds):8.1f}   {1e6 * np.percentile(seconds, 99):8.1f}"


def paint(document: Document, operations: list[PaintBox], pause: float) -> list[float]:
    """Carry out operations; the seconds that recording each took."""
    costs = []
    for operation in operations:
        start = time.perf_counter()
        document.journal.append(operation)
        costs.append(time.perf_counter() - start)
        document.annotation.write(operation.box, operation.values)
        if pause:
            time.sleep(pause)
    return costs


def begin(path: Path) -> tuple[SessionFile, Document]:
    """A new session with one annotation."""
    session = SessionFile.create(path)
    image = session.add_image(ImageReference("image", SPACE.axes, SPACE.shape, 1, "uint8"))
    document = Document(session.journal(session.add_annotation(image, "annotation")))
    document.do(BindSource(0, SPACE, "image"))
    session.flush()
    return session, document


def check(path: Path, document: Document) -> None:
    """What is read is what was painted."""
    (annotation,) = read(path).annotations
    if annotation.document.annotation != document.annotation:
        raise SystemExit("what is read is not what was painted")


def measure(folder: Path, strokes: int) -> None:
    """Paint, open, compact, open again."""
    session, document = begin(folder / "slow.msdsession")
    slow = paint(document, list(brush_steps(20)), 0.01)
    session.flush()
    check(session.path, document)
    session.close(60)

    path = folder / "long.msdsession"
    session, document = begin(path)
    size = on_disk(path)
    operations = list(brush_steps(strokes))
    fast = paint(document, operations, 0.0)
    session.flush()
    session.close(60)
    check(path, document)
    per_stroke = (on_disk(path) - size) / strokes

    print("microseconds per brush step, caller's thread    median       99 %")
    print(f"  a step every 10 ms                          {us(slow)}")
    print(f"  steps without a pause                       {us(fast)}")
    print(f"bytes per stroke of {STEPS_PER_STROKE} steps                      {per_stroke:8.0f}")
    print(f"file of {strokes} strokes, kB                       {on_disk(path) / 1e3:8.0f}")
    with timed("its line in the list of sessions"):
        (_, _) = summaries(folder)
    with timed("opening it"):
        session, content = SessionFile.open(path)
    fewest = len(list(requests_of(content.annotations[0].document)))
    with timed(f"compaction, {len(operations)} to {fewest} entries"):
        session._writer.call(compacted)
    session.close(60)
    print(f"file after it, kB                               {on_disk(path) / 1e3:8.0f}")
    with timed("opening it then"):
        session, content = SessionFile.open(path)
    session.close(60)
    check(path, document)


def compacted(store: Store) -> None:
    """All of what the writer does piece by piece when nothing changes."""
    connection = store.require_connection()
    for _ in compact(connection, 1, "it"):
        pass
    for _ in shrink(connection):
        pass


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--strokes", type=int, default=10_000)
    parser.add_argument("--folder", type=Path, help="where to write; default: a temporary folder")
    arguments = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, ", end="")
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(f"load {load:.1f}, {platform.system()}, Python {platform.python_version()}, ", end="")
    print(f"SQLite {sqlite3.sqlite_version}")
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        os.environ[VARIABLE] = folder
        measure(Path(folder), arguments.strokes)


if __name__ == "__main__":
    main()
