"""Ctrl-C while training: the first one ends it well, a second one ends it at once."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import FrameType, TracebackType

_SIGNALS = ("SIGINT", "SIGTERM", "SIGBREAK")
"""Ctrl-C; what a batch system or `kill` sends; Ctrl-Break of Windows."""


class Stop:
    """Somebody's wish to end, seen by whoever asks for it between two steps.

    Used as a context. As long as nothing is `learning`, and from the second signal on, a
    signal raises `KeyboardInterrupt`.

    Attributes
    ----------
    asked
        Number of the signal that came; `None` if none did.
    learning
        Set this as soon as there is something to keep.
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
        """Exit code of a process that was ended by that signal."""
        return 128 + (self.asked or signal.SIGINT)

    def __enter__(self) -> Self:
        for name in _SIGNALS:
            number = getattr(signal, name, None)
            if number is None:
                continue
            try:
                self._before[number] = signal.signal(number, self._ask)
            except ValueError:  # not in the main thread: whoever runs us there decides
                break
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, before in self._before.items():
            # one that Python did not set cannot be set by it again
            signal.signal(number, signal.SIG_DFL if before is None else before)  # type: ignore[arg-type]
        self._before.clear()

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.twice = self.asked is not None
        self.asked = number
        if self.twice or not self.learning:
            raise KeyboardInterrupt
