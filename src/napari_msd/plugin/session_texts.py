"""Sentences about saved sessions."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from napari_msd.core.number_text import grouped
from napari_msd.widgets.plain_text import shortened

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_msd.storage import SessionSummary

NOTHING_TO_SAVE = "There is nothing to save yet: saving begins with the first stroke."
OPEN_ALREADY = "This session is open here already."
OPENING = "Opening the session …"
SAVED_AGAIN = "Everything is saved again."
NOT_NOW = "The session was kept: ⋯ > Sessions opens it."
SAVING_FAILS_TITLE = "The session is not saved"

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_MAX_NAMES = 3
_NAME, _PLACE = 40, 200
"""Most characters of names and paths: those of a file may be as long as a book."""


def ago(when: float, now: float) -> str:
    """How long ago a moment was, both in seconds since 1970: "20 s ago", "yesterday 17:30"."""
    seconds = max(0.0, now - when)
    if seconds < 5:
        return "just now"
    if seconds < _MINUTE:
        return f"{seconds:.0f} s ago"
    if seconds < _HOUR:
        return f"{seconds // _MINUTE:.0f} min ago"
    moment, today = datetime.fromtimestamp(when), datetime.fromtimestamp(now)
    if moment.date() == today.date():
        return f"at {moment:%H:%M}"
    days = (today.date() - moment.date()).days
    return f"yesterday {moment:%H:%M}" if days == 1 else f"{moment:%Y-%m-%d}"


def saved(when: float | None, pending: int, now: float) -> str:
    """Line below the results: when the last change was saved; empty before the first stroke."""
    if when is None:
        return "saving …" if pending else ""
    return f"saved {ago(when, now)}"


def saved_tooltip(path: Path) -> str:
    """Where the session is saved."""
    return (
        f"Strokes, classes and settings are saved within about half a second in {path}, networks "
        "within a few seconds. "
        "⋯ > Save session as moves the file."
    )


def named(session: SessionSummary) -> str:
    """A session by its images: “maize”, “nuclei” and 2 more."""
    names = [f"“{shortened(name, _NAME)}”" for name in session.images[:_MAX_NAMES]]
    more = len(session.images) - len(names)
    return ", ".join(names) + (f" and {more} more" if more > 0 else "") or f"“{session.path.stem}”"


def strokes(session: SessionSummary) -> str:
    """How much was painted."""
    return f"{grouped(session.painted)} painted pixels"


def interrupted(session: SessionSummary, others: int, now: float) -> str:
    """Napari ended without closing this session; `others` are in the list of sessions."""
    text = (
        f"napari ended unexpectedly. {named(session)} with {strokes(session)} "
        f"was saved {ago(session.last_change, now)}."
    )
    return f"{text} ⋯ > Sessions lists {others} more." if others else text


def go_on(session: SessionSummary, now: float) -> str:
    """Offer the last session in an empty viewer."""
    return f"Last session: {named(session)}, {ago(session.last_change, now)}."


def old_sessions(sessions: Sequence[SessionSummary]) -> str:
    """Offer to clean up."""
    return (
        f"{len(sessions)} sessions of the last years take {size(sessions)}. "
        "Nothing is deleted unless you do it."
    )


def size(sessions: Sequence[SessionSummary]) -> str:
    """Disk space of sessions."""
    total = sum(session.size for session in sessions)
    if total < 1 << 20:
        return f"{max(1, total >> 10)} kB"
    return f"{total / (1 << 20):.0f} MB"


def restored(name: str, problems: Sequence[str]) -> str:
    """A session was opened."""
    told = [shortened(problem, _PLACE) for problem in problems[:_MAX_NAMES]]
    if len(problems) > len(told):
        told.append(f"There are {len(problems) - len(told)} more problems.")
    return " ".join([f"{name} is open again: go on painting, or press Live.", *told])


def not_shown(name: str, reason: str) -> str:
    """A session was read, but its layers could not be shown."""
    return (
        f"{shortened(name, _NAME)} cannot be shown: {shortened(reason, _PLACE)}; its file is as "
        "it was."
    )


def image_missing(name: str, where: str) -> str:
    """The image of a session was not found."""
    place = f"at {shortened(where, _PLACE)}" if where else "open"
    name = shortened(name, _NAME)
    return f"The image “{name}” is not {place}. Its strokes and network are here; where is it now?"


def image_elsewhere(name: str, where: str) -> str:
    """The image of a session is at an address, or a program's sample: the person decides."""
    where = shortened(where, _PLACE)
    return f"The image “{shortened(name, _NAME)}” comes from {where}; open it if you trust that."


def image_differs(name: str) -> str:
    """The image was changed since the strokes were painted."""
    return (
        f"“{shortened(name, _NAME)}” has other pixels than when the strokes were painted; check "
        "that they still fit."
    )


def moved(path: Path) -> str:
    """The session was saved elsewhere."""
    return f"The session is saved in {path.name} from now on."


def delete(sessions: Sequence[SessionSummary]) -> str:
    """Ask whether to delete sessions for good."""
    if len(sessions) == 1:
        return f"Delete the session of {named(sessions[0])}, with {strokes(sessions[0])}, for good?"
    return f"Delete these {len(sessions)} sessions, with all strokes and networks, for good?"


def saving_fails(pending: int) -> str:
    """Ask before closing while something is not on disk."""
    return (
        f"The last {pending} changes are not on disk, because saving fails. Close anyway, or save "
        "the session elsewhere first?"
    )
