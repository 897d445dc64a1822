"""Ctrl-C during training: the first one stops it cleanly, a second one exits at once."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import FrameType, TracebackType

_SIGNALS = ("SIGINT", "SIGTERM", "SIGBREAK")
"""Ctrl-C; the signal of batch systems and `kill`; Ctrl-Break on Windows."""


class Stop:
    """A request to stop, which the training loop checks between steps.

    Use it as a context manager. A signal raises `KeyboardInterrupt` as long as `learning` is False,
    and from the second signal on.

    Attributes
    ----------
    asked
        Number of the received signal; `None` if there was none.
    learning
        Set this to True as soon as there is something to save.
    twice
        Whether there was a second signal.
    """

    def __init__(self) -> None:
        self.asked: int | None = None
        self.learning = False
        self.twice = False
        self._before: dict[int, object] = {}

    @property
    def code(self) -> int:
        """Exit code of a process that this signal ended."""
        return 128 + (self.asked or signal.SIGINT)

    def __enter__(self) -> Self:
        for name in _SIGNALS:
            number = getattr(signal, name, None)
            if number is None:
                continue
            try:
                self._before[number] = signal.signal(number, self._ask)
            except ValueError:  # not in the main thread: the caller handles signals
                break
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, before in self._before.items():
            # a handler that Python did not set cannot be restored by Python
            signal.signal(number, signal.SIG_DFL if before is None else before)  # type: ignore[arg-type]
        self._before.clear()

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.twice = self.asked is not None
        self.asked = number
        if self.twice or not self.learning:
            raise KeyboardInterrupt
