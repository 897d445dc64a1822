"""Opens a saved session: its layers, classes, networks and view."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer, Signal
from qtpy.QtWidgets import QFileDialog, QWidget

from napari_msd.core.errors import MSDError
from napari_msd.plugin import session_texts as texts
from napari_msd.session.restoring import restore_choices, restore_networks
from napari_msd.storage import SessionFile
from napari_msd.viewer import layers, restore, view_state
from napari_msd.widgets.plain_text import shortened

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_msd.plugin.background import Background
    from napari_msd.plugin.layer_picker import LayerPicker
    from napari_msd.session.controller import Controller
    from napari_msd.storage import SavedImage, SessionContent
    from napari_msd.widgets.offers import OfferBar

_log = logging.getLogger(__name__)

_DRAWN_MS = 200
"""Until the viewer has drawn layers that were added."""


class SessionOpening(QObject):
    """Brings saved work back into the viewer.

    Parameters
    ----------
    viewer, controller, bar, picker, background
        Of the window.
    may_close
        Whether the present session may be closed.
    window
        Parent of dialogs.
    """

    opened = Signal()
    """A session was opened: preset and device may have changed."""

    def __init__(
        self,
        viewer: Any,
        controller: Controller,
        bar: OfferBar,
        picker: LayerPicker,
        background: Background,
        may_close: Callable[[], bool],
        window: QWidget,
    ) -> None:
        super().__init__(window)
        self._viewer, self._controller, self._bar = viewer, controller, bar
        self._picker, self._background, self._window = picker, background, window
        self._may_close = may_close
        self._saving = controller.memory.saving
        self._asked: list[str] = []
        """Keys of the offers to find an image of the open session."""

    def open(self, path: Path) -> None:
        """Open a session: its layers, classes, networks and view. The present one is closed."""
        present, notices = self._saving.file, self._controller.notices
        if present is not None and present.path.resolve() == path.resolve():
            notices.info(texts.OPEN_ALREADY)
            return
        if not self._may_close():
            return
        notices.info(texts.OPENING)

        def work() -> None:
            file, content = SessionFile.open(path)
            self._background.soon(lambda: self._show_or_close(file, content), file.close)

        self._background.run(work)

    def _show_or_close(self, file: SessionFile, content: SessionContent) -> None:
        """Show a session; let go of its file if that fails, so that it can be opened again."""
        try:
            self.show(file, content)
        except Exception as error:  # napari, or another plugin that follows its layers
            _log.exception("A session could not be shown")
            if self._saving.file is not file:
                file.close()
            self._controller.notices.error(texts.not_shown(file.path.stem, str(error)))

    def show(self, file: SessionFile, content: SessionContent) -> None:
        """Show an opened session: its layers, and where the work went on."""
        controller, viewer = self._controller, self._viewer
        controller.notices.past.emit(texts.OPENING)
        restore.require_possible(content)
        controller.stop()
        for key in self._asked:
            self._bar.withdraw(key)
        self._asked.clear()
        controller.chosen.choose(None, None)  # its document belongs to the present session
        problems, images, annotations = list(content.problems), {}, {}
        missing: list[tuple[SavedImage, str]] = []
        with self._picker.held():
            for saved in content.images:
                try:
                    images[saved.number] = self._image(saved)
                except MSDError as error:
                    missing.append((saved, str(error)))
            for painted in content.annotations:
                try:
                    over = images.get(painted.image)
                    shown = painted.number == content.current
                    hidden = content.view.get("hidden") if shown else None
                    layer = restore.add_annotation(viewer, over, painted, hidden)
                except MSDError as error:
                    problems.append(str(error))
                    continue
                annotations[painted.number] = layer
                layer.visible = shown
            controller.memory.saving.adopt(file, content, images, annotations)
            problems += restore_networks(controller.memory, content, images)
            restore_choices(controller.memory, content, images)
        current = next((a for a in content.annotations if a.number == content.current), None)
        image = None if current is None else images.get(current.image)
        annotation = None if current is None else annotations.get(current.number)
        self._picker.choose(image=image, annotation=annotation)
        if annotation is not None:
            viewer.layers.selection.active = annotation
            # the viewer fits the view to new layers once more when it draws them
            QTimer.singleShot(0, lambda: view_state.show(content.view, viewer, image, annotation))
            view_state.show_channels(content.view.get("channels"), controller.chosen.layers)
        self.opened.emit()
        text = texts.restored(shortened(file.path.stem, 40), problems)

        def end() -> None:
            controller.show_segmentation()
            controller.notices.notice.emit("warning" if problems else "info", text)

        # napari knows what is visible once it has drawn: that part is segmented
        QTimer.singleShot(_DRAWN_MS, lambda: self._background.soon(end))
        for saved, _ in missing:
            self._offer_to_find(file, saved, content, images, annotations)

    def _image(self, saved: SavedImage) -> Any:
        found = restore.find_image(self._viewer, saved.reference)
        if found is not None:
            return found
        if restore.asks_first(saved.reference):
            raise MSDError(saved.reference.path)  # asked for below
        return restore.open_image(self._viewer, saved.reference)

    def _found(
        self, saved: SavedImage, image: Any, content: SessionContent, images: dict[int, Any]
    ) -> None:
        """Go on with an image that was missing."""
        images[saved.number] = image
        self._bar.withdraw(f"image {saved.number}")
        memory = self._controller.memory
        # another image may have taken the networks over; its empty history must not be saved
        restore_networks(memory, content, images, of=saved.number)
        restore_choices(memory, content, images, of=saved.number)
        self._saving.found(saved.number, image)

    def _offer_to_find(
        self,
        file: SessionFile,
        saved: SavedImage,
        content: SessionContent,
        images: dict[int, Any],
        annotations: dict[int, Any],
    ) -> None:
        """Ask where an image is now; its strokes are shown meanwhile."""
        offers, reference = self._bar, saved.reference
        key = f"image {saved.number}"
        self._asked.append(key)

        def use(path: str) -> None:
            if self._saving.file is not file:
                return  # another session was opened meanwhile
            try:
                image = restore.open_image(self._viewer, reference, path)
            except MSDError as error:
                self._controller.notices.error(str(error))
                return
            self._found(saved, image, content, images)
            for other in content.images:  # other channels of the same file came with it
                if other.number not in images and other.reference.path == reference.path:
                    moved = replace(other.reference, path=path)
                    if (part := restore.find_image(self._viewer, moved)) is not None:
                        self._found(other, part, content, images)
            mine = [a for a in content.annotations if saved.number in (a.image, *a.channels)]
            for painted in mine:
                if (layer := annotations.get(painted.number)) is not None:
                    for name, value in layers.placement(image).items():
                        setattr(layer, name, value)
            shown = next(
                (a for a in mine if a.number == content.current), mine[0] if mine else None
            )
            layer = None if shown is None else annotations.get(shown.number)
            image = images.get(shown.image, image) if shown is not None else image
            self._picker.choose(image=image, annotation=layer)

        def choose() -> None:
            path, _ = QFileDialog.getOpenFileName(
                self._window, f"Where is {shortened(reference.name, 40)}?"
            )
            if path:
                use(path)

        actions = [("Choose file …", choose), ("Without it", lambda: None)]
        text = texts.image_missing(reference.name, reference.path)
        if restore.asks_first(reference):
            place = reference.path or f"the sample {' of '.join(reference.sample[::-1])}"
            text = texts.image_elsewhere(reference.name, place)
            actions.insert(0, ("Open it", lambda: use(reference.path)))
        offers.show_offer(key, text, actions)
