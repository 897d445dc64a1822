"""What waits to be written: each record knows its rows.

Records are made on the thread that paints and must cost it nothing; whatever takes time is done in
`prepare` and `write`, on the writer's thread.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from napari_msd.document import Version
from napari_msd.document.operations import Operation, PaintBox
from napari_msd.storage.content import ImageReference, NetworkKey
from napari_msd.storage.folding import place_of
from napari_msd.storage.limits import MAX_MODEL
from napari_msd.storage.operation_codec import encode
from napari_msd.storage.rows import (
    AnnotationRow,
    HistoryRow,
    State,
    image_body,
    seal,
    version_about,
)
from napari_msd.storage.sealed import sealed

if TYPE_CHECKING:
    import sqlite3

    from napari_msd.storage.reading import Parts


@dataclass
class Ledger:
    """What the writer knows of the rows in the file."""

    state: State
    strokes: dict[int, int] = field(default_factory=dict)
    """By annotation: how often something was painted; it outlives compaction."""
    entries: dict[int, int] = field(default_factory=dict)
    """By annotation: rows of operations."""
    histories: dict[tuple[int, NetworkKey], tuple[int, list[tuple[Version, int]]]] = field(
        default_factory=dict
    )
    """By image and network: number of the history's row; versions with their rows' numbers."""
    last_version: int = 0
    last_history: int = 0
    touched: set[int] = field(default_factory=set)
    """Annotations whose amounts have to be written."""

    @classmethod
    def of(cls, parts: Parts) -> Ledger:
        """Of a file that was just read."""
        ledger = cls(parts.state, last_version=parts.last_version)
        for number, fold in parts.folds.items():
            ledger.entries[number] = fold.entries
            ledger.strokes[number] = max(parts.strokes.get(number, 0), fold.strokes)
        for kept in parts.histories:
            ledger.histories[kept.image, kept.network] = kept.number, kept.rows
            ledger.last_history = max(ledger.last_history, kept.number)
        return ledger

    def copy(self) -> Ledger:
        """For a transaction that may fail."""
        return replace(
            self,
            strokes=dict(self.strokes),
            entries=dict(self.entries),
            histories=dict(self.histories),
            touched=set(),
        )


class Record(Protocol):
    """Something to be written."""

    @property
    def key(self) -> Hashable | None:
        """A newer record with the same key makes this one superfluous."""

    def prepare(self) -> None:
        """Compute what will be written; may take its time."""

    def write(self, connection: sqlite3.Connection, ledger: Ledger) -> None:
        """Write it, within a transaction."""


@dataclass(frozen=True)
class Append:
    """An operation with the number of its row."""

    annotation: int
    number: int
    operation: Operation
    key = None

    @cached_property
    def row(self) -> tuple[int, int, int, bytes]:
        """The row of the table `entry`."""
        return entry_row(self.annotation, self.number, self.operation)

    def prepare(self) -> None:
        """Deflate what was painted."""
        _ = self.row

    def write(self, connection: sqlite3.Connection, ledger: Ledger) -> None:
        """Add the row."""
        connection.execute(INSERT_ENTRY, self.row)
        number = self.annotation
        ledger.touched.add(number)
        ledger.entries[number] = ledger.entries.get(number, 0) + 1
        if isinstance(self.operation, PaintBox):
            ledger.strokes[number] = ledger.strokes.get(number, 0) + 1


@dataclass(frozen=True)
class Rewrite:
    """These operations in place of all that an annotation has."""

    annotation: int
    operations: tuple[Operation, ...]
    key = None

    @cached_property
    def rows(self) -> list[tuple[int, int, int, bytes]]:
        """Rows of the table `entry`."""
        return [entry_row(self.annotation, n, op) for n, op in enumerate(self.operations, 1)]

    def prepare(self) -> None:
        """Deflate what is painted."""
        _ = self.rows

    def write(self, connection: sqlite3.Connection, ledger: Ledger) -> None:
        """Replace the rows."""
        connection.execute(DELETE_ENTRIES, (self.annotation,))
        connection.executemany(INSERT_ENTRY, self.rows)
        ledger.touched.add(self.annotation)
        ledger.entries[self.annotation] = len(self.rows)
        painted = sum(isinstance(operation, PaintBox) for operation in self.operations)
        ledger.strokes[self.annotation] = max(ledger.strokes.get(self.annotation, 0), painted)


@dataclass(frozen=True)
class PutImage:
    """An image, or what is known of it by now."""

    number: int
    reference: ImageReference

    @property
    def key(self) -> Hashable:
        """The newest counts."""
        return "image", self.number

    def prepare(self) -> None:
        """Nothing to do."""

    def write(self, connection: sqlite3.Connection, ledger: Ledger) -> None:
        """Add or replace the row."""
        body = image_body(f"image {self.number}", self.reference)
        connection.execute("INSERT OR REPLACE INTO image VALUES (?, ?)", (self.number, body))


@dataclass(frozen=True)
class PutAnnotation:
    """An annotation, or its present name and image."""

    number: int
    row: AnnotationRow

    @property
    def key(self) -> Hashable:
        """The newest counts."""
        return "annotation", self.number

    def prepare(self) -> None:
        """Nothing to do."""

    def write(self, connection: sqlite3.Connection, ledger: Ledger) -> None:
        """Add or replace the row."""
        body = seal(f"annotation {self.number}", self.row)
        connection.execute("INSERT OR REPLACE INTO annotation VALUES (?, ?)", (self.number, body))
        ledger.touched.add(self.number)


@dataclass(frozen=True)
class PutVersions:
    """The versions of one of an image's networks, and the present one."""

    image: int
    network: NetworkKey
    versions: tuple[Version, ...]
    present: Version | None

    @property
    def key(self) -> Hashable:
        """The newest counts."""
        return "versions", self.image, self.network

    def prepare(self) -> None:
        """Nothing to do."""

    def write(self, connection: sqlite3.Connection, ledger: Ledger) -> None:
        """Add and remove the rows of versions that came and went."""
        number, before = ledger.histories.get((self.image, self.network), (0, []))
        if not number:
            number = ledger.last_history = ledger.last_history + 1
        known = {id(version): row for version, row in before}
        rows: list[tuple[Version, int]] = []
        for version in self.versions:
            row = known.pop(id(version), 0)
            if not row:
                if len(version.model) > MAX_MODEL:
                    continue  # SQLite cannot hold it; no network that learns live is this large
                row = ledger.last_version = ledger.last_version + 1
                about = version_about(f"version {row}", version)
                connection.execute(
                    "INSERT INTO version VALUES (?, ?, ?)", (row, about, version.model)
                )
            rows.append((version, row))
        for row in known.values():
            connection.execute("DELETE FROM version WHERE number = ?", (row,))
        present = next((row for version, row in rows if version is self.present), None)
        body = seal(
            f"history {number}",
            HistoryRow(
                self.image,
                self.network.preset,
                tuple(row for _, row in rows),
                present,
                self.network.mode,
                self.network.context,
                self.network.channels,
            ),
        )
        connection.execute("INSERT OR REPLACE INTO history VALUES (?, ?)", (number, body))
        ledger.histories[self.image, self.network] = number, rows


