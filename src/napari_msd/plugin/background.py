"""Runs work on other threads, and shows what came of it on the Qt thread."""

from __future__ import annotations

from threading import Thread
from typing import TYPE_CHECKING

from napari_msd.core.errors import MSDError

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_msd.session.notices import Notices


class Background:
    """Threads of one window; after `close` nothing of them reaches it.

    Parameters
    ----------
    call_soon
        Runs a function on the Qt thread; safe from any thread.
    notices
        Gets the sentence of an error.
    """

    def __init__(self, call_soon: Callable[[Callable[[], None]], None], notices: Notices) -> None:
        self._call_soon, self._notices = call_soon, notices
        self._closed = False

    def close(self) -> None:
        """The window is closed; threads end by themselves."""
        self._closed = True

    def soon(
        self, function: Callable[[], object], otherwise: Callable[[], object] = lambda: None
    ) -> None:
        """Call on the Qt thread; call `otherwise` if the window is closed by then."""

        def call() -> None:
            (otherwise if self._closed else function)()

        if self._closed:
            otherwise()
        else:
            self._call_soon(call)

    def run(self, work: Callable[[], Callable[[], None] | None]) -> None:
        """Run `work` on another thread, and what it returns on the Qt thread."""

        def task() -> None:
            try:
                then = work()
            except MSDError as error:
                text = str(error)
                self.soon(lambda: self._notices.error(text))
                return
            if then is not None:
                self.soon(then)

        Thread(target=task, name="napari-msd-session", daemon=True).start()
