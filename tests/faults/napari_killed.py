"""SIGKILL of napari while a person paints and the network trains: what is in the session file?"""

from __future__ import annotations

import os
import pickle
import random
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

import numpy as np
import tifffile

from napari_msd.storage import interrupted, read

ROOT = Path(__file__).parents[2]
_STARTS_S = 120
SIDE = 512


@dataclass(frozen=True)
class Killed:
    """What one kill lost."""

    painted_s: float
    """Seconds of painting before the kill."""
    steps: int
    """Steps of the brush before the kill."""
    lost_steps: int
    """Steps whose pixels the session does not hold."""
    lost_s: float
    """Age of the oldest of them at the kill; 0 if none."""
    offered: bool
    """Whether the next start of napari would offer the session."""


def kill_once(folder: Path, seed: int, seconds: float) -> Killed:
    """Paint for `seconds`, kill napari, read the session.

    Parameters
    ----------
    folder
        Empty; gets image, log and session.
    seed
        Of the strokes.
    seconds
        From the first stroke to the kill.
    """
    image, log, sessions = folder / "cells.tif", folder / "log", folder / "sessions"
    rng = np.random.default_rng(0)
    pixels = rng.normal(0, 20, (SIDE, SIDE)) + 100
    pixels[:, SIDE // 2 :] += 60
    tifffile.imwrite(image, pixels.clip(0, 255).astype(np.uint8))
    environment = os.environ | {"NAPARI_MSD_SESSIONS": str(sessions)}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.painter", str(image), str(log), str(seed)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        if process.stdout.readline().strip() != "painting":
            raise RuntimeError("napari did not start to paint")
        sleep(seconds)
    finally:
        process.kill()
        killed = monotonic()
        process.wait()
    return _compare(log, sessions, killed)


def _compare(log: Path, sessions: Path, killed: float) -> Killed:
    steps = _steps(log)
    shown = np.zeros((SIDE, SIDE), np.uint8)
    last = np.full((SIDE, SIDE), -1)  # the step that painted each pixel last
    for number, (_, box, values) in enumerate(steps):
        changed = shown[box] != values
        shown[box] = values
        last[box][changed] = number
    os.environ["NAPARI_MSD_SESSIONS"] = str(sessions)
    found = interrupted()
    saved = np.zeros_like(shown)
    if found:
        for annotation in read(found[0].path).annotations:
            for chunk, values in annotation.document.annotation.chunks():
                box = chunk.clip(shown.shape)
                saved[box.slices] = values[box.within(chunk).slices]
    lost = sorted(int(n) for n in np.unique(last[saved != shown]) if n >= 0)
    return Killed(
        killed - steps[0][0],
        len(steps),
        len(lost),
        killed - steps[lost[0]][0] if lost else 0.0,
        bool(found),
    )


def _steps(log: Path) -> list[tuple[float, tuple[slice, ...], np.ndarray]]:
    steps = []
    with log.open("rb") as file:
        while True:
            try:
                steps.append(pickle.load(file))
            except (EOFError, pickle.UnpicklingError):
                return steps  # the last record may be cut


def random_seconds(rng: random.Random) -> float:
    """A random moment of painting: often within the first stroke, sometimes long after."""
    return rng.choice([rng.uniform(0, 1), rng.uniform(0, 8)])
