"""The menu that says what each axis before Y and X is, and corrects it."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Signal
from qtpy.QtGui import QAction, QActionGroup
from qtpy.QtWidgets import QMenu, QWidget

ROLES = {"Z": "Slices (Z)", "T": "Frames (T)", "C": "Channels (C)", "Q": "Other"}
"""What an axis can be, by its letter."""


class AxesMenu(QMenu):
    """One group of choices for each axis; `chosen` carries the axis and its new letter."""

    chosen = Signal(int, str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("axes_menu")
        self._shown: tuple[str, tuple[int, ...], bool] = ("", (), True)
        self._groups: list[QActionGroup] = []

    def show_axes(self, letters: str, lengths: Sequence[int], *, said: bool) -> None:
        """Show the axes before Y and X.

        Parameters
        ----------
        letters
            One of `ROLES` per axis; others count as "other".
        lengths
            Of these axes.
        said
            Whether somebody says so; else nothing is ticked.
        """
        wanted = letters, tuple(lengths), said
        if wanted == self._shown:
            return
        self._shown = wanted
        self.clear()
        for group in self._groups:
            group.deleteLater()
        self._groups = []
        for axis, (letter, length) in enumerate(zip(letters, lengths, strict=True)):
            which = "The axis" if len(lengths) == 1 else f"Axis {axis + 1}"
            if axis:
                self.addSeparator()
            title = self.addAction(f"{which} of {length} holds")
            title.setEnabled(False)
            group = QActionGroup(self)
            for role, text in ROLES.items():
                action = QAction(text, group)
                action.setCheckable(True)
                here = letter if letter in ROLES else "Q"
                action.setChecked(said and role == here)
                action.triggered.connect(lambda _, a=axis, r=role: self.chosen.emit(a, r))
                self.addAction(action)
            self._groups.append(group)

    def choice(self, axis: int, letter: str) -> QAction:
        """The entry that says that an axis is this."""
        action: QAction = self._groups[axis].actions()[list(ROLES).index(letter)]
        return action
