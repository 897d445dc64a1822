"""Records the user's actions as operations of a document.

A trainer's epoch starts by replaying the document: the first time, and again after a change of
device, preset or version. Weights are not recorded: in memory they would never be freed, and
`KeptModels` holds them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_msd.core.checkpoint import ClassInfo
from napari_msd.document import Document, MemoryJournal, Painted, requests_of
from napari_msd.document.operations import (
    BindSource,
    ChooseSettings,
    DefineClass,
    PaintBox,
    RemoveClass,
    RenameClass,
)
from napari_msd.session.ports import SOURCE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_msd.core.settings import Settings
    from napari_msd.core.space import Space
    from napari_msd.document import AnnotationSnapshot
    from napari_msd.session.classes import ClassTable

MAX_OPERATIONS = 10_000
"""Every brush step is one operation. More than this, and more than twice as many as it takes to say
the same, are replaced by the fewest equivalent ones."""


class Recorder:
    """The document of the current image and annotation.

    Parameters
    ----------
    classes
        The classes of the annotation; followed from now on.
    """

    def __init__(self, classes: ClassTable) -> None:
        self._classes = classes
        self.document = Document()
        self._annotation: AnnotationSnapshot | None = None
        self._limit = MAX_OPERATIONS
        classes.changed.connect(self._on_classes)

    def begin(
        self, space: Space, name: str, settings: Settings, annotation: AnnotationSnapshot
    ) -> None:
        """Record another image, or start a new document for another annotation.

        Parameters
        ----------
        space, name
            Of the image.
        settings
            The chosen settings.
        annotation
            What is known of the annotation; the rest follows through `paint`.
        """
        bound = self.document.sources.get(SOURCE)
        if (
            bound is not None
            and annotation is self._annotation
            and (bound.space.axes, bound.space.shape) == (space.axes, space.shape)
        ):  # another image below the same strokes: they are recorded already
            self.document.do(BindSource(SOURCE, space, name))
            self.choose(settings)
            return
        self._annotation = annotation
        self.document, self._limit = Document(), MAX_OPERATIONS
        self.document.do(BindSource(SOURCE, space, name))
        self.document.do(ChooseSettings(settings))
        self._on_classes()
        self.paint(annotation.painted())

    def paint(self, painted: Iterable[Painted]) -> None:
        """Record changed painted values."""
        if SOURCE not in self.document.sources:
            return  # the annotation does not fit the image
        for block in painted:
            self.document.do(PaintBox(block.box, block.values))
        if self.document.number > self._limit:
            self._compact()

    def choose(self, settings: Settings) -> None:
        """Record the chosen settings of network, training and device."""
        if settings != self.document.settings:
            self.document.do(ChooseSettings(settings))

    def painted(self) -> list[Painted]:
        """Everything painted, as a new trainer needs it."""
        return [
            Painted(operation.box, operation.values)
            for operation in requests_of(self.document)
            if isinstance(operation, PaintBox)
        ]

    def _compact(self) -> None:
        """Replace the journal by the fewest operations that make the same document.

        The document itself stays. Each replacement allows twice as many operations as before it,
        so the cost per operation does not grow with the annotation.
        """
        fewest = list(requests_of(self.document))
        self._limit = max(MAX_OPERATIONS, 2 * len(fewest))
        self.document.replace_journal(MemoryJournal(fewest))

    def _on_classes(self) -> None:
        known = self.document.classes
        for info in self._classes:
            now = ClassInfo(info.value, info.name, info.color)
            before = known.get(info.value)
            if before == now:
                continue
            if before is not None and before.color == now.color:
                self.document.do(RenameClass(now.value, now.name))
            else:
                self.document.do(DefineClass(now))
        for value in [value for value in known if value not in self._classes]:
            self.document.do(RemoveClass(value))
