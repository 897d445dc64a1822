"""What is to be sent to the trainer, in order, on a thread of its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator

from napari_msd.trainer.lanes import Lanes

Action = Callable[[], None]


class SendQueue:
    """A queue of actions. One that fails is reported; the next ones are done all the same.

    Parameters
    ----------
    on_error
        Called with what an action raised, on the queue's thread.
    last
        Done at the very end, after `close`.
    """

    def __init__(self, on_error: Callable[[Exception], None], last: Action) -> None:
        self._on_error = on_error
        self._last = last
        self._lanes: Lanes[Action] = Lanes()
        self._closed = False
        self._thread = threading.Thread(target=self._loop, name="trainer-sender", daemon=True)
        self._thread.start()

    def put(self, action: Action) -> None:
        """Do this after all that was put before."""
        self._lanes.put(action)

    def put_bulk(self, parts: Iterator[object]) -> None:
        """Exhaust `parts` when there is nothing else to do, one at a time, one after another."""
        self._lanes.put(lambda: self._do_part(parts), urgent=False)

    def close(self) -> None:
        """Skip what is left but for the last action."""
        self._closed = True
        self._lanes.close()

    def join(self, seconds: float) -> None:
        """Wait for so long for the end."""
        if threading.current_thread() is not self._thread:
            self._thread.join(seconds)

    def _loop(self) -> None:
        while (action := self._lanes.take()) is not None:
            self._do(action)
        self._do(self._last)

    def _do_part(self, parts: Iterator[object]) -> None:
        end = object()
        if next(parts, end) is not end:
            self._lanes.put_back(lambda: self._do_part(parts))

    def _do(self, action: Action) -> None:
        try:
            action()
        except Exception as error:
            logging.getLogger(__name__).exception("The trainer could not be reached")
            if self._closed:
                return
            try:
                self._on_error(error)
            except Exception:
                logging.getLogger(__name__).exception("Nor could that be reported")
