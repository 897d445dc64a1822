"""Keeps the trainer's session on the present image, strokes, view and settings.

A request is sent only to a session that is *open* on all of them; `TrainerSync.open` sees to
that before any work, and from then on changes follow by themselves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from psygnal import Signal

if TYPE_CHECKING:
    from napari_msd.core.box import Box
    from napari_msd.document import Painted
    from napari_msd.session.connection import TrainerConnection
    from napari_msd.session.network_choice import NetworkChoice
    from napari_msd.session.ports import ChosenLayers, Screen, Strokes
    from napari_msd.session.recorder import Recorder


class TrainerSync:
    """Sends what changed to the session that is open.

    Parameters
    ----------
    connection
        To the trainer.
    chosen, strokes, screen, network
        What it is to be told of.
    recorder
        Takes down what is painted and chosen.
    """

    counted = Signal(dict)
    """Painted pixels of each class, after a change."""
    unusable = Signal()
    """Values that cannot be classes were met."""

    def __init__(
        self,
        connection: TrainerConnection,
        chosen: ChosenLayers,
        strokes: Strokes,
        screen: Screen,
        network: NetworkChoice,
        recorder: Recorder,
    ) -> None:
        self._connection, self._chosen, self._network = connection, chosen, network
        self._strokes, self._screen, self._recorder = strokes, screen, recorder
        self.uncertainty = False
        """Whether the trainer is to tell how unsure it is."""
        strokes.changed.connect(self._on_strokes)
        strokes.scanned.connect(self._on_scanned)
        screen.changed.connect(self._on_view)

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
        problem = self._chosen.problem(need_annotation=need_annotation)
        if problem is not None:
            raise problem
        self._strokes.finish()
        network = self._network
        kept = network.kept
        self._recorder.choose(network.settings)
        opened = self._connection.open(
            network.settings,
            network.image_number,
            self._chosen.data,
            self._chosen.fitting,
            kept.model if kept is not None else None,
            fit_normalisation=kept is not None and kept.fit_normalisation,
        )
        if opened:
            if self._chosen.fitting is not None and (painted := self._recorder.painted()):
                self._connection.client.set_strokes(painted)
            self._connection.client.set_view(self._screen.view())
            if self.uncertainty:
                self._connection.client.set_uncertainty(True)
        return opened

    def layers_changed(self) -> None:
        """Another image or annotation: a new document, of what is known of the annotation."""
        if self._chosen.fitting is not None:
            image = self._chosen.image
            self._recorder.begin(
                self._chosen.data.space,
                image.name if image is not None else "",
                self._network.settings,
                self._strokes.snapshot.painted(),
            )
        self.count()

    def count(self) -> None:
        """Tell how much is painted now."""
        self.counted.emit(self._strokes.snapshot.annotation.counts)

    def _on_strokes(self, painted: list[Painted]) -> None:
        self._recorder.paint(painted)
        opened = self._connection.opened
        if opened is not None and opened.annotation is self._chosen.annotation:
            self._connection.client.set_strokes(painted)
        self.count()

    def _on_scanned(self) -> None:
        if self._strokes.snapshot.unusable:
            self._strokes.snapshot.unusable = False
            self.unusable.emit()

    def _on_view(self, box: Box) -> None:
        if self._connection.opened is not None:
            self._connection.client.set_view(box)
