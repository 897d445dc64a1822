"""The whole life of a trainer process: it reads requests until its viewer is gone."""

from __future__ import annotations

import faulthandler
import os
import queue
import signal
import sys
import threading
import traceback
from typing import BinaryIO

import msgspec

from napari_msd.core.logs import log_to_stderr
from napari_msd.trainer.channel import FrameWriter, decode_request, encode, read_frames
from napari_msd.trainer.envelopes import EventEnvelope
from napari_msd.trainer.inbox import Inbox
from napari_msd.trainer.priority import lower_priority

GRACE_SECONDS = 2.0
"""How long a step in progress may take to end by itself once the viewer is gone."""

MOST_WAITING = 64
"""Events that may wait for a viewer that does not read; then the trainer waits, too."""


def run(session: int) -> None:
    """Serve a session over standard input and output.

    The main thread reads; a thread of its own computes. When the input ends, because the viewer
    closed it, crashed or was killed, the process ends, too.
    """
    source, sink = take_streams()
    log_to_stderr()
    faulthandler.enable()  # a crash in compiled code leaves a traceback in the viewer's log
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for the viewer, which ends us
    inbox, warm = Inbox(), threading.Event()
    outgoing = EventWriter(sink)
    computing = threading.Thread(
        target=_compute, args=(outgoing, inbox, session, warm), name="trainer-loop", daemon=True
    )
    computing.start()
    warm.wait()  # on Windows libraries can hang that load while a read is waiting
    for frame in read_frames(source):
        try:
            inbox.put(decode_request(frame))
        except (msgspec.DecodeError, ValueError):  # goes to the viewer's log
            print("A request was not understood:", file=sys.stderr)
            traceback.print_exc()
    inbox.close()
    computing.join(GRACE_SECONDS)
    os._exit(0)


def take_streams() -> tuple[BinaryIO, BinaryIO]:
    """The pipes of this process for messages alone.

    What anything prints from now on goes to standard error, also from C; nothing else can read
    standard input.
    """
    sys.stdout.flush()
    source, sink = os.dup(0), os.dup(1)
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123 -- a device, not a path
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    if sys.platform == "win32":
        import msvcrt

        for number in (source, sink):
            msvcrt.setmode(number, os.O_BINARY)
    return os.fdopen(source, "rb"), os.fdopen(sink, "wb")


class EventWriter:
    """Writes events from a thread of its own: the loop does not wait for the viewer."""

    def __init__(self, sink: BinaryIO) -> None:
        self._frames = FrameWriter(sink)
        self._waiting: queue.Queue[bytes] = queue.Queue(MOST_WAITING)
        threading.Thread(target=self._loop, name="event-writer", daemon=True).start()

    def send(self, envelope: EventEnvelope) -> None:
        """Send an event after those before; waits only while very many wait."""
        self._waiting.put(encode(envelope))

    def _loop(self) -> None:
        while True:
            frame = self._waiting.get()
            try:
                self._frames.write(frame)
            except OSError:  # the viewer is gone; the main thread notices, too
                return


def _compute(outgoing: EventWriter, inbox: Inbox, session: int, warm: threading.Event) -> None:
    """Train until there is nothing more to be read; a mistake of ours ends the process."""
    try:
        from napari_msd.trainer.server import serve, warm_up

        warm_up()
        lower_priority()
        warm.set()
        serve(outgoing.send, inbox, session)
    except BaseException:  # the viewer logs it, and starts a new trainer from the last weights
        traceback.print_exc()
        os._exit(1)
