"""What is offered when the panel opens: restoring, going on, cleaning up."""

from __future__ import annotations

from time import time
from typing import TYPE_CHECKING, Any

from napari_msd.plugin import session_texts as texts
from napari_msd.storage import SessionFile, interrupted, summaries

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_msd.plugin.background import Background
    from napari_msd.session.notices import Notices
    from napari_msd.session.saving import Saving
    from napari_msd.storage import SessionSummary
    from napari_msd.widgets.offers import OfferBar

_OLD_S = 90 * 86400
_MANY_OLD, _MUCH_OLD = 20, 200 << 20
"""Number and bytes of old sessions from which cleaning up is offered."""


class SessionOffers:
    """Looks through the saved sessions, and offers what is most urgent.

    Parameters
    ----------
    viewer, saving, bar, notices, background
        Of the window.
    open_session, show_list
        Carry out what is offered.
    """

    def __init__(
        self,
        viewer: Any,
        saving: Saving,
        bar: OfferBar,
        notices: Notices,
        background: Background,
        open_session: Callable[[Path], None],
        show_list: Callable[[], None],
    ) -> None:
        self._viewer, self._saving, self._bar = viewer, saving, bar
        self._notices, self._background = notices, background
        self._open, self._show_list = open_session, show_list

    def offer(self) -> None:
        """Offer what napari's last end left behind; looks for it on another thread."""
        self._background.run(self._find_offer)

    def withdraw(self) -> None:
        """Other work has begun."""
        for key in ("restore", "old"):
            self._bar.withdraw(key)

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
        def later() -> None:
            self._background.run(lambda: _close(session.path))
            self._notices.info(texts.NOT_NOW)

        def now() -> None:
            self._open(session.path)

        text = texts.interrupted(session, others, time())
        self._bar.show_offer("restore", text, [("Restore", now), ("Not now", later)])

    def _offer_to_go_on(self, session: SessionSummary) -> None:
        def now() -> None:
            self._open(session.path)

        self._bar.show_offer("restore", texts.go_on(session, time()), [("Open it", now)])

    def _offer_to_clean_up(self, old: list[SessionSummary]) -> None:
        actions = [("Look", self._show_list), ("Keep all", lambda: None)]
        self._bar.show_offer("old", texts.old_sessions(old), actions)


def _close(path: Path) -> None:
    """Close a session properly, so that it is not offered again."""
    file, _ = SessionFile.open(path)
    file.close()
