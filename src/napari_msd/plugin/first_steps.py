"""The buttons of an empty viewer: open an image, open a sample."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject
from qtpy.QtWidgets import QFileDialog

from napari_msd.plugin import texts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from qtpy.QtWidgets import QWidget

    from napari_msd.session.notices import Notices
    from napari_msd.widgets.panel import Panel

SAMPLE = "nuclei"
PLUGIN = "napari-msd"


class FirstSteps(QObject):
    """Opens images for a person who has just opened the panel."""

    def __init__(self, viewer: Any, notices: Notices, panel: Panel, window: QWidget) -> None:
        super().__init__(window)
        self._viewer, self._notices, self._window = viewer, notices, window
        panel.open_image_button.clicked.connect(self.ask_open)
        panel.sample_button.clicked.connect(self.open_sample)

    def ask_open(self) -> None:
        """Ask for image files and open them.

        napari has no public function for its own dialog.
        """
        paths, _ = QFileDialog.getOpenFileNames(self._window, "Open image")
        if paths:
            self.open_files(paths)

    def open_files(self, paths: Sequence[str]) -> None:
        """Open image files, each as napari would."""
        self._try(lambda: self._viewer.open(list(paths)))

    def open_sample(self) -> None:
        """Open the sample that has strokes."""
        self._try(lambda: self._viewer.open_sample(PLUGIN, SAMPLE))

    def _try(self, work: Callable[[], object]) -> None:
        """Readers are other people's code: whatever one raises ends in a sentence."""
        try:
            work()
        except Exception as error:
            self._notices.error(texts.not_opened(str(error)))
