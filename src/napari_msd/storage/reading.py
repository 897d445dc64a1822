"""Reads all of a session file that can be read."""

from __future__ import annotations

import sqlite3
from collections import Counter
from dataclasses import dataclass, field
from secrets import token_hex
from typing import TYPE_CHECKING, Any, TypeVar

from napari_msd.core.errors import shown
from napari_msd.core.space import Space
from napari_msd.document import History, Version
from napari_msd.storage import walking
from napari_msd.storage.content import (
    ImageReference,
    NetworkKey,
    SavedAnnotation,
    SavedImage,
    SessionContent,
)
from napari_msd.storage.database import is_damage
from napari_msd.storage.folding import Fold
from napari_msd.storage.limits import MAX_BODY, MAX_VIEW, MemoryGuard, UnreadableError
from napari_msd.storage.owner import Owner
from napari_msd.storage.rows import (
    AnnotationRow,
    HistoryRow,
    State,
    image_of,
    unseal,
    version_of,
    view_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_msd.document import Journal

_T = TypeVar("_T")

_PER_ANNOTATION = 10_000
"""Bytes of an empty document."""

_NAMES = "names of images and annotations"
_NETWORKS = "kept networks"
_VIEW = "display settings"


@dataclass
class KeptHistory:
    """A row of the table `history`, with the numbers of its versions' rows."""

    number: int
    image: int
    network: NetworkKey
    history: History
    rows: list[tuple[Version, int]]


@dataclass
class Parts:
    """What was read, by the numbers of the rows."""

    state: State
    images: dict[int, ImageReference] = field(default_factory=dict)
    annotations: dict[int, AnnotationRow] = field(default_factory=dict)
    folds: dict[int, Fold] = field(default_factory=dict)
    strokes: dict[int, int] = field(default_factory=dict)
    histories: list[KeptHistory] = field(default_factory=list)
    view: dict[str, Any] = field(default_factory=dict)
    lost: Counter[str] = field(default_factory=Counter)
    """What could not be read, in words, and in how many places."""
    last_version: int = 0
    remarks: list[str] = field(default_factory=list)
    """Sentences on what was done about damage."""

    @property
    def damaged(self) -> bool:
        """Whether anything could not be read."""
        return bool(self.lost)

    def problems(self) -> list[str]:
        """Sentences on what could not be read."""
        return self.remarks + [
            f"Some {what} could not be read and are missing (in {number} places)."
            for what, number in self.lost.items()
        ]

    def content(self, journal: Callable[[int, Fold], Journal]) -> SessionContent:
        """All of it, each document with its journal."""
        annotations = []
        for number, row in self.annotations.items():
            fold = self.folds[number]
            fold.document.replace_journal(journal(number, fold))
            annotations.append(
                SavedAnnotation(
                    number,
                    row.image,
                    row.name,
                    fold.document,
                    tuple(dict.fromkeys(n for n in row.channels if n in self.images)),
                )
            )
        images = {number: SavedImage(number, ref) for number, ref in self.images.items()}
        for kept in self.histories:
            if kept.image in images:
                images[kept.image].histories[kept.network] = kept.history
        current = self.state.current if self.state.current in self.annotations else None
        return SessionContent(
            self.state.id,
            list(images.values()),
            annotations,
            current,
            self.view,
            self.problems(),
            self.state.changed,
        )


def read_parts(connection: sqlite3.Connection, name: str) -> Parts:
    """Everything that a file with the present tables holds.

    Parameters
    ----------
    connection
        To the file.
    name
        Of the file, for the errors' sentences.

    Raises
    ------
    SessionError
        If it does not fit into memory.
    sqlite3.Error
        If the file is out of reach.
    """
    guard = MemoryGuard(name)
    lost: Counter[str] = Counter()
    parts = Parts(read_state(connection) or State(token_hex(4), 0.0, 0.0), lost=lost)
    parts.images = _rows(connection, walking.IMAGES, "image", image_of, lost)
    parts.annotations = _rows(connection, walking.ANNOTATIONS, "annotation", _annotation_of, lost)
    for number, row in parts.annotations.items():
        fold = _fold(connection, number, parts.images.get(row.image), guard)
        if fold.lost:
            lost[f"strokes or classes of {shown(row.name)}"] += fold.lost
        parts.folds[number] = fold
    _adopt(connection, parts, guard)
    for number, _painted, strokes in walking.walk(connection, walking.AMOUNTS, lambda: None):
        parts.strokes[number] = strokes or 0
    _read_histories(connection, parts, guard)
    body = _value(connection, "view", MAX_VIEW + 100)
    if body is not None:
        try:
            parts.view = view_of("session view", body)
        except UnreadableError:
            lost[_VIEW] += 1
    return parts


def read_state(connection: sqlite3.Connection) -> State | None:
    """The state of a session, if it can be read."""
    try:
        return unseal("session state", _value(connection, "state", MAX_BODY), State)
    except UnreadableError:
        return None


def read_owner(connection: sqlite3.Connection) -> Owner | None:
    """Who has the file open, or had it last."""
    try:
        return unseal("session owner", _value(connection, "owner", MAX_BODY), Owner)
    except UnreadableError:
        return None


def _value(connection: sqlite3.Connection, key: str, most: int) -> object:
    query = f"SELECT {walking.bounded('body', most)} FROM session WHERE key = ?"
    try:
        row = connection.execute(query, (key,)).fetchone()
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        return b""
    return None if row is None else row[0]


def _rows(
    connection: sqlite3.Connection,
    query: str,
    table: str,
    read: Callable[[str, object], _T],
    lost: Counter[str],
) -> dict[int, _T]:
    def count() -> None:
        lost[_NAMES] += 1

    found = {}
    for number, body in walking.walk(connection, query, count):
        try:
            found[number] = read(f"{table} {number}", body)
        except UnreadableError:
            count()
    return found


def _annotation_of(place: str, body: object) -> AnnotationRow:
    return unseal(place, body, AnnotationRow)


def _fold(
    connection: sqlite3.Connection,
    number: int,
    reference: ImageReference | None,
    guard: MemoryGuard,
) -> Fold:
    guard.take(_PER_ANNOTATION)
    fold = Fold(number, guard, _space_of(reference))

    def count() -> None:
        fold.lost += 1

    for row in walking.walk(connection, walking.ENTRIES.format(annotation=number), count):
        fold.take(*row)
    return fold


def _adopt(connection: sqlite3.Connection, parts: Parts, guard: MemoryGuard) -> None:
    """Find the strokes of annotations, and the annotations of images, whose names are lost."""
    position = 0
    while True:
        found = list(walking.walk(connection, walking.ENTRY_ANNOTATIONS, lambda: None, position))
        if not found:
            break
        (position,) = found[0]
        if position in parts.annotations:
            continue
        fold = _fold(connection, position, None, guard)
        if fold.document.annotation.counts:
            parts.lost[_NAMES] += 1
            parts.folds[position] = fold
            parts.annotations[position] = AnnotationRow(0, f"annotation {position}")
    for number, row in list(parts.annotations.items()):
        if row.image in parts.images:
            continue
        image = _image_for(parts, number)
        if image is not None:
            parts.annotations[number] = AnnotationRow(image, row.name, row.channels)
        else:
            del parts.annotations[number], parts.folds[number]
        parts.lost[_NAMES] += 1


def _image_for(parts: Parts, annotation: int) -> int | None:
    """The image that an annotation was probably painted on; made if there is none."""
    bound = next(iter(parts.folds[annotation].document.sources.values()), None)
    if bound is None:
        return None
    space = bound.space
    for number, reference in parts.images.items():
        if (reference.axes, reference.shape) == (space.axes, space.shape):
            return number
    number = max(parts.images, default=0) + 1
    parts.images[number] = ImageReference(
        bound.name or f"image {number}", space.axes, space.shape, space.n_channels, ""
    )
    return number


def _space_of(reference: ImageReference | None) -> Space | None:
    if reference is None or 0 in reference.shape:
        return None
    try:
        return Space(reference.axes, reference.shape, n_channels=max(reference.n_channels, 1))
    except ValueError:
        return None


def _read_histories(connection: sqlite3.Connection, parts: Parts, guard: MemoryGuard) -> None:
    def count() -> None:
        parts.lost[_NETWORKS] += 1

    for number, size in walking.walk(connection, walking.VERSION_SIZES, lambda: None):
        guard.take(size or 0)
        parts.last_version = number
    versions = {}
    for number, about, model in walking.walk(connection, walking.VERSIONS, count):
        try:
            versions[number] = version_of(f"version {number}", about, model)
        except UnreadableError:
            count()
    for number, body in walking.walk(connection, walking.HISTORIES, count):
        try:
            row = unseal(f"history {number}", body, HistoryRow)
        except UnreadableError:
            count()
            continue
        rows = [(versions[n], n) for n in dict.fromkeys(row.versions) if n in versions]
        if len(rows) < len(row.versions):
            count()
        present = versions.get(row.present) if row.present in row.versions else None
        history = History.restored([version for version, _ in rows], present)
        parts.histories.append(KeptHistory(number, row.image, row.key, history, rows))
