"""Records the user's actions as operations of a document, and has them saved.

Each annotation layer has its own document. A trainer's epoch starts by replaying it: the first
time, and again after a change of device, preset or version. Weights are not recorded:
`KeptModels` holds them, and the session file keeps them beside the documents.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

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
    from napari_msd.session.memory import SessionMemory
    from napari_msd.session.ports import ChosenLayers, Layer

MAX_OPERATIONS = 10_000
"""Every brush step is one operation. More than this in memory, and more than twice as many as it
takes to say the same, are replaced by the fewest equivalent ones."""


class Recorder:
    """The document of the current image and annotation.

    Parameters
    ----------
    classes
        The classes of the annotation; followed from now on.
    chosen
        The chosen layers.
    memory
        Holds the documents of all annotation layers, and where they are saved.
    """

    def __init__(self, classes: ClassTable, chosen: ChosenLayers, memory: SessionMemory) -> None:
        self._classes, self._chosen, self._memory = classes, chosen, memory
        self.document = Document()
        self._annotation: Layer | None = None
        self._image: Layer | None = None
        """What the annotation was begun on."""
        self._unchecked = False
        """Whether the document may hold strokes that were erased while nobody watched."""
        self._limit = MAX_OPERATIONS
        classes.changed.connect(self._on_classes)

    def leave(self) -> None:
        """Record nothing until `begin`: the classes shown next are of another annotation."""
        self._annotation, self.document = None, Document()

    def begin(
        self, annotation: Layer, space: Space, settings: Settings, snapshot: AnnotationSnapshot
    ) -> None:
        """Record this annotation layer, or go on recording it.

        Parameters
        ----------
        annotation
            A layer that fits the chosen image.
        space
            Of the image.
        settings
            The chosen settings.
        snapshot
            What is known of the layer's values; the rest follows through `paint`, and `compare`
            when all of it is known.
        """
        image = self._chosen.image
        bound = BindSource(SOURCE, space, "" if image is None else image.name)
        saving = self._memory.saving
        known = saving.document_of(annotation)
        document = known if known is not None and _fits(known, space) else Document()
        kept = [] if known is None or document is known else _painted_within(known, space)
        was_saved = saving.is_saved(annotation)
        saving.remember(annotation, document)
        self._limit = MAX_OPERATIONS
        if document.sources.get(SOURCE) != bound:
            document.do(bound)
        self.document, self._annotation, self._unchecked = document, annotation, True
        self._image = image
        self.choose(settings)
        self._on_classes()
        self.paint(kept)  # until all of the layer is compared
        if document is not known:
            self.paint(snapshot.painted())
        if was_saved:
            self.save()  # another image, and which annotation is worked on

    def paint(self, painted: Iterable[Painted]) -> None:
        """Record changed painted values."""
        if self._annotation is None:
            return  # the annotation does not fit the image
        saving = self._memory.saving
        for block in painted:
            known = self.document.annotation.read(block.box)
            if not np.array_equal(known, block.values):
                self.document.do(PaintBox(block.box, block.values))
        if not saving.is_saved(self._annotation) and self.document.number > self._limit:
            self._compact()

    def compare(self, snapshot: AnnotationSnapshot) -> list[Painted]:
        """Record what was erased while the layer was not watched, once all of it was read.

        Returns
        -------
        list of Painted
            The corrections.
        """
        if self._annotation is None or not self._unchecked:
            return []
        self._unchecked = False
        found = []
        for chunk, values in list(self.document.annotation.chunks()):
            box = chunk.clip(snapshot.shape)
            now = snapshot.annotation.read(box)
            if not np.array_equal(now, values[box.within(chunk).slices]):
                found.append(Painted(box, now))
        self.paint(found)
        return found

    def choose(self, settings: Settings) -> None:
        """Record the chosen settings of network, training and device."""
        if self._annotation is not None and settings != self.document.settings:
            self.document.do(ChooseSettings(settings))

    def painted(self) -> list[Painted]:
        """Everything painted, as a new trainer needs it."""
        return [
            Painted(operation.box, operation.values)
            for operation in requests_of(self.document)
            if isinstance(operation, PaintBox)
        ]

    def save(self) -> None:
        """Save the document in the session file from now on, if anything is painted.

        Called for what a person did: opening a Labels layer alone makes no session.
        """
        image, annotation = self._chosen.image, self._annotation
        if image is None or annotation is None or not self.document.annotation.counts:
            return
        if image is not self._image:
            return  # another one is chosen by now: the strokes are not painted on that
        memory = self._memory
        images = tuple(map(memory.number, self._chosen.layers))
        memory.saving.save(
            image, self._chosen.channels, annotation, memory.models.histories_of(images)
        )

    def save_first(self) -> None:
        """Begin to save the document, unless it is saved: cheap enough for every brush step."""
        annotation = self._annotation
        if annotation is not None and not self._memory.saving.is_saved(annotation):
            self.save()

    # --- inside --------------------------------------------------------------------------

    def _compact(self) -> None:
        """Replace the journal by the fewest operations that make the same document.

        The document itself stays. Each replacement allows twice as many operations as before it,
        so the cost per operation does not grow with the annotation.
        """
        fewest = list(requests_of(self.document))
        self._limit = max(MAX_OPERATIONS, 2 * len(fewest))
        self.document.replace_journal(MemoryJournal(fewest))

    def _on_classes(self) -> None:
        if self._annotation is None:
            return
        known, painted = self.document.classes, self.document.annotation.counts
        for info in self._classes:
            now = ClassInfo(info.value, info.name, info.color)
            before = known.get(info.value)
            if before == now:
                continue
            if before is not None and before.color == now.color:
                self.document.do(RenameClass(now.value, now.name))
            else:
                self.document.do(DefineClass(now))
        for value in [v for v in known if v not in self._classes and v not in painted]:
            self.document.do(RemoveClass(value))  # strokes are erased by painting, never here


def _fits(document: Document, space: Space) -> bool:
    bound = document.sources.get(SOURCE)
    return bound is None or (bound.space.axes, bound.space.shape) == (space.axes, space.shape)


def _painted_within(document: Document, space: Space) -> list[Painted]:
    """What a document holds, if its image has the shape of `space`, under other axes' names."""
    bound = document.sources.get(SOURCE)
    if bound is None or bound.space.shape != space.shape:
        return []
    return [
        Painted(operation.box, operation.values)
        for operation in requests_of(document)
        if isinstance(operation, PaintBox)
    ]
