"""A bar that offers to do something, with one to three buttons; hidden while there is no offer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFrame, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_msd.widgets.parts import SPACING, icon_button
from napari_msd.widgets.plain_text import plain_action
from napari_msd.widgets.wrapped_label import WrappedLabel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_msd.widgets.theme import Palette


@dataclass(frozen=True)
class _Offer:
    text: str
    actions: tuple[tuple[str, Callable[[], None]], ...]

    @property
    def words(self) -> tuple[str, ...]:
        """All that is read of it."""
        return self.text, *(name for name, _ in self.actions)


class OfferBar(QFrame):
    """Shows one offer at a time: the newest.

    Pressing one of its buttons, or the cross, removes the offer. The bar never takes the keyboard
    focus from what the person is doing.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("offer_bar")
        self._offers: dict[str, _Offer] = {}
        self._refused: dict[str, str] = {}
        """Text of the offers that were closed with the cross, by key."""
        self._shown: tuple[str, tuple[str, ...]] | None = None
        self._label = WrappedLabel()
        self._label.setObjectName("offer_text")
        self._close = icon_button("close_offer_button", "✕")
        self._close.setFixedSize(20, 20)
        self._close.clicked.connect(self._on_close)
        self._close.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        top = QHBoxLayout()
        top.setSpacing(SPACING)
        top.addWidget(self._label, 1)
        top.addWidget(self._close, 0, Qt.AlignmentFlag.AlignTop)
        self._buttons = QHBoxLayout()
        self._buttons.setSpacing(SPACING)
        column = QVBoxLayout(self)
        column.setContentsMargins(6, 3, 4, 4)
        column.setSpacing(SPACING)
        column.addLayout(top)
        column.addLayout(self._buttons)
        self.setVisible(False)

    def show_offer(
        self, key: str, text: str, actions: Sequence[tuple[str, Callable[[], None]]]
    ) -> None:
        """Offer something; an offer with the same key is replaced in place.

        Parameters
        ----------
        key
            Name of the offer, for `withdraw`.
        text
            What is offered, in one or two sentences; shown as plain text.
        actions
            Text and function of each button, at most three.

        Notes
        -----
        After the person has closed an offer with the cross, the same text is not offered again
        under this key, until `withdraw` was called for it.
        """
        if self._refused.get(key) == text:
            return
        self._offers[key] = _Offer(text, tuple(actions)[:3])
        self._render()

    def withdraw(self, key: str) -> None:
        """Remove an offer, because it no longer applies; one that is unknown is ignored."""
        self._refused.pop(key, None)
        if self._offers.pop(key, None) is not None:
            self._render()

    @property
    def key(self) -> str:
        """Key of the offer that is shown; empty for none."""
        return next(reversed(self._offers), "")

    @property
    def text(self) -> str:
        """Text of the offer that is shown; empty for none."""
        offer = self._offers.get(self.key)
        return offer.text if offer is not None else ""

    @property
    def buttons(self) -> list[QPushButton]:
        """The buttons of the offer that is shown, without the cross."""
        items = (self._buttons.itemAt(i) for i in range(self._buttons.count()))
        found = (item.widget() for item in items if item is not None)
        return [widget for widget in found if isinstance(widget, QPushButton)]

    def set_palette(self, colors: Palette) -> None:
        """Follow napari's theme."""
        self.setStyleSheet(
            f"QFrame#offer_bar {{ background: {colors.foreground}; border-radius: 4px;"
            f" border: 1px solid {colors.current}; }}"
            "QLabel { background: transparent; }"
            "QPushButton#close_offer_button { background: transparent; padding: 0; }"
            f"QPushButton#close_offer_button:hover {{ background: {colors.highlight}; }}"
        )

    # --- the newest one ------------------------------------------------------------------

    def _render(self) -> None:
        """Show the newest offer; buttons are made anew only if its words changed."""
        key = self.key
        words = (key, self._offers[key].words) if key else None
        if words == self._shown:
            return
        self._shown = words
        while self._buttons.count():
            item = self._buttons.takeAt(0)
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()  # it may be the one that was pressed
        if key:
            offer = self._offers[key]
            self._label.setText(offer.text)
            for index, (name, _) in enumerate(offer.actions):
                made = QPushButton(plain_action(name))
                made.setObjectName(f"offer_{key}_{index}")
                made.setFocusPolicy(Qt.FocusPolicy.TabFocus)
                made.clicked.connect(partial(self._on_pressed, key, index))
                self._buttons.addWidget(made, 1)
        self.setVisible(bool(key))

    def _on_pressed(self, key: str, index: int, checked: bool = False) -> None:
        offer = self._offers.pop(key, None)
        self._render()
        if offer is not None:
            offer.actions[index][1]()

    def _on_close(self) -> None:
        key, text = self.key, self.text
        self._offers.pop(key, None)
        self._refused[key] = text
        self._render()
