"""A live session without a window: a real trainer process, and an ear for what it says."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TypeVar

import numpy as np
import numpy.typing as npt
import psutil

from napari_msd.core.box import Box
from napari_msd.core.settings import Settings
from napari_msd.core.space import Space
from napari_msd.document import Painted
from napari_msd.trainer.client import TrainerClient
from napari_msd.trainer.messages import Event, ModelKept, Notice, OverlayBlock, Ready, TrainerDied

PATIENCE = 180.0
"""Seconds until a wait is given up; only reached when something is broken."""

SMALL = Settings.from_preset(depth=4, patch_size=32)
"""A network that starts and learns quickly."""

AnEvent = TypeVar("AnEvent", bound=Event)


class NothingCameError(Exception):
    """What was waited for did not come."""


class Live:
    """A session on one image of two halves, with strokes on both; use it in a with statement.

    Parameters
    ----------
    shape
        Of the image, (Y, X).
    settings
        Of network and training.
    more
        Keyword arguments of `TrainerClient`.
    """

    def __init__(
        self, shape: tuple[int, int] = (256, 256), settings: Settings = SMALL, **more: Any
    ) -> None:
        self.shape, self.settings = shape, settings
        rng = np.random.default_rng(0)
        self.image = rng.normal(0, 0.2, shape).astype(np.float32)
        self.image[:, shape[1] // 2 :] += 1
        self.strokes: npt.NDArray[np.uint8] = np.zeros(shape, np.uint8)
        self.events: list[tuple[float, Event]] = []
        self._came = threading.Condition()
        self.client = TrainerClient(self._hear, **more)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.client.close()

    # --- what the person does ------------------------------------------------------------

    def begin(self) -> None:
        """Open the image, paint two strokes, switch Live on; until the first weights are kept."""
        self.open()
        self.client.set_live(True)
        self.wait(OverlayBlock)
        self.wait(ModelKept)

    def open(self) -> None:
        """Open the image and paint two strokes."""
        rows, columns = self.shape
        space = Space("YX", self.shape)
        self.client.open(self.settings, {0: space}, lambda box: self.image[box.slices])
        for value, at in ((1, columns // 4), (2, 3 * columns // 4)):
            self.paint(value, (rows // 8, at), (rows - rows // 8, at + 4))
        view = tuple(min(n, 512) for n in self.shape)
        self.client.set_view(Box(0, (0, 0), view))

    def paint(self, value: int, start: tuple[int, int], stop: tuple[int, int]) -> None:
        """One stroke: a rectangle."""
        box = Box(0, start, stop)
        self.strokes[box.slices] = value
        self.client.set_strokes([Painted(box, np.full(box.shape, value, np.uint8))])

    def paint_somewhere(self, number: int) -> None:
        """A short stroke of the class of its place; every number has a place of its own."""
        rows, columns = (n // 4 for n in self.shape)
        row, column = divmod(number * 7919 % (rows * columns), columns)
        value = 1 if column < columns // 2 else 2
        self.paint(value, (4 * row, 4 * column), (4 * row + 3, 4 * column + 3))

    @property
    def painted(self) -> int:
        """Painted pixels."""
        return int(np.count_nonzero(self.strokes))

    # --- what comes back -----------------------------------------------------------------

    def _hear(self, epoch: int, event: Event) -> None:
        with self._came:
            self.events.append((time.perf_counter(), event))
            self._came.notify_all()

    @property
    def now(self) -> int:
        """Number of events so far, for `wait`."""
        return len(self.events)

    def all(self, kind: type[AnEvent], since: int = 0) -> list[AnEvent]:
        """Events of a kind."""
        return [event for _, event in self.events[since:] if isinstance(event, kind)]

    def wait(
        self,
        kind: type[AnEvent],
        accept: Callable[[AnEvent], bool] = lambda event: True,
        since: int = 0,
    ) -> AnEvent:
        """The first event of a kind; waits for it.

        Raises
        ------
        NothingCameError
            With the last notices.
        """
        found: list[AnEvent] = []

        def came() -> bool:
            found[:] = [event for event in self.all(kind, since) if accept(event)]
            return bool(found)

        with self._came:
            if not self._came.wait_for(came, PATIENCE):
                said = [event.text for _, event in self.events if isinstance(event, Notice)]
                raise NothingCameError(f"no {kind.__name__} came; notices: {said[-3:]}")
        return found[0]

    def process(self) -> psutil.Process:
        """The trainer's."""
        if self.client.pid is None:
            self.wait(Ready)
        return psutil.Process(self.client.pid)

    def died_and_back(self, since: int) -> tuple[TrainerDied, ModelKept]:
        """The event of its death, and the first weights learned from all strokes after it."""
        died = self.wait(TrainerDied, since=since)
        return died, self.wait(ModelKept, lambda kept: kept.painted >= self.painted, since=since)

    def moment(self, event: Event) -> float:
        """When an event came, on the clock of `time.perf_counter`."""
        return next(at for at, known in self.events if known is event)
