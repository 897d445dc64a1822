"""One session on disk, as the window uses it: every method returns at once, a thread writes."""

from __future__ import annotations

import atexit
from pathlib import Path
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_msd.storage import opening
from napari_msd.storage.elsewhere import remember
from napari_msd.storage.records import (
    Choose,
    Ledger,
    PutAnnotation,
    PutImage,
    PutVersions,
    PutView,
)
from napari_msd.storage.rows import AnnotationRow, view_body
from napari_msd.storage.session_journal import SessionJournal
from napari_msd.storage.store import Store
from napari_msd.storage.writer import Listener, Writer

if TYPE_CHECKING:
    import weakref
    from collections.abc import Mapping

    from napari_msd.document import Annotation, History
    from napari_msd.storage.content import JSON, ImageReference, NetworkKey, SessionContent


class SessionFile:
    """A session file that is open for writing, by this process only.

    Made by `create` and `open`. What is recorded is on disk within half a second. While the disk
    refuses it stays in memory, in its order, and is tried again every two seconds.

    Parameters
    ----------
    path
        The file.
    opened
        The claim, and what it holds.
    """

    saved = Signal(float)
    """Something was written; the time, as `time.time`. Emitted on the writer's thread."""

    failed = Signal(str)
    """Nothing can be written; a sentence, once until it works again. On the writer's thread."""

    def __init__(self, path: Path, opened: opening.Opened) -> None:
        parts = opened.parts
        self.id = parts.state.id
        """Eight hexadecimal digits, the same as long as the session lives."""
        self._annotations: dict[int, weakref.ref[Annotation]] = {}
        self._lasts = {number: fold.last for number, fold in parts.folds.items()}
        self._images = max(parts.images, default=0)
        self._journals: dict[int, SessionJournal] = {}
        store = Store(path, opened.connection, opened.owner, Ledger.of(parts), self._annotations)
        self._writer = Writer(store, Listener(self.saved.emit, self.failed.emit))
        self._closed = False
        atexit.register(self.close)
        remember(path)

    @classmethod
    def create(cls, path: Path) -> SessionFile:
        """Begin a new session; the folder is made if it is missing.

        Raises
        ------
        SessionError
            If that is not possible, or a file of this name exists.
        """
        path = Path(path).absolute()
        return cls(path, opening.create(path))

    @classmethod
    def open(cls, path: Path) -> tuple[SessionFile, SessionContent]:
        """Go on with a session; its documents have journals in it.

        What can be read of a damaged file goes to a fresh one. The damaged one is kept beside it
        as ``<name>.damaged-1.msdsession``, and ``content.problems`` says what is missing.

        Raises
        ------
        SessionInUse
            If it is open somewhere.
        SessionDamaged
            If it is no session, or nothing of it can be read.
        SessionError
            If it is out of reach, of a newer version, or does not fit into memory.
        """
        path = Path(path).absolute()
        opened = opening.open_claimed(path)
        session = cls(path, opened)
        return session, opened.parts.content(lambda number, _: session.journal(number))

    @property
    def path(self) -> Path:
        """The file; another one after `move`."""
        return self._writer.path

    @property
    def last_saved(self) -> float | None:
        """When something was last written, as `time.time`."""
        return self._writer.last_saved

    @property
    def pending(self) -> int:
        """How many changes are not yet on disk."""
        return self._writer.pending

    def add_image(self, reference: ImageReference) -> int:
        """Take down an image; its number."""
        self._images += 1
        self._writer.put(PutImage(self._images, reference))
        return self._images

    def update_image(self, image: int, reference: ImageReference) -> None:
        """More is known of an image, or it was renamed."""
        self._writer.put(PutImage(image, reference))

    def add_annotation(self, image: int, name: str, channels: tuple[int, ...] = ()) -> int:
        """Take down an annotation layer of an image; its number."""
        number = max(self._lasts, default=0) + 1
        self._lasts[number] = 0
        self._writer.put(PutAnnotation(number, AnnotationRow(image, name, channels)))
        return number

    def update_annotation(
        self, annotation: int, image: int, name: str, channels: tuple[int, ...] = ()
    ) -> None:
        """An annotation layer was renamed, or belongs to another image or to other channels."""
        self._writer.put(PutAnnotation(annotation, AnnotationRow(image, name, channels)))

    def journal(self, annotation: int) -> SessionJournal:
        """The journal of an annotation, the same one each time.

        Raises
        ------
        KeyError
            If there is no such annotation.
        """
        journal = self._journals.get(annotation)
        if journal is None:
            last = self._lasts[annotation]
            journal = SessionJournal(self._writer, annotation, last, self._annotations)
            self._journals[annotation] = journal
        return journal

    def keep_versions(self, image: int, network: NetworkKey, history: History) -> None:
        """Keep the versions of one of an image's networks, as they are now."""
        versions = tuple(history.versions)
        self._writer.put(PutVersions(image, network, versions, history.present))

    def keep_view(self, view: Mapping[str, JSON]) -> None:
        """Keep display settings: a small JSON object; the newest wins.

        Raises
        ------
        ValueError
            If it is none, or of more than 4 MiB.
        """
        self._writer.put(PutView(view_body(view)))

    def choose(self, annotation: int) -> None:
        """Remember which annotation was worked on last."""
        self._writer.put(Choose(annotation))

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until everything is on disk; whether it is, after at most `timeout` seconds."""
        return self._writer.flush(timeout)

    def move(self, path: Path, *, overwrite: bool = False) -> None:
        """Go on in another file, and remove this one once the other is complete.

        May take as long as copying the file: call it on a thread.

        Parameters
        ----------
        path
            The other file; ``.msdsession`` is added to other names.
        overwrite
            Whether a file that is there may be replaced; never one that is open somewhere.

        Raises
        ------
        SessionError
            If it cannot be written, or a file is there. Nothing has changed then.
        """
        target = Path(path).absolute()
        if target.suffix != opening.SUFFIX:
            target = target.with_name(target.name + opening.SUFFIX)
        self._writer.call(lambda store: store.move(target, overwrite=overwrite))
        remember(target)

    def close(self, timeout: float = 1.5) -> bool:
        """Write what is pending, and let go of the file.

        A session with nothing painted and no networks is removed.

        Returns
        -------
        bool
            Whether everything is on disk, after about `timeout` seconds.
        """
        if self._closed:
            return not self.pending
        self._closed = True
        atexit.unregister(self.close)
        return self._writer.close(timeout)
