"""What runs: Live, or work that ends, or nothing."""

from __future__ import annotations

from qtpy.QtCore import QObject, Signal

from napari_msd.gui.live_button import LiveState


class WorkState(QObject):
    """Remembers what runs, and tells when that changes."""

    live_state = Signal(object)
    """The `LiveState` to show, also when a pressed switch has to spring back."""
    work_changed = Signal()
    """What runs, or whether there are weights."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.live = False
        self.work = ""
        """``update`` (Update once), ``predict`` (Predict all) or nothing."""
        self._state = LiveState.OFF

    @property
    def state(self) -> LiveState:
        """What the Live switch shows."""
        return self._state

    def show_live(self, state: LiveState) -> None:
        """Show how Live stands."""
        if state is not self._state:
            self._state = state
            self.live_state.emit(state)

    def live_on(self) -> None:
        """Live is on; work that ends gives way to it."""
        self.live, self.work = True, ""
        self.show_live(LiveState.STARTING)
        self.work_changed.emit()

    def live_off(self) -> None:
        """Live is off, whoever ended it."""
        self.live = False
        self.show_live(LiveState.OFF)
        self.work_changed.emit()

    def begin_work(self, work: str) -> None:
        """Work that ends has begun."""
        self.work = work
        self.work_changed.emit()

    def end_work(self) -> None:
        """It has ended."""
        self.begin_work("")
