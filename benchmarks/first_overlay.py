"""Seconds from pressing Live to the first segmentation on screen, cold and warm.

A real napari window, real strokes, the real trainer, on a 512 x 512 image. *Cold*: Live
is pressed the moment the widget opens, so that starting the trainer is part of it.
*Warm*: the trainer has had time to start while the person painted, as it is in life;
each repetition begins with an untrained network.

Run: ``xvfb-run -a python benchmarks/first_overlay.py [--repeat 5]``
"""

from __future__ import annotations

import argparse
import statistics
from time import perf_counter

from _gui import Session, machine


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--size", type=int, default=512)
    arguments = parser.parse_args()
    print(machine())
    cold, warm = [], []
    for _ in range(max(arguments.repeat // 2, 2)):
        session = Session(arguments.size)
        cold.append(_first(session))
        session.close()
    session = Session(arguments.size)
    _first(session)
    for _ in range(arguments.repeat):
        session.start_over()
        warm.append(_first(session))
    session.close()
    for name, seconds in (("cold", cold), ("warm", warm)):
        print(
            f"first overlay {name}: median {statistics.median(seconds):.2f} s, "
            f"worst {max(seconds):.2f} s of {len(seconds)} ({arguments.size} x {arguments.size})"
        )


def _first(session: Session) -> float:
    start = perf_counter()
    session.live(True)
    session.wait_for(lambda: session.overlay.has_content)
    session.viewer.screenshot(canvas_only=True, flash=False)  # drawn, not only written
    return perf_counter() - start


if __name__ == "__main__":
    main()
