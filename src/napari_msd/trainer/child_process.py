"""A trainer in a child process: its pipes, its log, its end."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from typing import IO

import msgspec

from napari_msd.core import core_trial
from napari_msd.trainer.channel import FrameWriter, decode_event, encode, read_frames, widen
from napari_msd.trainer.envelopes import NO_EPOCH, NOT_SENT, EventEnvelope, RequestEnvelope, Stamp
from napari_msd.trainer.events import Heartbeat, Notice
from napari_msd.trainer.hang_watch import HangWatch
from napari_msd.trainer.host import OnDeath, OnEnvelope

PROGRAM = "from napari_msd.trainer.process import run; run({session})"

LOG_LINES = 20
"""How much of what the process wrote is repeated in the log when it dies."""

READ_SECONDS = 1.0
"""How long to wait for the end of its pipes once it is dead: others may have inherited one."""


_crashed_cores: set[str] = set()
"""Compiled cores whose trial crashed a trainer; the next ones do without them."""


class ChildProcess:
    """A process that runs this very interpreter.

    It imports nothing from the folder that the viewer was started in, where there may be
    other people's data, and does not need that folder. It ends by itself when its pipes close, so
    no viewer leaves one behind, however it ends.

    Parameters
    ----------
    session
        For the stamps of its events.
    on_event, on_death
        See `OnEnvelope` and `OnDeath`; called on the thread that reads.
    """

    def __init__(self, session: int, on_event: OnEnvelope, on_death: OnDeath) -> None:
        self._session = session
        self._on_event = on_event
        self._on_death = on_death
        self._ending = False
        self._fault = ""
        self._misunderstood = False
        self._watch = HangWatch()
        self._log: deque[str] = deque(maxlen=LOG_LINES)
        self._core_on_trial: str | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._writer: FrameWriter | None = None
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Launch it; see `Host.start`."""
        self._process = process = subprocess.Popen(
            [sys.executable, "-P", "-c", PROGRAM.format(session=self._session)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=sys.prefix,
            env={
                **os.environ,
                "PYTHONUNBUFFERED": "1",
                "PYTHONSAFEPATH": "1",
                core_trial.VARIABLE: ",".join(sorted(_crashed_cores)),
            },
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        if self._ending:  # the program ended meanwhile
            process.kill()
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        widen(process.stdin)
        widen(process.stdout)
        self._writer = FrameWriter(process.stdin)
        # threads of a finished program must not keep it waiting for the trainer: daemons
        log = threading.Thread(
            target=self._read_log, args=(process.stderr,), name="trainer-log", daemon=True
        )
        events = threading.Thread(
            target=self._read_events, args=(process, log), name="trainer-events", daemon=True
        )
        self._threads = [log, events]
        for thread in self._threads:
            thread.start()

    def send(self, envelope: RequestEnvelope) -> None:
        """Send a request; waits while the pipe is full."""
        frame = encode(envelope)
        if self._writer is not None:
            with contextlib.suppress(OSError, ValueError):  # a dead process: `on_death` says so
                self._writer.write(frame)

    def tick(self) -> None:
        """A second passed; see `Host.tick`."""
        process = self._process
        if self._ending or self._fault or process is None or process.poll() is not None:
            return
        self._fault = self._watch.tick()
        if self._fault:
            process.kill()

    @property
    def what_happened(self) -> str:
        """Why it died, as the rest of a sentence about the trainer."""
        if self._fault:
            return f"{self._fault} and was ended"
        killed = -getattr(signal, "SIGKILL", 0)
        if killed and self._process is not None and self._process.returncode == killed:
            return (
                "stopped unexpectedly (it was killed from outside, perhaps because the machine "
                "ran out of memory)"
            )
        return "stopped unexpectedly"

    def kill(self) -> None:
        """Kill the process, from any thread; `end` has to follow."""
        self._ending = True
        if self._process is not None:
            self._process.kill()

    def end(self) -> None:
        """Kill the process, wait for it, close its pipes. Always safe."""
        self.kill()
        process = self._process
        if process is None:
            return
        process.wait()
        for thread, pipe in zip(self._threads, (process.stderr, process.stdout), strict=True):
            thread.join(READ_SECONDS)
            if pipe is not None and not thread.is_alive():  # else closing it would wait, too
                pipe.close()
        with contextlib.suppress(OSError):  # what was still to be sent has no reader
            if process.stdin is not None:
                process.stdin.close()

    # --- the threads that read -----------------------------------------------------------

    def _read_log(self, stream: IO[bytes]) -> None:
        log = logging.getLogger("napari_msd.trainer.output")
        for line in stream:
            text = line.decode(errors="replace").rstrip()
            self._log.append(text)
            self._core_on_trial = core_trial.read_on_trial(text, self._core_on_trial)
            log.info("%s", text)

    def _read_events(self, process: subprocess.Popen[bytes], log: threading.Thread) -> None:
        assert process.stdout is not None
        with contextlib.suppress(ValueError):  # no frame of ours: the process cannot be used
            for frame in read_frames(process.stdout):
                self._read_event(frame)
        if self._ending:
            return
        process.kill()
        process.wait()
        log.join(READ_SECONDS)
        if self._core_on_trial is not None and core_trial.crashed(process.returncode):
            _crashed_cores.add(self._core_on_trial)
        logging.getLogger(__name__).warning(
            "The trainer process %s (%s). %s",
            self.what_happened,
            process.returncode,
            "\n".join(["Its last lines:", *self._log]) if self._log else "It wrote nothing.",
        )
        self._on_death()

    def _read_event(self, frame: bytearray) -> None:
        try:
            envelope = decode_event(frame)
        except (msgspec.DecodeError, ValueError):
            logging.getLogger(__name__).exception("A message of the trainer was not understood")
            if not self._misunderstood:  # once: there may be many more
                self._misunderstood = True
                words = Notice("warning", "A message of the trainer was not understood.")
                self._pass_on(EventEnvelope(Stamp(self._session, NO_EPOCH, NOT_SENT), words))
            return
        match envelope.event:
            case Heartbeat(turn, cpu_seconds):
                self._watch.beat(turn, cpu_seconds)
            case _:
                self._pass_on(envelope)

    def _pass_on(self, envelope: EventEnvelope) -> None:
        if not self._ending:
            self._on_event(envelope)
