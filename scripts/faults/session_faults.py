"""What happens to sessions: napari is killed, the disk is full or read-only, the file damaged."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import msgspec
import numpy as np
import tifffile

from faults.disk_faults import require_mounts
from faults.painter import Step
from faults.scenario import Run
from napari_msd.core.box import Box
from napari_msd.core.space import Space
from napari_msd.document import Document
from napari_msd.document.operations import BindSource, PaintBox
from napari_msd.storage import (
    ImageReference,
    SessionError,
    SessionFile,
    SessionSummary,
    interrupted,
    read,
)
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
        env=os.environ | {VARIABLE: str(sessions), "PYTHONPATH": str(Path(__file__).parents[1])},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with painter:
        assert painter.stdout is not None
        try:
            if painter.stdout.readline().strip() != "painted":
                raise RuntimeError("napari ended before it was killed")
            time.sleep(run.random.uniform(0, 2 if run.short or run.random.random() < 0.5 else 10))
        finally:
            painter.kill()
            killed = time.monotonic()
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


_JOURNALLING = """
    import sys, time
    from pathlib import Path
    import numpy as np
    from napari_msd.core.box import Box
    from napari_msd.core.space import Space
    from napari_msd.document import Document
    from napari_msd.document.operations import BindSource, PaintBox
    from napari_msd.storage import ImageReference, SessionFile, read

    disk, break_it, mend_it = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    file = SessionFile.create(disk / "work.msdsession")
    told = []
    file.failed.connect(told.append)
    image = file.add_image(ImageReference("cells", "YX", (2000, 2000), 1, "uint8"))
    document = Document(file.journal(file.add_annotation(image, "strokes")))
    document.do(BindSource(0, Space("YX", (2000, 2000)), "cells"))
    rng = np.random.default_rng(0)

    def paint(n):
        for _ in range(n):
            top, left = map(int, rng.integers(0, 1900, 2))
            values = rng.integers(1, 3, (60, 60)).astype(np.uint8)  # hardly compresses
            document.do(PaintBox(Box(0, (top, left), (top + 60, left + 60)), values))

    import subprocess
    paint(50)
    assert file.flush(20)
    subprocess.run(break_it, shell=True, check=True)
    paint(200)
    end = time.monotonic() + 30
    while not told and time.monotonic() < end:
        time.sleep(0.01)
    assert file.pending, "it was written"
    paint(50)
    subprocess.run(mend_it, shell=True, check=True)
    assert file.flush(30), "not saved again"
    (annotation,) = read(file.path).annotations
    assert annotation.document.annotation == document.annotation, "strokes are missing"
    assert file.close(10)
    print(told[0])
"""


_BEGINNING = """
    import subprocess, sys
    from pathlib import Path
    from napari_msd.storage import SessionError, SessionFile

    path = Path(sys.argv[1]) / "work.msdsession"
    try:
        SessionFile.create(path)
    except SessionError as error:
        print(error)
    subprocess.run(sys.argv[3], shell=True, check=True)
    SessionFile.create(path).close()
"""


def session_disk_full(run: Run) -> None:
    """The session's disk is full while somebody paints, and has room again later."""
    fill = "dd if=/dev/zero of={disk}/rest bs=4k status=none || true"
    _on_a_disk(run, _JOURNALLING, "-o size=4m", fill, "rm {disk}/rest", "the disk is full")


def session_disk_read_only(run: Run) -> None:
    """The folder for sessions is on a read-only disk at the first stroke, writable later."""
    mend = "mount -o remount,rw {disk}"
    _on_a_disk(run, _BEGINNING, "-o size=8m,ro", "true", mend, "read-only")


def _on_a_disk(
    run: Run, program: str, options: str, broken: str, mended: str, expected: str
) -> None:
    require_mounts()
    disk = run.folder / "disk"
    disk.mkdir()
    script = run.folder / "paint.py"
    script.write_text(textwrap.dedent(program), "utf-8")
    command = f'mount -t tmpfs {options} none {disk} && "{sys.executable}" -P "$0" {disk} "$1" "$2"'
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", command, str(script)]
        + [text.format(disk=disk) for text in (broken, mended)],
        env=os.environ | {VARIABLE: str(run.folder / "sessions")},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    said = done.stdout.strip()
    run.check(done.returncode == 0, done.stderr.strip()[-300:])
    run.check(expected in said, f"“{said}”")
    run.say(said.replace(str(run.folder), "…"))


def session_damaged(run: Run) -> None:
    """Somewhere in a session file, a block of 100 to 4096 bytes is overwritten."""
    path = run.folder / "work.msdsession"
    file = SessionFile.create(path)
    image = file.add_image(ImageReference("cells", "YX", (600, 600), 1, "uint8"))
    document = Document(file.journal(file.add_annotation(image, "strokes")))
    document.do(BindSource(0, Space("YX", (600, 600)), "cells"))
    rng = np.random.default_rng(run.number)
    for _ in range(200):
        top, left = map(int, rng.integers(0, 560, 2))
        values = rng.integers(1, 3, (40, 40)).astype(np.uint8)
        document.do(PaintBox(Box(0, (top, left), (top + 40, left + 40)), values))
    painted = sum(document.annotation.counts.values())
    file.close(20)
    data = bytearray(path.read_bytes())
    size = int(rng.integers(100, 4097))
    at = int(rng.integers(0, len(data) - size))
    data[at : at + size] = rng.bytes(size)
    path.write_bytes(data)
    try:
        opened, content = SessionFile.open(path)
    except SessionError as error:
        run.say(str(error).replace(str(run.folder), "…"))
        run.check(path.read_bytes() == data, "the damaged file was changed")
        return
    kept = sum(sum(a.document.annotation.counts.values()) for a in content.annotations)
    run.figure("painted pixels missing, %", 100 - 100 * kept / painted)
    copies = [p for p in run.folder.glob("*.damaged-*") if p.read_bytes() == bytes(data)]
    run.check(not content.problems or bool(copies), "the damaged file was not kept")
    run.check(kept == painted or bool(content.problems), "strokes are missing, and nothing said")
    opened.close()
