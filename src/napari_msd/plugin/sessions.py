"""Saved sessions in the window: opening, restoring, saving elsewhere, and when it was saved."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from threading import Thread
from time import time
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer, Signal
from qtpy.QtWidgets import QFileDialog, QMessageBox, QWidget

from napari_msd.core.errors import MSDError
from napari_msd.plugin import session_texts as texts
from napari_msd.plugin.session_list import SessionList
from napari_msd.session.restoring import restore_choices, restore_networks
from napari_msd.storage import SUFFIX, SessionFile, interrupted, summaries
from napari_msd.viewer import layers, restore, view_state
from napari_msd.widgets.plain_text import plain_tooltip, shortened

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_msd.plugin.layer_picker import LayerPicker
    from napari_msd.session.controller import Controller
    from napari_msd.storage import SavedImage, SessionContent, SessionSummary
    from napari_msd.widgets.panel import Panel

_log = logging.getLogger(__name__)

SESSION_FILTER = f"MS-D session (*{SUFFIX})"
_TICK_MS = 1000
_PATIENCE_S = 1.5
"""Seconds to wait for the disk before asking whether to close."""
_OLD_S = 90 * 86400
_MANY_OLD, _MUCH_OLD = 20, 200 << 20
"""Number and bytes of old sessions from which cleaning up is offered."""


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

    opened = Signal()
    """A session was opened: preset and device may have changed."""

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
        self._panel, self._picker, self._window = panel, picker, window
        self._call_soon = call_soon
        self._saving = controller.memory.saving
        self._asked: list[str] = []
        """Keys of the offers to find an image of the open session."""
        self._closed = False
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
        self._closed = True
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
        image, annotation = chosen.image, chosen.fitting
        if image is not None and annotation is not None:
            view = view_state.view_state(self._viewer, image, annotation)
            view["hidden"] = sorted(self._controller.classes.hidden)
            saving.show(image, chosen.reference, annotation, view)
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
        self._soon(lambda: self._show_failure(text))

    def _on_recovered(self) -> None:
        self._soon(lambda: self._show_failure(""))

    def _show_failure(self, text: str) -> None:
        if text:
            self._controller.notices.warn(text)
        else:
            self._controller.notices.info(texts.SAVED_AGAIN)
        self.tick()

    def _on_image_differs(self, name: str) -> None:
        self._soon(lambda: self._controller.notices.warn(texts.image_differs(name)))

    # --- offers --------------------------------------------------------------------------

    def offer(self) -> None:
        """Offer what napari's last end left behind; looks for it on another thread."""
        self._in_background(self._find_offer)

    def _find_offer(self) -> Callable[[], None]:
        found, known = interrupted(), summaries()
        now = time()
        old = [s for s in known if not s.in_use and now - s.last_change > _OLD_S]
        usable = [s for s in known if not s.in_use and not s.problem and s.painted]

        def show() -> None:
            if self._saving.file is not None:
                return  # work has begun
            if found:
                self._offer_to_restore(found[0], len(found) - 1)
            elif usable and not self._viewer.layers:
                self._offer_to_go_on(usable[0])
            elif len(old) >= _MANY_OLD or sum(s.size for s in old) >= _MUCH_OLD:
                self._offer_to_clean_up(old)

        return show

    def _offer_to_restore(self, session: SessionSummary, others: int) -> None:
        offers = self._panel.offers

        def later() -> None:
            self._in_background(lambda: _close(session.path))
            self._controller.notices.info(texts.NOT_NOW)

        def now() -> None:
            self.open(session.path)

        text = texts.interrupted(session, others, time())
        offers.show_offer("restore", text, [("Restore", now), ("Not now", later)])

    def _offer_to_go_on(self, session: SessionSummary) -> None:
        offers = self._panel.offers

        def now() -> None:
            self.open(session.path)

        offers.show_offer("restore", texts.go_on(session, time()), [("Open it", now)])

    def _offer_to_clean_up(self, old: list[SessionSummary]) -> None:
        offers = self._panel.offers

        actions = [("Look", self.show_list), ("Keep all", lambda: None)]
        offers.show_offer("old", texts.old_sessions(old), actions)

    # --- opening -------------------------------------------------------------------------

    def ask_open(self) -> None:
        """Ask for a session file, then open it."""
        path, _ = QFileDialog.getOpenFileName(self._window, "Open session", "", SESSION_FILTER)
        if path:
            self.open(Path(path))

    def open(self, path: Path) -> None:
        """Open a session: its layers, classes, networks and view. The present one is closed."""
        present, notices = self._saving.file, self._controller.notices
        if present is not None and present.path.resolve() == path.resolve():
            notices.info(texts.OPEN_ALREADY)
            return
        if not self.may_close():
            return
        notices.info(texts.OPENING)

        def work() -> None:
            file, content = SessionFile.open(path)
            self._soon(lambda: self._show_or_close(file, content), file.close)

        self._in_background(work)

    def _show_or_close(self, file: SessionFile, content: SessionContent) -> None:
        """Show a session; let go of its file if that fails, so that it can be opened again."""
        try:
            self._show(file, content)
        except Exception as error:  # napari, or another plugin that follows its layers
            _log.exception("A session could not be shown")
            if self._saving.file is not file:
                file.close()
            self._controller.notices.error(texts.not_shown(file.path.stem, str(error)))

    def _show(self, file: SessionFile, content: SessionContent) -> None:
        controller, viewer = self._controller, self._viewer
        controller.notices.past.emit(texts.OPENING)
        controller.stop()
        for key in self._asked:
            self._panel.offers.withdraw(key)
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
            restore_choices(controller.memory, content)
        current = next((a for a in content.annotations if a.number == content.current), None)
        image = None if current is None else images.get(current.image)
        annotation = None if current is None else annotations.get(current.number)
        self._picker.choose(image=image, annotation=annotation)
        if annotation is not None:
            viewer.layers.selection.active = annotation
            # the viewer fits the view to new layers once more when it draws them
            QTimer.singleShot(0, lambda: view_state.show(content.view, viewer, image, annotation))
        self.opened.emit()
        controller.show_segmentation()
        text = texts.restored(shortened(file.path.stem, 40), problems)
        controller.notices.notice.emit("warning" if problems else "info", text)
        for saved, _ in missing:
            self._offer_to_find(file, saved, content, annotations)
        self.tick()

    def _image(self, saved: SavedImage) -> Any:
        found = restore.find_image(self._viewer, saved.reference)
        if found is not None:
            return found
        if restore.is_elsewhere(saved.reference.path):
            raise MSDError(saved.reference.path)  # asked for below
        return restore.open_image(self._viewer, saved.reference)

    def _offer_to_find(
        self,
        file: SessionFile,
        saved: SavedImage,
        content: SessionContent,
        annotations: dict[int, Any],
    ) -> None:
        """Ask where an image is now; its strokes are shown meanwhile."""
        offers, reference = self._panel.offers, saved.reference
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
            offers.withdraw(key)
            # another image may have taken the networks over; its empty history must not be saved
            restore_networks(
                self._controller.memory, replace(content, images=[saved]), {saved.number: image}
            )
            self._saving.found(saved.number, image)
            mine = [a for a in content.annotations if a.image == saved.number]
            for painted in mine:
                if (layer := annotations.get(painted.number)) is not None:
                    for name, value in layers.placement(image).items():
                        setattr(layer, name, value)
            shown = next(
                (a for a in mine if a.number == content.current), mine[0] if mine else None
            )
            layer = None if shown is None else annotations.get(shown.number)
            self._picker.choose(image=image, annotation=layer)

        def choose() -> None:
            path, _ = QFileDialog.getOpenFileName(
                self._window, f"Where is {shortened(reference.name, 40)}?"
            )
            if path:
                use(path)

        actions = [("Choose file …", choose), ("Without it", lambda: None)]
        text = texts.image_missing(reference.name, reference.path)
        if restore.is_elsewhere(reference.path):
            text = texts.image_elsewhere(reference.name, reference.path)
            actions.insert(0, ("Open it", lambda: use(reference.path)))
        offers.show_offer(key, text, actions)

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
            self.save_as(path if path.suffix == SUFFIX else path.with_name(path.name + SUFFIX))

    def save_as(self, path: Path) -> None:
        """Save in another file from now on."""
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
            file.move(path)
            return lambda: self._moved(path)

        self._in_background(work)

    def _moved(self, path: Path) -> None:
        self._controller.notices.info(texts.moved(path))
        self.tick()

    def show_list(self) -> None:
        """Show all sessions: open or delete them. Some may be on a slow disk."""

        def work() -> Callable[[], None]:
            found = summaries()
            return lambda: self._fill_list(found)

        self._in_background(work)

    def _fill_list(self, found: list[SessionSummary]) -> None:
        if self._list is None:
            self._list = SessionList(self._window)
            self._list.open_wanted.connect(self.open)
            self._list.failed.connect(self._controller.notices.error)
        self._list.fill(found)
        self._list.show()
        self._list.raise_()

    # --- threads -------------------------------------------------------------------------

    def _soon(
        self, function: Callable[[], object], otherwise: Callable[[], object] = lambda: None
    ) -> None:
        """Call on the Qt thread; call `otherwise` if the window is closed by then."""

        def call() -> None:
            (otherwise if self._closed else function)()

        if self._closed:
            otherwise()
        else:
            self._call_soon(call)

    def _in_background(self, work: Callable[[], Callable[[], None] | None]) -> None:
        """Run `work` on another thread, and what it returns on this one."""

        def task() -> None:
            try:
                then = work()
            except MSDError as error:
                text = str(error)
                self._soon(lambda: self._controller.notices.error(text))
                return
            if then is not None:
                self._soon(then)

        Thread(target=task, name="napari-msd-session", daemon=True).start()


def _close(path: Path) -> None:
    """Close a session properly, so that it is not offered again."""
    file, _ = SessionFile.open(path)
    file.close()
