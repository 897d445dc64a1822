"""What a person made: the fold of all operations.

A document is never written to but through operations (`do`). So the journal is enough to have it
again: after a crash, in another process, on another machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from napari_msd.core.box import SourceId
from napari_msd.core.checkpoint import ClassInfo
from napari_msd.core.palette import class_color
from napari_msd.core.settings import Settings
from napari_msd.core.space import Space
from napari_msd.document.annotation import Annotation
from napari_msd.document.journal import Entry, Journal, MemoryJournal
from napari_msd.document.operations import (
    BindSource,
    ChooseSettings,
    DefineClass,
    MergeClasses,
    Operation,
    PaintBox,
    RemoveClass,
    RenameClass,
)


class Document:
    """Sources, annotation, classes and settings.

    Parameters
    ----------
    journal
        What it holds already is replayed; new operations are appended. One in memory if not given.
    """

    def __init__(self, journal: Journal | None = None) -> None:
        self.journal: Journal = MemoryJournal() if journal is None else journal
        self.number = 0
        """Sequence number of the newest operation."""
        self.sources: dict[SourceId, BindSource] = {}
        self.annotation = Annotation()
        self.classes: dict[int, ClassInfo] = {}
        """By value; what is painted is always among them."""
        self.settings = Settings()
        self.journal.follow(self.annotation)
        for entry in self.journal.replay():
            self._apply(entry)

    def __eq__(self, other: object) -> bool:
        """Whether the same sources, annotation, classes and settings are there."""
        if not isinstance(other, Document):
            return NotImplemented
        return (
            self.sources == other.sources
            and self.annotation == other.annotation
            and self.classes == other.classes
            and self.settings == other.settings
        )

    __hash__ = None  # type: ignore[assignment]  # it changes

    def do(self, operation: Operation) -> Entry:
        """Carry out an operation.

        Raises
        ------
        ValueError
            If it speaks of what is not there; nothing has changed then.
        """
        self._check(operation)
        entry = self.journal.append(operation)
        self._apply(entry)
        return entry

    def replace_journal(self, journal: Journal) -> None:
        """Go on with another journal, whose operations make this very document."""
        self.journal = journal
        self.journal.follow(self.annotation)
        self.number = journal.last

    # --- inside --------------------------------------------------------------------------

    def _check(self, operation: Operation) -> None:
        match operation:
            case PaintBox(box, _):
                if not self._space(box.source).whole(box.source).contains(box):
                    raise ValueError(f"{box} reaches beyond its source")
            case BindSource(source, space):
                known = self.sources.get(source)
                if known is not None and _extent(known.space) != _extent(space):
                    raise ValueError(f"source {source} has another shape: {known.space}")
                if space.convolved != self.annotation.convolved:
                    raise ValueError(f"{space} is not convolved over as the other sources are")
            case RenameClass(value) | MergeClasses(value) | RemoveClass(value):
                if value not in self.classes:
                    raise ValueError(f"there is no class {value}")

    def _apply(self, entry: Entry) -> None:
        match entry.operation:
            case BindSource() as bound:
                self.sources[bound.source] = bound
            case PaintBox(box, values):
                self.annotation.write(box, values)
                for value in np.flatnonzero(np.bincount(values.ravel(), minlength=1)):
                    if value:
                        self._require_class(int(value))
            case DefineClass(info):
                self.classes[info.value] = info
            case RenameClass(value, name):
                self.classes[value] = replace(self.classes[value], name=name)
            case MergeClasses(value, into):
                self.annotation.repaint(value, into)
                self._require_class(into)
                del self.classes[value]
            case RemoveClass(value):
                self.annotation.repaint(value, 0)
                del self.classes[value]
            case ChooseSettings(settings):
                self.settings = settings
        self.number = entry.number

    def _space(self, source: SourceId) -> Space:
        if source not in self.sources:
            raise ValueError(f"there is no source {source}")
        return self.sources[source].space

    def _require_class(self, value: int) -> None:
        self.classes.setdefault(value, ClassInfo(value, f"class {value}", class_color(value)))


def document_of(operations: Iterable[Operation]) -> Document:
    """The document that these operations make, one after the other."""
    document = Document()
    for operation in operations:
        document.do(operation)
    return document


def requests_of(document: Document) -> Iterator[Operation]:
    """The fewest operations that bring an empty document, or a new trainer, to where this one is.

    Sources first, then settings, classes and annotation. A trainer that starts, starts again, or
    moves to another device is told these; weights come from a `History`.
    """
    yield from document.sources.values()
    yield ChooseSettings(document.settings)
    for info in document.classes.values():
        yield DefineClass(info)
    for box, values in document.annotation.chunks():
        inside = box.clip(document.sources[box.source].space.shape)
        yield PaintBox(inside, values[inside.within(box).slices])


def _extent(space: Space) -> tuple[str, tuple[int, ...]]:
    return space.axes, space.shape
