"""The panel: its sections in the order of work. It contains no logic and no state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import (
    QAbstractButton,
    QFrame,
    QLabel,
    QScrollArea,
    QSizePolicy,
    QSlider,
    QSpacerItem,
    QVBoxLayout,
    QWidget,
)

from napari_msd.widgets.class_section import ClassSection
from napari_msd.widgets.head import Head, StartCard
from napari_msd.widgets.live_section import LiveSection
from napari_msd.widgets.menu import Menu
from napari_msd.widgets.offers import OfferBar
from napari_msd.widgets.parts import line
from napari_msd.widgets.result_section import ResultSection
from napari_msd.widgets.slice_strip import SliceStrip
from napari_msd.widgets.texts import tooltip
from napari_msd.widgets.view_section import ViewSection

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_msd.session.classes import ClassTable
    from napari_msd.widgets.theme import Palette


class Panel(QScrollArea):
    """All controls of the dock, in one column that scrolls when the window is very low."""

    def __init__(self, table: ClassTable, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)

        self.offers = OfferBar()
        self.start_card = start = StartCard()
        self.head = head = Head()
        self.classes = classes = ClassSection(table)
        self.live = live = LiveSection()
        self.view = view = ViewSection()
        self.result = result = ResultSection()
        self.menu = menu = Menu(self)

        self.open_image_button, self.sample_button = start.open_image_button, start.sample_button
        self.image_combo, self.annotation_combo = head.image_combo, head.annotation_combo
        self.new_annotation_button, self.menu_button = head.new_annotation_button, head.menu_button
        self.image_text, self.mode_text = head.image_text, head.mode_text
        self.axes_button, self.mode_combo = head.axes_button, head.mode_combo
        self.channels_button = head.channel_choice.button
        self.paint_button, self.erase_button = classes.paint_button, classes.erase_button
        self.brush_slider = classes.brush_slider
        self.undo_button, self.redo_button = classes.undo_button, classes.redo_button
        self.class_list = classes.class_list
        self.add_class_button = classes.add_class_button
        self.remove_class_button = classes.remove_class_button
        self.merge_class_button = classes.merge_class_button
        self.live_button, self.sparkline = live.live_button, live.sparkline
        self.loss_plot, self.status_label = live.loss_plot, live.status_label
        self.show_me_button, self.next_button = live.show_me_button, live.next_button
        self.segmentation_button = view.segmentation_button
        self.uncertainty_button, self.image_button = view.uncertainty_button, view.image_button
        self.opacity_slider, self.lasso_button = view.opacity_slider, view.lasso_button
        self.coverage_label, self.saved_label = result.coverage_label, result.saved_label
        self.predict_all_button, self.stop_button = result.predict_all_button, result.stop_button
        self.export_button, self.copy_button = result.export_button, result.copy_button
        self.progress_bar = result.progress_bar
        self.context_spin = menu.context_spin
        self.preset_combo, self.device_combo = menu.preset_combo, menu.device_combo
        self.update_once_button, self.history_button = menu.update_once_button, menu.history_button
        self.save_model_button = menu.save_model_button
        self.load_model_button = menu.load_model_button
        self.start_over_button = menu.start_over_button
        self.segment_file_button = menu.segment_file_button
        self.menu_button.clicked.connect(lambda: menu.open_below(self.menu_button))
        self.slice_strip = SliceStrip()
        self._reasons: dict[str, str] = {}
        """What `set_reasons` has shown last."""
        self._compose()

    def sizeHint(self) -> QSize:  # noqa: N802  (Qt's name)
        """320 px wide, and as tall as the content."""
        return QSize(320, self.widget().sizeHint().height())

    def minimumSizeHint(self) -> QSize:  # noqa: N802  (Qt's name)
        """Low windows scroll."""
        return QSize(280, 200)

    def show_start(self, empty: bool) -> None:
        """Tell how to start if nothing is open; what needs an image leaves room for it."""
        self.start_card.setVisible(empty)
        self.head.show_annotation(not empty)
        self.classes.show_footer(not empty)
        self.view.setVisible(not empty)

    def set_saved(self, text: str, warning: bool = False) -> None:
        """Say when the session was saved ("saved 20 s ago"); empty for nothing.

        Parameters
        ----------
        text
            What to say, in a few words.
        warning
            Whether it needs the person's attention.
        """
        self.result.set_saved(text, warning=warning)

    def set_reasons(self, reasons: Mapping[str, str]) -> None:
        """Enable buttons, or disable them and show the reason in their tooltips.

        `reasons` maps a button's name to a sentence, empty if the button is enabled.
        """
        for name, reason in reasons.items():
            if self._reasons.get(name) == reason:  # this is called many times a second
                continue
            self._reasons[name] = reason
            button = self.findChild(QAbstractButton, name)
            button.setEnabled(not reason)
            button.setToolTip(tooltip(name, reason))

    def set_palette(self, colors: Palette) -> None:
        """Follow napari's theme where its stylesheet does not reach."""
        for part in (
            self.offers,
            self.start_card,
            self.head,
            self.classes,
            self.live,
            self.view,
            self.slice_strip,
            self.result,
            self.menu,
        ):
            part.set_palette(colors)
        for label in (self.image_text, self.mode_text, self.menu.device_text):
            label.setStyleSheet(f"color: {colors.muted};")
        for heading in self.widget().findChildren(QLabel, "msd_heading"):
            heading.setStyleSheet(f"color: {colors.muted}; font-weight: bold;")
        for made in self.findChildren(QFrame, "msd_line"):
            made.setStyleSheet(f"background: {colors.primary};")

    def _compose(self) -> None:
        column = QVBoxLayout()
        column.setContentsMargins(8, 2, 8, 4)
        column.setSpacing(4)
        column.addWidget(self.offers)
        column.addWidget(self.start_card)
        column.addWidget(self.head)
        column.addSpacerItem(_gap())
        column.addWidget(self.classes)
        column.addWidget(line())
        column.addWidget(self.live)
        column.addSpacerItem(_gap())
        column.addWidget(self.view)
        column.addWidget(self.slice_strip)
        column.addSpacerItem(_gap())
        column.addWidget(self.result)
        # what is free beyond the rows of the class list stays empty, at the bottom
        column.addStretch(1)
        inner = QWidget()
        inner.setLayout(column)
        self.setWidget(inner)
        # a click takes no focus: else Space, held to move the image, would press the button that
        # was clicked last
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        for control in (*self.findChildren(QAbstractButton), *self.findChildren(QSlider)):
            control.setFocusPolicy(Qt.FocusPolicy.TabFocus)


def _gap() -> QSpacerItem:
    """Space between sections, which a low window does without."""
    return QSpacerItem(0, 6, QSizePolicy.Policy.Minimum, QSizePolicy.Policy.Maximum)
