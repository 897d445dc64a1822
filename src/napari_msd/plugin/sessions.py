"""Saved sessions in the window: opening, restoring, saving elsewhere, and when it was saved."""

from __future__ import annotations

from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer
from qtpy.QtWidgets import QFileDialog, QMessageBox, QWidget

from napari_msd.plugin import session_texts as texts
from napari_msd.plugin.background import Background
from napari_msd.plugin.session_list import SessionList
from napari_msd.plugin.session_offers import SessionOffers
from napari_msd.plugin.session_opening import SessionOpening
from napari_msd.storage import SUFFIX, summaries
from napari_msd.viewer import view_state
from napari_msd.widgets.plain_text import plain_tooltip

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_msd.plugin.layer_picker import LayerPicker
    from napari_msd.session.controller import Controller
    from napari_msd.storage import SessionSummary
    from napari_msd.widgets.panel import Panel

SESSION_FILTER = f"MS-D session (*{SUFFIX})"
_TICK_MS = 1000
_PATIENCE_S = 1.5
"""Seconds to wait for the disk before asking whether to close."""


class SessionActions(QObject):
    """Connects the menu's session entries, and shows what is saved.

    Parameters
    ----------
    viewer, controller, panel, picker
        Of the window.
    call_soon
        Runs a function on the Qt thread; safe from any thread.
    window
        Parent of dialogs.
    """

    def __init__(
        self,
        viewer: Any,
        controller: Controller,
        panel: Panel,
        picker: LayerPicker,
        call_soon: Callable[[Callable[[], None]], None],
        window: QWidget,
    ) -> None:
        super().__init__(window)
        self._viewer, self._controller = viewer, controller
        self._panel, self._window = panel, window
        self._saving = controller.memory.saving
        self._background = Background(call_soon, controller.notices)
        self.opening = SessionOpening(
            viewer, controller, panel.offers, picker, self._background, self.may_close, window
        )
        self.opening.opened.connect(self.tick)
        self._offers = SessionOffers(
            viewer,
            self._saving,
            panel.offers,
            controller.notices,
            self._background,
            self.open,
            self.show_list,
        )
        self._list: SessionList | None = None
        menu = panel.menu
        menu.open_session_action.triggered.connect(self.ask_open)
        menu.save_session_as_action.triggered.connect(self.ask_save_as)
        menu.sessions_action.triggered.connect(self.show_list)
        menu.open_session_action.setEnabled(True)
        menu.sessions_action.setEnabled(True)
        self._saving.failed.connect(self._on_failed)
        self._saving.recovered.connect(self._on_recovered)
        self._saving.image_differs.connect(self._on_image_differs)
        self._timer = QTimer(self)
        self._timer.setInterval(_TICK_MS)
        self._timer.timeout.connect(self.tick)
        self._timer.start()
        self.tick()

    def close(self) -> None:
        """Save what is shown, and release everything; the session stays open with the viewer."""
        self.tick()
        self._background.close()
        self._timer.stop()
        self._saving.failed.disconnect(self._on_failed)
        self._saving.recovered.disconnect(self._on_recovered)
        self._saving.image_differs.disconnect(self._on_image_differs)

    # --- what is saved -------------------------------------------------------------------

    def tick(self) -> None:
        """Save names and view, and show when the last change was saved."""
        saving, chosen = self._saving, self._controller.chosen
        if saving.failure and saving.file is None:
            self._controller.recorder.save()  # it could not be made at the last stroke
        file, failure = saving.file, saving.failure
        self._panel.menu.save_session_as_action.setEnabled(file is not None or bool(failure))
        if file is None:
            self._panel.set_saved(failure, warning=bool(failure))
            return
        self._offers.withdraw()
        image, annotation = chosen.image, chosen.fitting
        if image is not None and annotation is not None:
            view = view_state.view_state(self._viewer, image, annotation)
            view["channels"] = view_state.channel_states(chosen.layers)
            view["hidden"] = sorted(self._controller.classes.hidden)
            saving.show(image, chosen.channels, annotation, view)
        text = failure or texts.saved(file.last_saved, file.pending, time())
        self._panel.set_saved(text, warning=bool(failure))
        self._panel.saved_label.setToolTip(plain_tooltip(texts.saved_tooltip(file.path)))

    def may_close(self) -> bool:
        """Whether the session may close: asks only if something would be lost."""
        file = self._saving.file
        # a disk that does not answer is no failure yet
        if not self._saving.at_risk and (file is None or file.flush(_PATIENCE_S)):
            return True
        pending = self._controller.recorder.document.number if file is None else file.pending
        box = QMessageBox(self._window)
        box.setObjectName("saving_fails_question")
        box.setIcon(QMessageBox.Icon.Warning)
        box.setWindowTitle(texts.SAVING_FAILS_TITLE)
        box.setText(texts.saving_fails(pending))
        buttons = QMessageBox.StandardButton
        box.setStandardButtons(buttons.Save | buttons.Discard | buttons.Cancel)
        box.setDefaultButton(buttons.Save)
        answer = box.exec()
        if answer == buttons.Save:
            self.ask_save_as()
            return not self._saving.at_risk
        return bool(answer == buttons.Discard)

    def _on_failed(self, text: str) -> None:
        self._background.soon(lambda: self._show_failure(text))

    def _on_recovered(self) -> None:
        self._background.soon(lambda: self._show_failure(""))

    def _show_failure(self, text: str) -> None:
        if text:
            self._controller.notices.warn(text)
        else:
            self._controller.notices.info(texts.SAVED_AGAIN)
        self.tick()

    def _on_image_differs(self, name: str) -> None:
        self._background.soon(lambda: self._controller.notices.warn(texts.image_differs(name)))

    def offer(self) -> None:
        """Offer what napari's last end left behind; looks for it on another thread."""
        self._offers.offer()

    # --- opening -------------------------------------------------------------------------

    def ask_open(self) -> None:
        """Ask for a session file, then open it."""
        path, _ = QFileDialog.getOpenFileName(self._window, "Open session", "", SESSION_FILTER)
        if path:
            self.open(Path(path))

    def open(self, path: Path) -> None:
        """Open a session: its layers, classes, networks and view. The present one is closed."""
        self.opening.open(path)

    # --- files ---------------------------------------------------------------------------

    def ask_save_as(self) -> None:
        """Ask for a path, then save there from now on."""
        file = self._saving.file
        if file is None and not self._saving.at_risk:
            self._controller.notices.info(texts.NOTHING_TO_SAVE)
            return
        name = "" if file is None else file.path.name
        text, _ = QFileDialog.getSaveFileName(self._window, "Save session as", name, SESSION_FILTER)
        if text:
            path = Path(text)
            named = path if path.suffix == SUFFIX else path.with_name(path.name + SUFFIX)
            self.save_as(named, overwrite=named == path)  # the dialog has asked

    def save_as(self, path: Path, *, overwrite: bool = False) -> None:
        """Save in another file from now on; replace one that is there only if `overwrite`."""
        file = self._saving.file
        if file is None:
            if not self._saving.at_risk:
                self._controller.notices.info(texts.NOTHING_TO_SAVE)
                return
            self._saving.make_at(path)
            self._controller.recorder.save()
            self.tick()
            return

        def work() -> Callable[[], None]:
            file.move(path, overwrite=overwrite)
            return lambda: self._moved(path)

        self._background.run(work)

    def _moved(self, path: Path) -> None:
        self._controller.notices.info(texts.moved(path))
        self.tick()

    def show_list(self) -> None:
        """Show all sessions: open or delete them. Some may be on a slow disk."""

        def work() -> Callable[[], None]:
            found = summaries()
            return lambda: self._fill_list(found)

        self._background.run(work)

    def _fill_list(self, found: list[SessionSummary]) -> None:
        if self._list is None:
            self._list = SessionList(self._window)
            self._list.open_wanted.connect(self.open)
            self._list.failed.connect(self._controller.notices.error)
        self._list.fill(found)
        self._list.show()
        self._list.raise_()
