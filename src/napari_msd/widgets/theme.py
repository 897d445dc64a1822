"""The theme's colours where no stylesheet applies: plots, painted rows, icons."""

from __future__ import annotations

from dataclasses import dataclass

from qtpy.QtCore import Qt
from qtpy.QtGui import QIcon, QPainter, QPixmap

GOOD = "#009e73"
"""Training: the bluish green of Okabe & Ito, readable under white in both themes."""
WAITING = "#b8730a"
IDLE = "#0072b2"
LOSS_COLOR = {True: "#e69f00", False: "#b35c00"}
"""Of the loss curve, by whether the theme is dark."""
IOU_COLOR = {True: "#56b4e9", False: "#0072b2"}
"""Of the IoU curve, likewise."""
_ICON_SIZE = 48
_DISABLED_OPACITY = 0.3
"""Opacity of a disabled button's icon."""


@dataclass(frozen=True)
class Palette:
    """Colours (``#rrggbb``) of a theme."""

    id: str
    dark: bool
    background: str
    foreground: str
    primary: str
    highlight: str
    text: str
    current: str
    warning: str
    error: str

    @property
    def muted(self) -> str:
        """Colour of secondary text."""
        return "#a0a5ac" if self.dark else "#5d6268"

    @property
    def faint(self) -> str:
        """Colour of text that cannot be used now."""
        return "#6c727a" if self.dark else "#9a9ea3"

    @property
    def good_text(self) -> str:
        """Colour of text that says that all is well."""
        return "#35c79a" if self.dark else "#00714f"


def icon(name: str, colors: Palette) -> QIcon:
    """Napari's icon in the theme's colour; an empty one if napari lacks it."""
    found = QIcon(f"theme_{colors.id}:/{name}.svg")
    bright = found.pixmap(_ICON_SIZE, _ICON_SIZE)
    if bright.isNull():
        return found
    faint = QPixmap(bright.size())
    faint.setDevicePixelRatio(bright.devicePixelRatio())
    faint.fill(Qt.GlobalColor.transparent)
    painter = QPainter(faint)
    painter.setOpacity(_DISABLED_OPACITY)
    painter.drawPixmap(0, 0, bright)
    painter.end()
    made = QIcon(bright)
    made.addPixmap(faint, QIcon.Mode.Disabled)
    return made
