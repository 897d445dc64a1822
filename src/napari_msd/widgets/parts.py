"""Small building blocks of the panel: buttons, combos, rows and lines."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QEvent, QSize, Qt
from qtpy.QtGui import QHelpEvent
from qtpy.QtWidgets import (
    QComboBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QSpinBox,
    QStyle,
    QStyleOptionComboBox,
    QStylePainter,
    QToolTip,
    QWidget,
)
from superqt import QElidingLabel

from napari_msd.widgets.keys import is_typed
from napari_msd.widgets.plain_text import plain_tooltip
from napari_msd.widgets.texts import TOOLTIPS

SPACING = 4
"""Pixels between widgets of one row, and between rows of one section."""


class Combo(QComboBox):
    """A combo that leaves the mouse wheel to the dock, and letters and digits to the viewer.

    So neither scrolling over it nor a key meant for the image changes the choice. A text that is
    too long for it ends in an ellipsis; the tooltip shows all of it.
    """

    def wheelEvent(self, event: Any) -> None:  # noqa: N802  (Qt's name)
        """Scroll the dock."""
        event.ignore()

    def keyPressEvent(self, event: Any) -> None:  # noqa: N802  (Qt's name)
        """Leave letters and digits to the viewer."""
        if is_typed(event):
            event.ignore()
        else:
            super().keyPressEvent(event)

    def event(self, event: QEvent) -> bool:
        """Show the whole text in the tooltip, above what the combo is for."""
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            lines = filter(None, (self.currentText(), self.toolTip()))
            QToolTip.showText(event.globalPos(), plain_tooltip("\n".join(lines)), self)
            return True
        return bool(super().event(event))

    def paintEvent(self, event: Any) -> None:  # noqa: N802  (Qt's name)
        """Draw the text with an ellipsis where a style would cut it."""
        option = QStyleOptionComboBox()
        self.initStyleOption(option)
        room = self.style().subControlRect(
            QStyle.ComplexControl.CC_ComboBox,
            option,
            QStyle.SubControl.SC_ComboBoxEditField,
            self,
        )
        option.currentText = self.fontMetrics().elidedText(
            option.currentText or self.placeholderText(),
            Qt.TextElideMode.ElideRight,
            max(room.width() - 4, 0),
        )
        painter = QStylePainter(self)
        painter.drawComplexControl(QStyle.ComplexControl.CC_ComboBox, option)
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)


def combo(name: str, items: tuple[str, ...] = ()) -> QComboBox:
    """A combo with these items, that takes the width it is given."""
    made = Combo()
    made.setObjectName(name)
    made.addItems(items)
    made.setToolTip(TOOLTIPS[name])
    made.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    made.setMinimumWidth(60)
    # a long layer name must not widen the dock
    made.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    return made


class _Spin(QSpinBox):
    """A spin box that leaves the mouse wheel to the dock."""

    def wheelEvent(self, event: Any) -> None:  # noqa: N802  (Qt's name)
        """Scroll the dock."""
        event.ignore()


def spin_box(name: str, least: int, most: int) -> QSpinBox:
    """A box for a whole number."""
    made = _Spin()
    made.setObjectName(name)
    made.setRange(least, most)
    made.setKeyboardTracking(False)
    made.setToolTip(TOOLTIPS[name])
    return made


def button(name: str, text: str = "") -> QPushButton:
    """A push button with its tooltip."""
    made = QPushButton(text)
    made.setObjectName(name)
    made.setToolTip(TOOLTIPS[name])
    return made


def icon_button(name: str, text: str = "", *, checkable: bool = False) -> QPushButton:
    """A small button for an icon (or one character) without words."""
    made = button(name, text)
    made.setAccessibleName(TOOLTIPS[name].splitlines()[0])
    made.setCheckable(checkable)
    made.setFixedSize(26, 24)
    made.setIconSize(QSize(14, 14))
    return made


def quiet_label(name: str) -> QLabel:
    """A label for secondary text; `Panel.set_palette` mutes its colour."""
    label = QLabel()
    label.setObjectName(name)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    return label


def eliding_label(name: str) -> QElidingLabel:
    """A quiet label of one line, cut with an ellipsis; `show_whole` says all of it on hover."""
    label = QElidingLabel()
    label.setObjectName(name)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    return label


def show_whole(label: QElidingLabel, text: str, tip: str = "") -> None:
    """Show a text, all of it in the tooltip, or another text there."""
    if text != label.text():
        label.setText(text)
    label.setToolTip(plain_tooltip(tip or text))


def heading(text: str) -> QLabel:
    """The name of a section."""
    label = QLabel(text)
    label.setObjectName("msd_heading")
    return label


def line() -> QFrame:
    """A line between sections."""
    made = QFrame()
    made.setObjectName("msd_line")
    made.setFixedHeight(1)
    return made


def row(*widgets: QWidget | None, stretch: tuple[int, ...] = ()) -> QHBoxLayout:
    """Widgets side by side; ``None`` is empty space that grows.

    `stretch` gives the share of each in the width; without it, buttons and combos share the width
    if there is no empty space.
    """
    layout = QHBoxLayout()
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(SPACING)
    alone = None in widgets
    for index, widget in enumerate(widgets):
        if widget is None:
            layout.addStretch(1)
            continue
        wide = isinstance(widget, QPushButton | QComboBox) and not alone
        layout.addWidget(widget, stretch[index] if stretch else int(wide))
    return layout
