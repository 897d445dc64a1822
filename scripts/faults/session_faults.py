"""SIGKILL of napari while a person paints and the network trains; what its session file holds."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import numpy as np
import tifffile

from faults.painter import Step
from faults.scenario import Run
from napari_msd.storage import SessionSummary, interrupted, read
from napari_msd.storage.elsewhere import VARIABLE

SIDE = 512
ALLOWED_S = 1.0
"""Seconds of painting that a kill may cost."""


def napari_killed(run: Run) -> None:
    """Kill napari at a random moment: often within the first strokes, sometimes long after."""
    sessions = run.folder / "sessions"
    killed = _paint_and_kill(run, sessions)
    steps = _steps(run.folder / "log")
    before, present = os.environ.get(VARIABLE), str(sessions)
    os.environ[VARIABLE] = present
    try:
        found = interrupted()
    finally:
        os.environ.pop(VARIABLE)
        if before is not None:
            os.environ[VARIABLE] = before
    lost = _lost(steps, found)
    run.figure("painted before the kill, s", killed - steps[0][0])
    run.figure("steps of the brush", len(steps))
    run.figure("lost of the painting, s", max((killed - when for when in lost), default=0.0))
    for when in lost:
        if killed - when > ALLOWED_S:
            run.lost(f"a step of the brush from {killed - when:.1f} s before the kill")
    if killed - steps[0][0] > ALLOWED_S:
        run.check(len(found) == 1, f"{len(found)} sessions are offered after the kill")


def _paint_and_kill(run: Run, sessions: Path) -> float:
    """Start the painter, kill it; the moment, by the monotonic clock."""
    image = run.folder / "cells.tif"
    pixels = np.random.default_rng(0).normal(100, 20, (SIDE, SIDE))
    pixels[:, SIDE // 2 :] += 60
    tifffile.imwrite(image, pixels.clip(0, 255).astype(np.uint8))
    program = [sys.executable, "-m", "faults.painter", str(image)]
    painter = subprocess.Popen(
        [*program, str(run.folder / "log"), str(run.number)],
        env=os.environ | {VARIABLE: str(sessions)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert painter.stdout is not None
        if painter.stdout.readline().strip() != "painted":
            raise RuntimeError("napari ended before it was killed")
        time.sleep(run.random.uniform(0, 2 if run.short or run.random.random() < 0.5 else 10))
    finally:
        painter.kill()
        killed = time.monotonic()
        painter.wait()
    return killed


def _steps(log: Path) -> list[Step]:
    steps, data = [], log.read_bytes()
    decode = msgspec.msgpack.Decoder(Step).decode
    while len(data) >= 4:
        size = int.from_bytes(data[:4], "little")
        if len(data) < 4 + size:
            break  # killed while it was written
        steps.append(decode(data[4 : 4 + size]))
        data = data[4 + size :]
    return steps


def _lost(steps: list[Step], found: list[SessionSummary]) -> list[float]:
    """When the steps were made whose pixels the session does not hold as they were shown."""
    shown = np.zeros((SIDE, SIDE), np.uint8)
    last = np.zeros((SIDE, SIDE), int)  # number of the step that changed a pixel last, from 1
    for number, (_, (top, left), (height, width), values) in enumerate(steps, 1):
        box = slice(top, top + height), slice(left, left + width)
        new = np.frombuffer(values, np.uint8).reshape(height, width)
        last[box][shown[box] != new] = number
        shown[box] = new
    saved = np.zeros_like(shown)
    for annotation in read(found[0].path).annotations if found else ():
        for chunk, values in annotation.document.annotation.chunks():
            box = chunk.clip(shown.shape)
            saved[box.slices] = values[box.within(chunk).slices]
    return [steps[number - 1][0] for number in np.unique(last[saved != shown]) if number]