@dataclass(frozen=True)
class PutView:
    """Display settings, as JSON."""

    body: bytes
    key = "view"

    def prepare(self) -> None:
        """Nothing to do."""

    def write(self, connection: sqlite3.Connection, ledger: Ledger) -> None:
        """Replace them."""
        put_value(connection, "view", sealed("session view", self.body))


@dataclass(frozen=True)
class Choose:
    """The annotation that is worked on."""

    annotation: int
    key = "current"

    def prepare(self) -> None:
        """Nothing to do."""

    def write(self, connection: sqlite3.Connection, ledger: Ledger) -> None:
        """The state is written with every transaction."""
        ledger.state = State(
            ledger.state.id, ledger.state.created, ledger.state.changed, False, self.annotation
        )


INSERT_ENTRY = "INSERT INTO entry VALUES (?, ?, ?, ?)"
DELETE_ENTRIES = "DELETE FROM entry WHERE annotation = ?"


def entry_row(annotation: int, number: int, operation: Operation) -> tuple[int, int, int, bytes]:
    """The row of the table `entry` of an operation."""
    kind, body = encode(operation)
    return annotation, number, kind, sealed(place_of(annotation, number, kind), body)


def put_value(connection: sqlite3.Connection, key: str, body: bytes) -> None:
    """Write a row of the table `session`."""
    connection.execute("INSERT OR REPLACE INTO session VALUES (?, ?)", (key, body))
