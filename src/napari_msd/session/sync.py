"""Keeps the trainer's session in step with image, strokes, view and settings.

Requests are sent only to a session that is *open* with all of these. `TrainerSync.open` ensures
this before any work; later changes are then sent automatically.
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
    """Sends changes to the open session.

    Parameters
    ----------
    connection
        The connection to the trainer.
    chosen, strokes, screen, network
        The sources of what is sent.
    recorder
        Records what is painted and chosen.
    """

    counted = Signal(dict)
    """Painted pixels by class value, after a change."""
    unusable = Signal()
    """The annotation contains values that cannot be classes."""

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
        """Whether the trainer should also send uncertainty."""
        strokes.changed.connect(self._on_strokes)
        strokes.scanned.connect(self._on_scanned)
        screen.changed.connect(self._on_view)

    def open(self, *, need_annotation: bool = True) -> bool:
        """Make sure that a trainer session with the current choices is open.

        Returns
        -------
        bool
            Whether a new session was opened, which ends all work of the previous one.

        Raises
        ------
        MSDError
            With a sentence for the user, if the chosen layers cannot be used.
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
            network.images,
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
        """Record the chosen annotation, if it fits the image."""
        if (annotation := self._chosen.fitting) is not None:
            self._recorder.begin(
                annotation,
                self._chosen.data.space,
                self._network.settings,
                self._strokes.snapshot,
            )
            if not self._strokes.busy:
                self._send(self._recorder.compare(self._strokes.snapshot))
        self.count()

    def count(self) -> None:
        """Emit how many pixels are painted."""
        self.counted.emit(self._strokes.snapshot.annotation.counts)

    def _on_strokes(self, painted: list[Painted]) -> None:
        self._recorder.paint(painted)
        self._send(painted)
        self.count()

    def _send(self, painted: list[Painted]) -> None:
        opened = self._connection.opened
        if painted and opened is not None and opened.annotation is self._chosen.annotation:
            self._connection.client.set_strokes(painted)

    def _on_scanned(self) -> None:
        self._send(self._recorder.compare(self._strokes.snapshot))
        if self._strokes.snapshot.unusable:
            self._strokes.snapshot.unusable = False
            self.unusable.emit()

    def _on_view(self, box: Box) -> None:
        if self._connection.opened is not None:
            self._connection.client.set_view(box)
