"""Where the work of one viewer is saved: a session file, made at the first stroke.

It lives as long as the viewer. Closing the panel saves what there is; the file stays open, so that
strokes which nothing saved yet are offered again if napari crashes.
"""

from __future__ import annotations

from dataclasses import replace
from threading import Thread
from time import monotonic
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from psygnal import Signal

from napari_msd.core.errors import MSDError
from napari_msd.document import MemoryJournal, requests_of
from napari_msd.storage import NetworkKey, SessionFile, fingerprint, new_path

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from napari_msd.document import Document, History, Kind
    from napari_msd.session.ports import Channel, ImageData, Layer
    from napari_msd.storage import JSON, ImageReference, SessionContent

_NETWORK_EVERY_S = 5.0
"""Seconds between two savings of a network that improves: it takes megabytes, and what a crash
costs is learned again in less time."""

_TRY_AGAIN_S = 30.0
"""Seconds until a session file that could not be made is tried again."""


class Saving:
    """The session file of a viewer, and which of its layers are in it.

    Signals are emitted on any thread.

    Parameters
    ----------
    make_path
        Path of a new session file, from the name of its first image.
    """

    failed = Signal(str)
    """Saving fails; carries a sentence. What is not saved is kept in memory and tried again."""
    recovered = Signal()
    """Everything is saved again."""
    image_differs = Signal(str)
    """The image of this name is not the one that the strokes were painted on."""

    def __init__(self, make_path: Callable[[str], Path] = new_path) -> None:
        self._make_path = make_path
        self.file: SessionFile | None = None
        self._images: WeakKeyDictionary[Layer, int] = WeakKeyDictionary()
        self._annotations: WeakKeyDictionary[Layer, int] = WeakKeyDictionary()
        self._documents: WeakKeyDictionary[Layer, Document] = WeakKeyDictionary()
        self._references: dict[int, ImageReference] = {}
        self._measured: dict[int, ImageReference] = {}
        """References whose fingerprint is known or being computed."""
        self._networks: dict[tuple[int, NetworkKey], tuple[tuple[int, int], float]] = {}
        """By image and network: outline of the history that was saved, and when."""
        self._waiting: dict[tuple[int, NetworkKey], History] = {}
        self.failure = ""
        """Why saving fails at present, in a sentence; empty while it works."""
        self._elsewhere: Path | None = None
        self._not_before = float("-inf")

    # --- documents -----------------------------------------------------------------------

    def document_of(self, annotation: Layer) -> Document | None:
        """What is recorded of this annotation layer."""
        return self._documents.get(annotation)

    def remember(self, annotation: Layer, document: Document) -> None:
        """`document` records this annotation layer from now on."""
        self._documents[annotation] = document

    def save(
        self,
        image: Layer,
        channels: Sequence[Channel],
        annotation: Layer,
        histories: Mapping[Kind, History],
    ) -> bool:
        """Save the document of an annotation, and go on saving it with every operation.

        Parameters
        ----------
        image
            What it is painted on.
        channels
            The layers that the network sees, `image` among them.
        annotation
            A remembered layer.
        histories
            The networks of these channels.

        Returns
        -------
        bool
            False if no session file can be made now; `failed` says why.
        """
        document = self._documents[annotation]
        file = self._file_for(image.name)
        if file is None:
            return False
        number, together = self._numbers(file, image, channels)
        if annotation not in self._annotations:
            self._annotations[annotation] = file.add_annotation(number, annotation.name, together)
        if not self.is_saved(annotation):
            journal = file.journal(self._annotations[annotation])
            journal.rewrite(requests_of(document))
            document.replace_journal(journal)
        file.choose(self._annotations[annotation])
        layers = [channel.layer for channel in channels]
        for kind, history in histories.items():
            self.keep_versions(layers, kind, history)
        for channel in channels:
            self._measure(file, self._images[channel.layer], channel.data)
        return True

    def is_saved(self, annotation: Layer) -> bool:
        """Whether the operations of this annotation go to the file."""
        document = self._documents.get(annotation)
        return document is not None and not isinstance(document.journal, MemoryJournal)

    def keep_versions(self, layers: Sequence[Layer], kind: Kind, history: History) -> None:
        """Save the networks of the image that these layers are, if they are in the file.

        Newer weights of the same version may wait some seconds, for `write_networks`.
        """
        if self.file is None or not layers or any(layer not in self._images for layer in layers):
            return
        numbers = tuple(self._images[layer] for layer in layers)
        network = NetworkKey(
            kind.preset, kind.mode, kind.context, numbers if len(numbers) > 1 else ()
        )
        kept = _outline(history)
        before, when = self._networks.get((numbers[0], network), ((0, -1), float("-inf")))
        if kept == before and monotonic() - when < _NETWORK_EVERY_S:
            self._waiting[numbers[0], network] = history
            return
        self._write_network(numbers[0], network, history)

    def write_networks(self, *, now: bool = False) -> None:
        """Save the newest weights that have waited long enough, or all of them."""
        for (number, network), history in list(self._waiting.items()):
            _, when = self._networks[number, network]
            if now or monotonic() - when >= _NETWORK_EVERY_S:
                self._write_network(number, network, history)

    def _write_network(self, number: int, network: NetworkKey, history: History) -> None:
        if self.file is not None:
            self._waiting.pop((number, network), None)
            self._networks[number, network] = _outline(history), monotonic()
            self.file.keep_versions(number, network, history)

    def show(
        self,
        image: Layer,
        channels: Sequence[Channel],
        annotation: Layer,
        view: Mapping[str, JSON],
    ) -> None:
        """Save which layers are shown, their names and how they are displayed."""
        if self.file is None or annotation not in self._annotations:
            return
        number, together = self._numbers(self.file, image, channels)
        self.write_networks()
        self.file.update_annotation(
            self._annotations[annotation], number, annotation.name, together
        )
        self.file.keep_view(view)

    # --- the file ------------------------------------------------------------------------

    def adopt(
        self,
        file: SessionFile,
        content: SessionContent,
        images: Mapping[int, Layer],
        annotations: Mapping[int, Layer],
    ) -> None:
        """Go on with an opened session, whose images and annotations are these layers."""
        self.close()
        self._listen(file)
        for saved in content.images:
            self._references[saved.number] = saved.reference
            if (layer := images.get(saved.number)) is not None:
                self._images[layer] = saved.number
        for annotation in content.annotations:
            if (layer := annotations.get(annotation.number)) is not None:
                self._documents[layer] = annotation.document
                self._annotations[layer] = annotation.number

    def found(self, number: int, image: Layer) -> None:
        """The image of this number, which was missing, is this layer."""
        self._images[image] = number

    def flush(self) -> None:
        """Write everything, now."""
        self.write_networks(now=True)
        if self.file is not None:
            self.file.flush(1.5)

    @property
    def at_risk(self) -> bool:
        """Whether anything would be lost if the process ended now, because saving fails."""
        return bool(self.failure) and (self.file is None or self.file.pending > 0)

    def make_at(self, path: Path) -> None:
        """Make the session file there at the next `save`: it cannot be made where it should be."""
        self._elsewhere, self._not_before = path, float("-inf")

    def close(self) -> bool:
        """End the session; the next stroke begins another one. False if something is not saved."""
        self.write_networks(now=True)
        file, self.file = self.file, None
        self._networks.clear()
        self._waiting.clear()
        self._images.clear()
        self._annotations.clear()
        self._documents.clear()
        self._references, self._measured = {}, {}  # a thread may still write to the old ones
        self.failure, self._elsewhere, self._not_before = "", None, float("-inf")
        return file is None or file.close()

    # --- inside --------------------------------------------------------------------------

    def _file_for(self, stem: str) -> SessionFile | None:
        if self.file is None and monotonic() >= self._not_before:
            path, self._elsewhere = self._elsewhere, None
            try:
                self._listen(SessionFile.create(path or self._make_path(stem)))
            except MSDError as error:
                self._not_before = monotonic() + _TRY_AGAIN_S
                self._on_failed(str(error))
        return self.file

    def _listen(self, file: SessionFile) -> None:
        self.file = file
        file.failed.connect(self._on_failed)
        file.saved.connect(self._on_saved)

    def _on_failed(self, text: str) -> None:
        self.failure = text
        self.failed.emit(text)

    def _on_saved(self, when: float) -> None:
        if self.failure:
            self.failure = ""
            self.recovered.emit()

    def _numbers(
        self, file: SessionFile, image: Layer, channels: Sequence[Channel]
    ) -> tuple[int, tuple[int, ...]]:
        """Numbers of the image and of all its channels (none for one) in the file."""
        numbers = {
            channel.layer: self._image(file, channel.layer, channel.reference)
            for channel in channels
        }
        return numbers[image], tuple(numbers.values()) if len(numbers) > 1 else ()

    def _image(self, file: SessionFile, image: Layer, reference: ImageReference) -> int:
        """The number of an image in the file; its reference is up to date there."""
        number = self._images.get(image)
        if number is None:
            number = self._images[image] = file.add_image(reference)
            self._references[number] = reference
            return number
        known = self._references[number]
        if replace(known, fingerprint="") != reference:
            same = _pixels_of(reference) == _pixels_of(known)
            reference = replace(reference, fingerprint=known.fingerprint if same else "")
            self._references[number] = reference
            file.update_image(number, reference)
        return number

    def _measure(self, file: SessionFile, number: int, data: ImageData) -> None:
        """Compute an image's fingerprint on another thread: its blocks may be slow to read."""
        reference = self._references[number]
        if self._measured.get(number) == reference:
            return
        references, measured = self._references, self._measured
        measured[number] = reference

        def work() -> None:
            try:
                space = data.space
                found = fingerprint(space.shape, reference.dtype, space.n_channels, data.read)
            except Exception:  # whatever an image of another plugin raises: it is not read then
                return
            if self.file is not file or references.get(number) != reference:
                return
            if reference.fingerprint not in ("", found):
                self.image_differs.emit(reference.name)
            references[number] = measured[number] = replace(reference, fingerprint=found)
            file.update_image(number, references[number])

        Thread(target=work, name="napari-msd-fingerprint", daemon=True).start()


def _pixels_of(reference: ImageReference) -> ImageReference:
    """What a reference says of the pixels alone, not of their name and axes."""
    return replace(reference, name="", axes="", axes_said=False, fingerprint="")


def _outline(history: History) -> tuple[int, int]:
    """Number of versions, and which is present; newer weights of a version do not change it."""
    present = [i for i, version in enumerate(history.versions) if version is history.present]
    return len(history.versions), present[0] if present else -1
