"""What can go wrong in the window: it blocks, it grows, it does not close."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from faults.scenario import Run, UnavailableError

SHOWN = 6
"""Number of the longest blocks that are shown."""


def every_control(run: Run) -> None:
    """Every control is pressed, with a large image."""
    side = "700" if run.short else "6000"
    _pressed(run, _window(run, "press", "--side", side))


def every_control_on_a_stack(run: Run) -> None:
    """The same with a lazy stack."""
    size = ("500", "3") if run.short else ("6000", "20")
    _pressed(run, _window(run, "press-stack", "--side", size[0], "--planes", size[1]))


def long_run(run: Run) -> None:
    """Two hours of painting, a stroke a second, as fast as it goes."""
    strokes, side = ("60", "256") if run.short else ("7200", "1024")
    found = _window(run, "paint", "--strokes", strokes, "--side", side)
    if found["lost"]:
        run.lost(f"{found['lost']} painted pixels")
    run.check(found["trainer restarts"] == 0, "the trainer was restarted")
    run.figure("strokes, a second", found["strokes per second"])
    run.figure("painted, pixels", found["painted"])
    times = "/".join(sample["when"] for sample in found["samples"])
    for name in found["samples"][0]:
        if name != "when":
            values = "/".join(f"{sample[name]:.0f}" for sample in found["samples"])
            run.note(f"{name} at {times}: {values}")


def panel_reopened(run: Run) -> None:
    """The panel is closed while Live, and opened again: nothing of it is left."""
    found = _window(run, "reopen", "--strokes", "3" if run.short else "10", "--side", "256")
    first, last = found["samples"]
    for name in ("threads", "handles"):
        more = last[f"viewer {name}"] - first[f"viewer {name}"]
        run.check(more <= 0, f"{more} {name} more")
    run.check(found["trainers"] == 0, f"{found['trainers']} trainers are left")
    run.figure("memory grew by, MB", last["viewer MB"] - first["viewer MB"])
    run.figure("closing blocks, ms", 1000 * found["closing"])
    if found["painted"] != found["painted before"]:
        run.lost("strokes")


def _pressed(run: Run, found: dict[str, Any]) -> None:
    blocks, closed = found["blocks"], found["closed"]
    if found["disabled"]:
        run.note(f"never enabled: {', '.join(found['disabled'])}")
    longest = sorted(blocks.items(), key=lambda item: -item[1][0])
    run.check(len(blocks) > 20, f"only {len(blocks)} controls were found")
    run.note(f"{len(blocks)} actions")
    for name, (wall, cpu) in longest[:SHOWN]:
        run.note(f"{name}: {1000 * wall:.0f} ms ({1000 * cpu:.0f} ms of them computing)")
    run.note(f"closing: {1000 * closed[0]:.0f} ms ({1000 * closed[1]:.0f} ms of them the plugin's)")
    run.figure("trainer gone after, s", closed[2])
    print(json.dumps(blocks, indent=1), file=sys.stderr)


def _window(run: Run, *arguments: str) -> Any:
    """Run `faults.window` in a process of its own; what it printed."""
    if sys.platform == "linux" and not os.environ.get("DISPLAY"):
        raise UnavailableError("there is no display")
    settle = ("--settle", "0.2") if run.short else ()
    command = [sys.executable, "-m", "faults.window", *arguments, "--folder", str(run.folder)]
    done = subprocess.run(
        [*command, *settle],
        capture_output=True,
        text=True,
        check=False,
        timeout=280 if run.short else 3000,
        env={
            **os.environ,
            "PYTHONPATH": str(Path(__file__).parents[1]),
            "NAPARI_CONFIG": str(run.folder / "napari.yaml"),
            "NAPARI_MSD_LOGS": str(run.folder / "logs"),
        },
    )
    if done.returncode:
        print(done.stderr, file=sys.stderr)
        raise RuntimeError(
            f"the window ended with {done.returncode}: {done.stderr.splitlines()[-1:]}"
        )
    return json.loads(done.stdout.splitlines()[-1])
