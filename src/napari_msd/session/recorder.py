"""Records the user's actions as operations of a document.

A trainer's epoch starts by replaying the document: the first time, and again after a change of
device, preset or version. Weights are not recorded: in memory they would never be freed, and
`KeptModels` holds them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_msd.core.checkpoint import ClassInfo
from napari_msd.document import Document, Painted, document_of, requests_of
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
    from napari_msd.session.classes import ClassTable

MAX_OPERATIONS = 10_000
"""Every brush step is one operation. More than this are replaced by the fewest equivalent ones."""


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
        classes.changed.connect(self._on_classes)

    def begin(
        self, space: Space, name: str, settings: Settings, painted: Iterable[Painted]
    ) -> None:
        """Start a new document, for another image or annotation.

        Parameters
        ----------
        space, name
            Of the image.
        settings
            The chosen settings.
        painted
            The known content of the annotation; the rest follows through `paint`.
        """
        self.document = Document()
        self.document.do(BindSource(SOURCE, space, name))
        self.document.do(ChooseSettings(settings))
        self._on_classes()
        self.paint(painted)

    def paint(self, painted: Iterable[Painted]) -> None:
        """Record changed painted values."""
        if SOURCE not in self.document.sources:
            return  # the annotation does not fit the image
        for block in painted:
            self.document.do(PaintBox(block.box, block.values))
        if self.document.number > MAX_OPERATIONS:
            self.document = document_of(requests_of(self.document))

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
