"""Keeps the trainer's session on the present image, strokes, view and settings.

A request is sent only to a session that is *open* on all of them; `Feed.open` sees to
that before any work, and from then on changes follow by themselves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal

if TYPE_CHECKING:
    from napari_msd.session.link import TrainerLink
    from napari_msd.session.network_choice import NetworkChoice
    from napari_msd.trainer.messages import StrokeBlock, View
    from napari_msd.viewer.stroke_watcher import StrokeWatcher
    from napari_msd.viewer.subject import Subject
    from napari_msd.viewer.view_watcher import ViewWatcher


class Feed(QObject):
    """Sends what changed to the session that is open.

    Parameters
    ----------
    link
        To the trainer.
    subject, strokes, view, network
        What it is to be told of.
    """

    counted = Signal(dict)
    """Painted pixels of each class, after a change."""
    unusable = Signal()
    """Values that cannot be classes were met."""

    def __init__(
        self,
        link: TrainerLink,
        subject: Subject,
        strokes: StrokeWatcher,
        view: ViewWatcher,
        network: NetworkChoice,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._link, self._subject, self._network = link, subject, network
        self._strokes, self._view = strokes, view
        self.uncertainty = False
        """Whether the trainer is to tell how unsure it is."""
        strokes.changed.connect(self._on_strokes)
        strokes.scanned.connect(self._on_scanned)
        view.changed.connect(self._on_view)

    def open(self, *, need_annotation: bool = True) -> bool:
        """Make sure that the trainer's session is on what is chosen now.

        Returns
        -------
        bool
            Whether a new session was opened, which ends all work of the one before.

        Raises
        ------
        MSDError
            With the sentence for the person, when nothing can be done with it.
        """
        problem = self._subject.problem(need_annotation=need_annotation)
        if problem is not None:
            raise problem
        self._strokes.finish()
        subject, network = self._subject, self._network
        kept = network.kept
        opened = self._link.open(
            network.settings,
            network.image_number,
            subject.image,
            subject.fitting,
            kept.model if kept is not None else None,
            fit_normalisation=kept is not None and kept.fit_normalisation,
        )
        if opened:
            blocks = self._strokes.snapshot.blocks()
            if blocks:
                self._link.client.set_strokes(blocks)
            self._link.client.set_view(self._view.view())
            if self.uncertainty:
                self._link.client.set_uncertainty(True)
        return opened

    def count(self) -> None:
        """Tell how much is painted now."""
        self.counted.emit(self._strokes.snapshot.counts)

    def _on_strokes(self, blocks: list[StrokeBlock]) -> None:
        opened = self._link.opened
        if opened is not None and opened.annotation is self._subject.annotation:
            self._link.client.set_strokes(blocks)
        self.count()

    def _on_scanned(self) -> None:
        if self._strokes.snapshot.unusable:
            self._strokes.snapshot.unusable = False
            self.unusable.emit()

    def _on_view(self, view: View) -> None:
        if self._link.opened is not None:
            self._link.client.set_view(view)
