"""Does training disturb the painting hand? Event loop gaps, and delay from mouse to screen.

A person paints without pause on a 512 x 512 image: a timer moves the mouse along a
circle 60 times a second. *Gap* is the time between two turns of the event loop, seen by
a timer of 2 ms (one of 0 ms would keep a core busy by itself); its percentiles are over
time, not over turns: at 99 of 100 moments the window is in a gap of at most so long.
*Delay* is the time from a mouse event to the end of the draw that shows it. Both are
measured with the trainer idle and with Live on, alternating in one run, so that whatever
else the machine does falls on both alike.

Run: ``xvfb-run -a python benchmarks/ui_gap.py [--seconds 10] [--rounds 3]``
"""

from __future__ import annotations

import argparse
from math import cos, sin
from time import perf_counter

import numpy as np
from _gui import Session, machine
from qtpy.QtCore import QEvent, Qt, QTimer


class Watch:
    """Collects gaps and delays while it runs."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.gaps: list[float] = []
        self.delays: list[float] = []
        self._last = self._sent = 0.0
        self._angle = 0.0
        self._turn = QTimer(interval=2, timerType=Qt.TimerType.PreciseTimer)
        self._turn.timeout.connect(self._on_turn)
        self._hand = QTimer(interval=16)
        self._hand.timeout.connect(self._on_move)
        session.viewer.window._qt_viewer.canvas._scene_canvas.events.draw.connect(
            self._on_drawn, position="last"
        )

    def run(self, seconds: float) -> None:
        """Paint for so long."""
        self._session.mouse(QEvent.Type.MouseButtonPress, self._pixel(), down=True)
        self._last = perf_counter()
        self._turn.start()
        self._hand.start()
        self._session.spin(seconds)
        self._turn.stop()
        self._hand.stop()
        self._session.mouse(QEvent.Type.MouseButtonRelease, self._pixel(), down=False)
        self._session.spin(0.3)
        self._session.layer.undo()  # every round paints on the same strokes
        self._session.spin(0.5)

    def _on_turn(self) -> None:
        now = perf_counter()
        self.gaps.append(now - self._last)
        self._last = now

    def _on_move(self) -> None:
        self._angle += 0.02
        if not self._sent:
            self._sent = perf_counter()
        self._session.mouse(QEvent.Type.MouseMove, self._pixel(), down=True)

    def _on_drawn(self, event: object) -> None:
        if self._sent:
            self.delays.append(perf_counter() - self._sent)
            self._sent = 0.0

    def _pixel(self) -> tuple[float, float]:
        size = self._session.image.data.shape[0]
        radius = size / 5
        return size / 2 + radius * sin(self._angle), size / 2 + radius * cos(self._angle)


def over_time(gaps: np.ndarray, share: float) -> float:
    """The gap, in ms, that is not exceeded during `share` (0..1) of all the time."""
    gaps = np.sort(gaps)
    passed = np.cumsum(gaps)
    return float(gaps[np.searchsorted(passed, share * passed[-1])])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", type=int, default=512)
    arguments = parser.parse_args()
    print(machine())
    session = Session(arguments.size)
    session.live(True)
    session.wait_for(lambda: session.overlay.has_content)
    watches = {False: Watch(session), True: Watch(session)}
    for _ in range(arguments.rounds):
        for training, watch in watches.items():
            session.live(training)
            session.spin(1.0)
            watch.run(arguments.seconds)
    session.close()
    p99 = {}
    for training, watch in watches.items():
        gaps, delays = (1000 * np.asarray(x) for x in (watch.gaps, watch.delays))
        p50, p99[training] = over_time(gaps, 0.5), over_time(gaps, 0.99)
        print(
            f"{'training' if training else 'idle':>8}: gap p50 {p50:.1f}, "
            f"p99 {p99[training]:.1f}, longest {gaps.max():.1f} ms; mouse to screen "
            f"p50 {np.percentile(delays, 50):.1f}, p99 {np.percentile(delays, 99):.1f} ms "
            f"({len(gaps)} turns, {len(delays)} draws)"
        )
    print(f"training adds {p99[True] - p99[False]:+.1f} ms to the p99 gap")


if __name__ == "__main__":
    main()
