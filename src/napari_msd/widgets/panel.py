"""The panel: its widgets, their order and their texts. It contains no logic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import (
    QComboBox,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_msd.core.settings import DEVICE_CHOICES, PRESETS
from napari_msd.widgets.class_list import ClassList
from napari_msd.widgets.keys import is_typed
from napari_msd.widgets.live_button import LiveButton
from napari_msd.widgets.plain_text import plain_action, shortened
from napari_msd.widgets.plots import LossPlot
from napari_msd.widgets.status import StatusLabel
from napari_msd.widgets.texts import TOOLTIPS, continue_from, tooltip
from napari_msd.widgets.theme import Palette, icon

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_msd.session.classes import ClassTable


class Panel(QScrollArea):
    """All controls of the dock, in one column that scrolls when the window is low."""

    def __init__(self, table: ClassTable, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)

        self.image_combo = _layer_combo("image_combo")
        self.annotation_combo = _layer_combo("annotation_combo")
        self.new_annotation_button = _icon_button("new_annotation_button")
        self.image_text = QLabel()
        self.image_text.setObjectName("image_text")
        self.image_text.setWordWrap(True)
        self.continue_button = _button("continue_button", "")
        # a long name must not widen the dock
        self.continue_button.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.continue_button.setVisible(False)

        self.class_list = ClassList(table)
        self.add_class_button = _icon_button("add_class_button")
        self.remove_class_button = _icon_button("remove_class_button")
        self.merge_class_button = _button("merge_class_button", "Merge …")

        self.preset_combo = _combo("preset_combo", tuple(PRESETS))
        self.device_combo = _combo("device_combo", DEVICE_CHOICES)

        self.live_button = LiveButton()
        self.live_button.setToolTip(TOOLTIPS["live_button"])
        self.update_once_button = _button("update_once_button", "Update once")
        self.stop_button = _button("stop_button", "Stop")
        self.predict_all_button = _button("predict_all_button", "Predict all")
        self.show_me_button = _button("show_me_button", "Show me")
        self.uncertainty_button = _button("uncertainty_button", "Uncertainty")
        self.uncertainty_button.setCheckable(True)
        self.history_button = _button("history_button", "History …")
        self.loss_plot = LossPlot()
        self.status_label = StatusLabel()
        self.progress_bar = QProgressBar()
        self.progress_bar.setObjectName("progress_bar")
        self.progress_bar.setRange(0, 100)
        self.progress_bar.setValue(0)
        self.progress_bar.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.progress_bar.setFormat("")
        self.progress_bar.setFixedHeight(14)

        self.start_over_button = _button("start_over_button", "Start over")
        self.copy_button = _button("copy_button", "Copy to layer")
        self.export_button = _button("export_button", "Export labels …")
        self.save_model_button = _button("save_model_button", "Save model …")
        self.load_model_button = _button("load_model_button", "Start from …")
        self._compose()

    def sizeHint(self) -> QSize:  # noqa: N802  (Qt's name)
        """320 px wide, and as tall as the content."""
        return QSize(320, self.widget().sizeHint().height())

    def minimumSizeHint(self) -> QSize:  # noqa: N802  (Qt's name)
        """Low windows scroll."""
        return QSize(280, 200)

    def set_reasons(self, reasons: Mapping[str, str]) -> None:
        """Enable buttons, or disable them and show the reason in their tooltips.

        `reasons` maps a button's name to a sentence, empty if the button is enabled.
        """
        for name, reason in reasons.items():
            button = self.findChild(QPushButton, name)
            button.setEnabled(not reason)
            button.setToolTip(tooltip(name, reason))

    def offer_to_continue(self, source: str) -> None:
        """Offer to continue from the network of another image; empty: hide the offer."""
        text = continue_from(shortened(source, 16)) if source else ""
        self.continue_button.setText(plain_action(text))
        self.continue_button.setVisible(bool(source))

    def set_palette(self, colors: Palette) -> None:
        """Follow napari's theme where its stylesheet does not reach."""
        self.live_button.set_palette(colors)
        self.loss_plot.set_palette(colors)
        self.status_label.set_palette(colors)
        self.class_list.palette_now = colors
        self.class_list.viewport().update()
        for button, name in (
            (self.new_annotation_button, "plus"),
            (self.add_class_button, "plus"),
            (self.remove_class_button, "minus"),
        ):
            button.setIcon(icon(name, colors))
        self.image_text.setStyleSheet(f"color: {colors.muted};")
        for heading in self.findChildren(QLabel, "msd_heading"):
            heading.setStyleSheet(f"color: {colors.muted}; font-weight: bold;")
        self.class_list.setStyleSheet(
            f"QListWidget {{ background: {colors.foreground}; border-radius: 4px; padding: 1px; }}"
            f"QLineEdit {{ background: {colors.background}; color: {colors.text};"
            f" border: 1px solid {colors.current}; padding: 0 2px; }}"
        )
        self.progress_bar.setStyleSheet(
            f"QProgressBar {{ background: {colors.foreground}; color: {colors.text};"
            " border: none; border-radius: 3px; text-align: center; }"
            f"QProgressBar::chunk {{ background: {colors.current}; border-radius: 3px; }}"
        )
        self.uncertainty_button.setStyleSheet(
            f"QPushButton:checked {{ background: {colors.current}; }}"
        )

    # --- composition ---------------------------------------------------------------------

    def _compose(self) -> None:
        column = QVBoxLayout()
        column.setContentsMargins(8, 4, 8, 6)
        column.setSpacing(5)

        layers = QGridLayout()
        layers.setHorizontalSpacing(6)
        layers.setVerticalSpacing(2)
        layers.setColumnStretch(1, 1)
        layers.addWidget(QLabel("Image"), 0, 0)
        layers.addWidget(self.image_combo, 0, 1, 1, 2)
        layers.addWidget(self.image_text, 1, 1, 1, 2)
        layers.addWidget(self.continue_button, 2, 0, 1, 3)
        layers.addWidget(QLabel("Annotation"), 3, 0)
        layers.addWidget(self.annotation_combo, 3, 1)
        layers.addWidget(self.new_annotation_button, 3, 2)
        column.addLayout(layers)

        column.addLayout(
            _row(
                _heading("Classes"),
                None,
                self.merge_class_button,
                self.remove_class_button,
                self.add_class_button,
            )
        )
        column.addWidget(self.class_list)

        column.addLayout(
            _row(QLabel("Preset"), self.preset_combo, QLabel("Device"), self.device_combo)
        )
        column.addWidget(self.live_button)
        column.addLayout(_row(self.update_once_button, self.stop_button, self.predict_all_button))
        column.addLayout(_row(self.show_me_button, self.uncertainty_button, self.history_button))
        column.addWidget(self.status_label)
        column.addWidget(self.loss_plot)
        column.addWidget(self.progress_bar)
        column.addWidget(_line())
        column.addLayout(_row(self.export_button, self.copy_button))
        column.addLayout(
            _row(self.save_model_button, self.load_model_button, self.start_over_button)
        )
        column.addStretch(1)

        inner = QWidget()
        inner.setLayout(column)
        self.setWidget(inner)


