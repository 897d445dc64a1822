"""A label that breaks its lines and takes the height that it needs at its width."""

from __future__ import annotations

from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QResizeEvent
from qtpy.QtWidgets import QLabel, QSizePolicy, QWidget


class WrappedLabel(QLabel):
    """Plain text on as many lines as it needs, and never fewer than `lines`.

    Notes
    -----
    Qt's own way (height for width) makes a scroll area give its content the preferred height: the
    class list could not become lower in a low window. This label asks for its height anew whenever
    its width changes.
    """

    def __init__(self, text: str = "", lines: int = 1, parent: QWidget | None = None) -> None:
        super().__init__(text, parent)
        self._lines = lines
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setWordWrap(True)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def hasHeightForWidth(self) -> bool:  # noqa: N802  (Qt's name)
        """No: see above."""
        return False

    def sizeHint(self) -> QSize:  # noqa: N802  (Qt's name)
        """The height at the present width."""
        margins = self.contentsMargins()
        least = self._lines * self.fontMetrics().lineSpacing() + margins.top() + margins.bottom()
        return QSize(0, max(self.heightForWidth(max(self.width(), 60)), least))

    def minimumSizeHint(self) -> QSize:  # noqa: N802  (Qt's name)
        """All of the text is always readable."""
        return self.sizeHint()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802  (Qt's name)
        """Ask for another height at another width."""
        super().resizeEvent(event)
        if event.oldSize().width() != event.size().width():
            self.updateGeometry()
