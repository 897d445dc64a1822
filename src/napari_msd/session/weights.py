"""Commands on networks: load one, continue from another image's, go back, start over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psygnal import Signal

from napari_msd.session import texts

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_msd.document import Coverage, Version
    from napari_msd.images.model_file import ModelRecord
    from napari_msd.session.connection import TrainerConnection
    from napari_msd.session.network_choice import NetworkChoice
    from napari_msd.session.notices import Notices
    from napari_msd.session.ports import Labels, Overlay
    from napari_msd.trainer.messages import ModelKept


class Weights:
    """Changes which weights the session continues from.

    Parameters
    ----------
    network
        Where weights are stored.
    connection
        The connection to the trainer.
    overlay
        Cleared by Start over.
    notices
        Receives sentences for the status line.
    go_on
        Ends all work and continues from the current weights; with True it also shows their
        prediction.
    """

    kept = Signal()
    """New best weights were stored."""

    def __init__(
        self,
        network: NetworkChoice,
        connection: TrainerConnection,
        overlay: Overlay,
        notices: Notices,
        go_on: Callable[[bool], None],
    ) -> None:
        self._network, self._connection = network, connection
        self._overlay, self._notices = overlay, notices
        self._continue = go_on

    @property
    def model(self) -> bytes | None:
        """The best weights for the current image and preset, as a model file's bytes."""
        kept = self._network.kept
        return kept.model if kept is not None else None

    def keep(self, kept: ModelKept) -> None:
        """Store new best weights from the trainer."""
        if self._connection.opened is not None:
            self._network.keep(kept, self._connection.opened)
            self.kept.emit()

    def start_from(self, record: ModelRecord, source: str) -> None:
        """Continue from a saved model; `source` is the file's name."""
        self._network.load(record, source)
        self._continue(True)

    def continue_from_another_image(self) -> None:
        """Continue from the previous image's network, adapted to this image's grey values."""
        self._notices.acted.emit()
        kept = self._network.of_another_image
        if kept is None:
            return
        self._network.take(kept)
        self._continue(True)
        self._notices.info(texts.continues_from(kept.source))

    def go_back(self, version: Version) -> None:
        """Continue from an earlier version of the network; the others stay available."""
        self._notices.acted.emit()
        self._network.go_back(version)
        self._continue(True)

    def bring_back(self) -> None:
        """Undo `start_over`."""
        self._notices.acted.emit()
        self._network.bring_back()
        self._continue(True)

    def start_over(self) -> tuple[bool, tuple[Labels, Coverage] | None]:
        """Discard the network and keep the strokes.

        Returns
        -------
        forgotten
            Whether there was a network.
        labels
            Its predictions, for `Overlay.restore`.
        """
        self._notices.acted.emit()
        forgotten, labels = self._network.forget(), self._overlay.clear()
        self._continue(False)
        return forgotten, labels