def _heading(text: str) -> QLabel:
    label = QLabel(text)
    label.setObjectName("msd_heading")
    return label


def _line() -> QFrame:
    line = QFrame()
    line.setFrameShape(QFrame.Shape.HLine)
    line.setFixedHeight(1)
    return line


def _row(*widgets: QWidget | None) -> Any:
    """Widgets side by side; ``None`` is stretch, buttons and combos share the width."""
    row = QHBoxLayout()
    row.setContentsMargins(0, 0, 0, 0)
    row.setSpacing(4)
    alone = None in widgets
    for widget in widgets:
        if widget is None:
            row.addStretch(1)
        else:
            wide = isinstance(widget, QPushButton | QComboBox) and not alone
            row.addWidget(widget, 1 if wide else 0)
    return row


class _Combo(QComboBox):
    """A combo that leaves the mouse wheel to the dock, and letters and digits to the viewer.

    So neither scrolling over it nor a key meant for the image changes the network.
    """

    def wheelEvent(self, event: Any) -> None:  # noqa: N802  (Qt's name)
        event.ignore()

    def keyPressEvent(self, event: Any) -> None:  # noqa: N802  (Qt's name)
        if is_typed(event):
            event.ignore()
        else:
            super().keyPressEvent(event)


def _combo(name: str, items: tuple[str, ...]) -> QComboBox:
    combo = _Combo()
    combo.setObjectName(name)
    combo.addItems(items)
    combo.setToolTip(TOOLTIPS[name])
    combo.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    combo.setMinimumWidth(60)
    return combo


def _layer_combo(name: str) -> QComboBox:
    combo = _combo(name, ())
    # a long layer name must not widen the dock
    combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    return combo


def _button(name: str, text: str) -> QPushButton:
    button = QPushButton(text)
    button.setObjectName(name)
    button.setToolTip(TOOLTIPS[name])
    return button


def _icon_button(name: str) -> QPushButton:
    button = _button(name, "")
    button.setAccessibleName(TOOLTIPS[name])
    button.setFixedSize(26, 24)
    button.setIconSize(QSize(12, 12))
    return button
