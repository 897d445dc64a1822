"""What runs: Live, or work that ends, or nothing."""

from __future__ import annotations

from enum import Enum, auto

from psygnal import Signal


class LiveState(Enum):
    """How Live stands."""

    OFF = auto()
    STARTING = auto()
    WAITING = auto()
    """For annotations of two classes."""
    TRAINING = auto()
    IDLE = auto()
    """Training pauses until the annotation changes."""
    PAUSED = auto()
    """Until all is predicted."""
    STOPPING = auto()


class WorkState:
    """Remembers what runs, and tells when that changes.

    Work that was stopped runs until the trainer says that it has ended: `stopping`.
    """

    live_state = Signal(LiveState)
    """The `LiveState` to show, also when a pressed switch has to spring back."""
    work_changed = Signal()
    """What runs, or whether there are weights."""
    work_ended = Signal(str, bool)
    """Work that ends is over: which, and whether it was finished."""

    def __init__(self) -> None:
        self.live = False
        self.work = ""
        """``update`` (Update once), ``predict`` (Predict all) or nothing."""
        self._state = LiveState.OFF
        self._stops = 0

    @property
    def state(self) -> LiveState:
        """What the Live switch shows."""
        return self._state

    @property
    def stopping(self) -> bool:
        """Whether something was stopped that has not ended yet."""
        return self._stops > 0

    def show_live(self, state: LiveState) -> None:
        """Show how Live stands."""
        if state is not self._state:
            self._state = state
            self.live_state.emit(state)

    def live_on(self) -> None:
        """Live is on."""
        self.live = True
        self.show_live(LiveState.PAUSED if self.work == "predict" else LiveState.STARTING)
        self.work_changed.emit()

    def live_off(self) -> None:
        """Live is off, and the trainer does no more for it."""
        self.live = False
        self.show_live(LiveState.STOPPING if self.stopping else LiveState.OFF)
        self.work_changed.emit()

    def stop_asked(self) -> None:
        """The trainer was asked to end Live, and answers once it has."""
        self._stops += 1
        self.live_off()

    def stopped(self) -> None:
        """It has answered."""
        self._stops = max(0, self._stops - 1)
        if not self.live:
            self.live_off()

    def died(self) -> None:
        """The trainer is gone; no answer will come."""
        self._stops = 0
        if not self.live:
            self.live_off()

    def begin_work(self, work: str) -> None:
        """Work that ends has begun; other work gives way to it."""
        self.end_work()
        self.work = work
        if self.live and work == "predict":
            self.show_live(LiveState.PAUSED)
        self.work_changed.emit()

    def end_work(self, *, finished: bool = False) -> None:
        """Work that ends is over, if there is any."""
        work, self.work = self.work, ""
        if work:
            self.work_changed.emit()
            self.work_ended.emit(work, finished)
