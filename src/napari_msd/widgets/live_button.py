"""The Live switch: large enough to show at a glance whether the network is training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import QPushButton, QSizePolicy, QWidget

from napari_msd.session.work_state import LiveState
from napari_msd.widgets.texts import LIVE_TEXTS
from napari_msd.widgets.theme import GOOD, IDLE, WAITING

if TYPE_CHECKING:
    from napari_msd.widgets.theme import Palette


_FILL = {
    LiveState.STARTING: WAITING,
    LiveState.WAITING: WAITING,
    LiveState.TRAINING: GOOD,
    LiveState.IDLE: IDLE,
    LiveState.PAUSED: IDLE,
    LiveState.STOPPING: WAITING,
}


class LiveButton(QPushButton):
    """A checkable button; while on, the network trains and the segmentation is updated."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("live_button")
        self.setCheckable(True)
        self.setAccessibleName("Live")
        self.setMinimumHeight(42)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self._palette: Palette | None = None
        self._state = LiveState.OFF
        self.set_state(LiveState.OFF)

    @property
    def state(self) -> LiveState:
        """The state it shows now."""
        return self._state

    def set_state(self, state: LiveState, speed: str = "") -> None:
        """Show a state; while training, with the speed."""
        self._state = state
        mark = "○" if state in (LiveState.OFF, LiveState.STOPPING) else "●"
        words = LIVE_TEXTS[state]
        if speed and state is LiveState.TRAINING:
            words += f" · {speed}"
        self.setText(f"{mark}  LIVE\n{words}")
        self.setProperty("live_state", state.name.lower())
        self._restyle()

    def set_palette(self, colors: Palette) -> None:
        """Follow napari's theme."""
        self._palette = colors
        self._restyle()

    def sizeHint(self) -> QSize:  # noqa: N802  (Qt's name)
        """Large enough to be seen first."""
        return QSize(180, 42)

    def _restyle(self) -> None:
        if self._palette is None:
            return
        p, fill = self._palette, _FILL.get(self._state)
        frame = fill or p.current
        hover = p.highlight if fill is None else fill
        style = (
            f"QPushButton {{ background: {fill or p.primary}; color: {'white' if fill else p.text};"
            f" border: 2px solid {frame}; border-radius: 6px; font-weight: bold; padding: 2px; }}"
            f"QPushButton:hover {{ background: {hover}; border-color: {p.text}; }}"
            f"QPushButton:disabled {{ background: {p.foreground}; color: {p.muted};"
            f" border-color: {p.primary}; }}"
        )
        if style != self.styleSheet():  # the speed changes often, the colours do not
            self.setStyleSheet(style)
