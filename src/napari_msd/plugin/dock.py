"""The widget that napari puts into a dock.

It contains the viewer's only `SessionWindow`. If it is opened a second time on the same viewer, it
reports that the session is open and offers to move it here. So an annotation never has two
trainers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from qtpy.QtCore import QEvent, QObject, QSize, Qt, QTimer
from qtpy.QtGui import QCloseEvent, QShowEvent
from qtpy.QtWidgets import (
    QApplication,
    QDockWidget,
    QLabel,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_msd.core.logs import start_log
from napari_msd.plugin import texts
from napari_msd.plugin.window import SessionWindow
from napari_msd.viewer.viewer_memory import close_session, unwrapped

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_open: WeakSet[MSDSegmentationWidget] = WeakSet()


class MSDSegmentationWidget(QWidget):
    """The plugin's widget: train a Mixed-Scale Dense network on painted strokes.

    Parameters
    ----------
    napari_viewer
        The viewer to use.
    make_client
        Makes the trainer's client; set only by tests.
    """

    def __init__(
        self, napari_viewer: Any, *, make_client: Callable[..., Any] | None = None
    ) -> None:
        super().__init__()
        self.setObjectName("msd_segmentation")
        start_log()
        self.viewer = napari_viewer
        self._make_client = make_client
        self.session: SessionWindow | None = None
        self._notice: QWidget | None = None
        self._window: QWidget | None = None
        self._docked = self._closed = False
        # napari then adds no stretch below the widget
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        QApplication.instance().aboutToQuit.connect(self._end_with_viewer)
        self._begin()

    def sizeHint(self) -> QSize:  # noqa: N802  (Qt's name)
        """Narrow, and as tall as the window allows."""
        return QSize(330, 640)

    # --- one session per viewer ------------------------------------------------------------

    def _begin(self) -> None:
        self._closed = False
        holder = self._holder()
        if holder is None:
            self._host(SessionWindow(self.viewer, self._make_client))
        else:
            self._show_elsewhere()
        _open.add(self)

    @staticmethod
    def of(viewer: Any) -> MSDSegmentationWidget | None:
        """The widget that contains a viewer's session; ``None`` if there is none."""
        mine = unwrapped(viewer)
        for widget in _open:
            if widget.session is not None and unwrapped(widget.viewer) is mine:
                return widget
        return None

    def open_session(self, path: Path) -> None:
        """Open a saved session."""
        if self.session is not None:
            self.session.sessions.open(path)

    def _holder(self) -> MSDSegmentationWidget | None:
        return self.of(self.viewer)

    def _host(self, session: SessionWindow) -> None:
        if self._notice is not None:
            self._layout.removeWidget(self._notice)
            self._notice.deleteLater()
            self._notice = None
        self.session = session
        self._layout.addWidget(session)
        session.show()

    def _show_elsewhere(self) -> None:
        self._notice = QWidget(self)
        text = QLabel(texts.ALREADY_OPEN)
        text.setObjectName("status_label")
        text.setWordWrap(True)
        text.setAlignment(Qt.AlignmentFlag.AlignCenter)
        button = QPushButton("Move it here")
        button.setObjectName("move_here_button")
        button.clicked.connect(self.move_here)
        layout = QVBoxLayout(self._notice)
        layout.addStretch(1)
        layout.addWidget(text)
        layout.addWidget(button, 0, Qt.AlignmentFlag.AlignHCenter)
        layout.addStretch(1)
        self._layout.addWidget(self._notice)

    def move_here(self) -> None:
        """Move this viewer's session, with everything that runs, into this widget."""
        holder = self._holder()
        if holder is self:
            return
        if holder is None:
            self._host(SessionWindow(self.viewer, self._make_client))
            return
        session, holder.session = holder.session, None
        assert session is not None  # a holder has one
        self._host(session)
        holder._show_elsewhere()

    # --- closing -----------------------------------------------------------------------------

    def end(self) -> None:
        """Close the session: end the trainer, release keys and connections."""
        if self._closed:
            return
        self._closed = True
        _open.discard(self)
        session, self.session = self.session, None
        if session is not None:
            session.end()
            session.setParent(None)
            session.deleteLater()

    def _end_with_viewer(self) -> None:
        """Close the session for good: a new start of napari need not offer it."""
        holder = self._holder()
        if holder is not None:  # its last strokes are saved first
            holder.end()
        self.end()
        close_session(self.viewer)

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802  (Qt's name)
        """Close the session with a floating window."""
        self.end()
        super().closeEvent(event)

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802  (Qt's name)
        """Start a session again if the dock was closed before."""
        if self._closed:
            self._begin()
        window = self.window()
        if window is not self._window:
            if self._window is not None:
                self._window.removeEventFilter(self)
            self._window = window
            if window is not self:
                window.installEventFilter(self)
        super().showEvent(event)

    def event(self, event: QEvent) -> bool:
        """End the session when napari closes the dock by taking the widget out."""
        if event.type() == QEvent.Type.ParentChange:
            if self.parent() is not None:
                self._docked = True
            elif self._docked:
                self._docked = False
                # a widget that is moving to another dock has a parent again by then
                QTimer.singleShot(0, self._end_if_alone)
        return bool(super().event(event))

    def _end_if_alone(self) -> None:
        if self.parent() is None and not self.isVisible():
            self.end()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802  (Qt's name)
        """Ask before the viewer's window closes if something would be lost, and end with it."""
        if watched is self._window:
            if event.type() == QEvent.Type.Close and not self._may_close():
                event.ignore()
                return True
            if event.type() == QEvent.Type.DeferredDelete:
                if isinstance(watched, QDockWidget):  # floats: the viewer's window stays
                    self.end()
                else:
                    self._end_with_viewer()
        return False

    def _may_close(self) -> bool:
        return self.session is None or self.session.sessions.may_close()
