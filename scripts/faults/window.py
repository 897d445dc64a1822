"""The real window: every control pressed, hours of painting; in a process of its own.

``python -m faults.window press|press-stack|paint|reopen`` prints what it measured as JSON;
`window_faults` calls it.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
from pathlib import Path
from typing import Any

from faults.window_controls import press_everything
from faults.window_painting import paint_for_long, reopen
from faults.window_session import image_of, stack_of


def main() -> None:
    """Run one of the three; prints JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["press", "press-stack", "paint", "reopen"])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--side", type=int, default=6000)
    parser.add_argument("--planes", type=int, default=20)
    parser.add_argument("--strokes", type=int, default=7200)
    parser.add_argument("--settle", type=float, default=1.0)
    arguments = parser.parse_args()
    threading.excepthook = lambda args: (sys.__excepthook__(*args[:3]), sys.exit(3))
    if arguments.what == "paint":
        result: Any = paint_for_long(arguments.strokes, arguments.side, 0.02)
    elif arguments.what == "reopen":
        result = reopen(arguments.strokes, arguments.side)
    else:
        flat = arguments.what == "press"
        data = image_of(arguments.side) if flat else stack_of(arguments.planes, arguments.side)
        result = press_everything(data, arguments.folder, arguments.settle)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
