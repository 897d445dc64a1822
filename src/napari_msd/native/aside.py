"""Compiled cores that this process uses no longer, because they computed wrongly or failed.

A core that is set aside counts as not usable (`libraries.library_status`), so the next pass runs
in plain torch. Nothing is written to disk: the next process tries the core again. No torch here.
"""

from __future__ import annotations

import logging
import threading
from typing import Literal

LibraryKind = Literal["cpu", "cuda"]

_log = logging.getLogger(__name__)
_lock = threading.Lock()
_reasons: dict[tuple[LibraryKind, int], str] = {}
_untold: list[str] = []


def set_aside(library: LibraryKind, device: int, reason: str, *, tell: bool = True) -> None:
    """Use this core on this device no longer; a second reason for the same core is only logged.

    Parameters
    ----------
    library
        ``cpu`` or ``cuda``.
    device
        Number of the GPU; ignored for the CPU core.
    reason
        What was wrong, without a full stop: images, network, how far off, the error's name. It goes
        to the log, and to the sentence that says which backend is used.
    tell
        Whether a person is told, see `take_sentences`; not where the core is right, only slow.
    """
    where = f"GPU {device}" if library == "cuda" else "this CPU"
    level = logging.WARNING if tell else logging.INFO
    _log.log(level, "The compiled %s core is set aside on %s: %s", library.upper(), where, reason)
    with _lock:
        key = _key(library, device)
        if key in _reasons:
            return
        _reasons[key] = reason
        if tell:
            _untold.append(
                f"The compiled {library.upper()} core failed on this machine and is not used: "
                "PyTorch computes in its place, which is slower, but right. Please report it; "
                "the log says what happened."
            )


def why_aside(library: LibraryKind, device: int) -> str | None:
    """Why this core is not used on this device; None: it was not set aside."""
    return _reasons.get(_key(library, device))


def number_set_aside() -> int:
    """How many cores are set aside: another number means that another backend may be in use."""
    return len(_reasons)


def take_sentences() -> list[str]:
    """For the person: a sentence for each core that was set aside since the last call."""
    with _lock:
        sentences = _untold.copy()
        _untold.clear()
    return sentences


def use_again() -> None:
    """Forget what was set aside; for tests, and after a rebuild in the same process."""
    with _lock:
        _reasons.clear()
        _untold.clear()


def _key(library: LibraryKind, device: int) -> tuple[LibraryKind, int]:
    return library, device if library == "cuda" else 0
