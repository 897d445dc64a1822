"""The thread that writes a session file, so that painting never waits for a disk."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from napari_msd.core.errors import SessionError
from napari_msd.storage.compaction import compact, shrink
from napari_msd.storage.database import reason

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Hashable
    from pathlib import Path

    from napari_msd.storage.records import Record
    from napari_msd.storage.store import Store

GATHER = 0.2
"""Seconds from the first change until it is written, with all that came meanwhile."""

RETRY = 2.0
"""Seconds between attempts while the file cannot be written."""

IDLE = 10.0
"""Seconds without a change after which long logs are compacted."""

COMPACT_ABOVE = 2000
"""Shorter logs are left alone: they open in a fraction of a second."""

_MOST_RECORDS = 2000
"""Of one transaction: a long backlog is written in several."""

_BREATH = 0.002
"""Seconds that compaction leaves to other threads after each piece."""


class _Pending(NamedTuple):
    since: float
    """As `time.monotonic`."""
    record: Record


@dataclass
class Listener:
    """Functions that are called on the writer's thread.

    `saved` gets the time of a commit, as `time.time`; `failed` a sentence.
    """

    saved: Callable[[float], None]
    failed: Callable[[str], None]


_T = TypeVar("_T")


class Writer:
    """Writes records in their order, retries what fails, compacts when idle.

    Parameters
    ----------
    store
        The open file; only the writer's thread uses it from now on.
    listener
        Told what happened.
    """

    def __init__(self, store: Store, listener: Listener) -> None:
        self._store = store
        self._listener = listener
        self._changed = threading.Condition()
        self._queue: deque[_Pending] = deque()
        self._place: dict[Hashable, int] = {}
        """Running numbers of records that a newer one may still replace."""
        self._put = 0
        self._done = 0
        """Records that came, and that are on disk; the queue holds those between."""
        self._commands: deque[Callable[[], None]] = deque()
        self._hurry = False
        self._stop = False
        self._ended = False
        self._failing = False
        self._retry_at = 0.0
        self._idle_since = time.monotonic()
        self._compact_above: dict[int, int] = {}
        self._looked_at = -1.0
        """The value of `_idle_since` for which logs were looked at."""
        self.last_saved: float | None = None
        self._thread = threading.Thread(target=self._run, name="session writer", daemon=True)
        self._thread.start()

    @property
    def pending(self) -> int:
        """Records that are not yet on disk."""
        return len(self._queue)

    @property
    def path(self) -> Path:
        """The file."""
        return self._store.path

    def put(self, record: Record) -> None:
        """Write a record soon; returns at once."""
        with self._changed:
            key = record.key
            place = self._place.get(key) if key is not None else None
            if place is not None and place >= self._done:
                at = place - self._done
                self._queue[at] = self._queue[at]._replace(record=record)
                return
            if key is not None:
                self._place[key] = self._put
            self._queue.append(_Pending(time.monotonic(), record))
            self._put += 1
            if len(self._queue) == 1:  # else the thread is awake already
                self._changed.notify_all()

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until everything is on disk; whether it is, after at most `timeout` seconds."""
        with self._changed:
            wanted = self._put
            if self._done >= wanted:
                return True
            self._hurry = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._done >= wanted or self._ended, timeout)
            return self._done >= wanted

    def call(self, work: Callable[[Store], _T]) -> _T:
        """Do something with the file between two transactions, and wait for it.

        Everything put before is written first, if the disk lets it.

        Raises
        ------
        Exception
            Whatever `work` raises.
        """
        ended = threading.Event()
        results: list[_T] = []
        errors: list[BaseException] = []

        def command() -> None:
            try:
                results.append(work(self._store))
            except BaseException as error:  # raised again on the caller's thread
                errors.append(error)
            finally:
                ended.set()

        self.flush(RETRY)
        with self._changed:
            if self._stop:
                raise SessionError("This session is closed; open it again.")
            self._commands.append(command)
            self._changed.notify_all()
        ended.wait()
        if errors:
            raise errors[0]
        return results[0]

    def close(self, timeout: float) -> bool:
        """Write what is pending, then end; whether everything is on disk."""
        end = time.monotonic() + timeout
        done = self.flush(timeout)
        with self._changed:
            self._stop = True
            self._changed.notify_all()
        self._thread.join(max(end - time.monotonic(), 0.5))
        return done

    # --- on the writer's thread ----------------------------------------------------------

    def _run(self) -> None:
        try:
            while (work := self._next()) is not None:
                work()
        finally:
            self._end()

    def _next(self) -> Callable[[], None] | None:
        """Wait for something to do; ``None`` at the end."""
        with self._changed:
            while True:
                now = time.monotonic()
                if self._commands:
                    return self._commands.popleft()
                if self._stop:
                    return None
                if self._queue:
                    due = self._retry_at if self._failing else self._queue[0].since + GATHER
                    if self._hurry or now >= due:
                        return self._write
                else:
                    due = self._store.housekeeping_at
                    if now >= due:
                        return self._keep_house
                    if self._looked_at != self._idle_since:
                        due = min(due, self._idle_since + IDLE)
                        if now >= due:
                            return self._compact
                self._changed.wait(due - now)

    def _write(self) -> None:
        with self._changed:
            self._hurry = False
            batch = [pending.record for pending in islice(self._queue, _MOST_RECORDS)]
            for record in batch:  # from now on they stay as they are
                if record.key is not None:
                    self._place.pop(record.key, None)
        try:
            when = self._store.write(self._prepared(batch))
        except Exception as error:  # whatever it is: what is pending stays pending
            self._fail(error)
            return
        with self._changed:
            for _ in batch:
                self._queue.popleft()
            self._done += len(batch)
            self._failing = False
            self._idle_since = time.monotonic()
            self.last_saved = when
            self._changed.notify_all()
        self._tell(self._listener.saved, when)

    def _prepared(self, batch: list[Record]) -> list[Record]:
        """The records that can be written; a mistake in one must not keep all others back."""
        ready = []
        for record in batch:
            try:
                record.prepare()
            except MemoryError:
                raise
            except Exception as error:
                self._tell(
                    self._listener.failed,
                    f"One change could not be recorded ({error}); save your labels, and report "
                    "this.",
                )
            else:
                ready.append(record)
        return ready

    def _fail(self, error: Exception) -> None:
        with self._changed:
            first, self._failing = not self._failing, True
            self._retry_at = time.monotonic() + RETRY
        self._store.recover(error)
        if first:
            self._tell(
                self._listener.failed,
                f"Strokes are not being saved: {reason(error)}. They are kept in memory, and "
                "saved as soon as that is possible.",
            )

    def _keep_house(self) -> None:
        with contextlib.suppress(Exception):  # said when there is something to write
            self._store.keep_house()

    def _compact(self) -> None:
        """Shorten one log that is long; stop as soon as there is something to write."""
        self._looked_at = self._idle_since
        entries = self._store.ledger.entries
        for annotation, number in list(entries.items()):
            if number <= self._compact_above.get(annotation, COMPACT_ABOVE):
                continue
            try:
                connection = self._store.require_connection()
                now = self._in_pieces(compact(connection, annotation, self.path.name))
                if now is None:
                    return
                entries[annotation] = now
                self._compact_above[annotation] = max(COMPACT_ABOVE, 2 * now)
                if now < number:
                    self._in_pieces(shrink(connection))
            except Exception:  # a long log is no harm
                return

    def _in_pieces(self, work: Generator[None, None, _T]) -> _T | None:
        """Run a generator to its end unless there is something to write; its value."""
        try:
            while True:
                next(work)
                with self._changed:
                    self._changed.wait(_BREATH)
                    if self._queue or self._commands or self._stop:
                        return None
        except StopIteration as end:
            value: _T = end.value
            return value
        finally:
            work.close()

    def _end(self) -> None:
        try:
            self._store.close(ended=not self._queue)
        finally:
            with self._changed:
                self._stop = self._ended = True
                self._changed.notify_all()

    def _tell(self, tell: Callable[[_T], None], what: _T) -> None:
        """A listener's mistake must not stop the writing."""
        with contextlib.suppress(Exception):
            tell(what)
