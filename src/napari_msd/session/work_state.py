"""What runs: Live, or a one-off task (Update once, Predict all), or nothing."""

from __future__ import annotations

from enum import Enum, auto

from psygnal import Signal


class LiveState(Enum):
    """The state of the Live switch."""

    OFF = auto()
    STARTING = auto()
    WAITING = auto()
    """Waiting until two classes are painted."""
    TRAINING = auto()
    IDLE = auto()
    """Training pauses until the annotation changes."""
    PAUSED = auto()
    """Training pauses until Predict all has finished."""
    STOPPING = auto()


class WorkState:
    """Holds what runs, and emits signals when that changes.

    Stopped work still runs until the trainer confirms its end: `stopping`.
    """

    live_state = Signal(LiveState)
    """The `LiveState` to show, also when a pressed switch must be reset."""
    work_changed = Signal()
    """What runs has changed, or whether there are weights."""
    work_ended = Signal(str, bool)
    """A one-off task has ended: its name, and whether it was finished."""

    def __init__(self) -> None:
        self.live = False
        self.work = ""
        """``update`` (Update once), ``predict`` (Predict all) or nothing."""
        self._state = LiveState.OFF
        self._before_pause = LiveState.STARTING
        self._stops = 0

    @property
    def state(self) -> LiveState:
        """The state that the Live switch shows."""
        return self._state

    @property
    def stopping(self) -> bool:
        """Whether stopped work has not ended yet."""
        return self._stops > 0

    def show_live(self, state: LiveState) -> None:
        """Show a state of Live."""
        if state is not self._state:
            self._state = state
            self.live_state.emit(state)

    def live_is(self, state: LiveState) -> None:
        """Note what Live does, as the trainer says; Predict all comes before it."""
        if self.work == "predict":
            self._before_pause = state
            state = LiveState.PAUSED
        self.show_live(state)

    def live_on(self) -> None:
        """Set Live on."""
        self.live = True
        self.live_is(LiveState.STARTING)
        self.work_changed.emit()

    def live_off(self) -> None:
        """Set Live off; the trainer does no more work for it."""
        self.live = False
        self.show_live(LiveState.STOPPING if self.stopping else LiveState.OFF)
        self.work_changed.emit()

    def stop_asked(self) -> None:
        """Set Live off; the trainer will confirm with `stopped`."""
        self._stops += 1
        self.live_off()

    def stopped(self) -> None:
        """Note that the trainer has confirmed the end of Live."""
        self._stops = max(0, self._stops - 1)
        if not self.live:
            self.live_off()

    def died(self) -> None:
        """Note that the trainer has died and will confirm nothing."""
        self._stops = 0
        if not self.live:
            self.live_off()

    def begin_work(self, work: str) -> None:
        """Begin a one-off task; a running one is ended."""
        self.end_work()
        self.work = work
        if self.live and work == "predict":
            self.live_is(self._state)
        self.work_changed.emit()

    def end_work(self, *, finished: bool = False) -> None:
        """End the one-off task, if one runs."""
        work, self.work = self.work, ""
        if self._state is LiveState.PAUSED:
            # a trainer that rests says nothing more
            self.show_live(self._before_pause)
        if work:
            self.work_changed.emit()
            self.work_ended.emit(work, finished)
