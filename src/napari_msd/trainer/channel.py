"""Messages over a pair of byte streams: frames of msgpack, each behind its length.

Two pipes of a child process serve as well as a socket. Nothing has to be freed, and there is
no place that can be too small.
"""

from __future__ import annotations

import contextlib
import struct
import sys
import threading
from collections.abc import Iterator
from typing import IO

import msgspec

from napari_msd.trainer.arrays import check_array, decode_array, encode_value
from napari_msd.trainer.envelopes import EventEnvelope, RequestEnvelope

MOST_BYTES = 1 << 30
"""Of one frame. A length above it is not a frame of ours."""

PIPE_BYTES = 1 << 20
"""Of a pipe, where its size can be chosen: what Linux lets anybody have."""

_LENGTH = struct.Struct("<I")

_encoder = msgspec.msgpack.Encoder(enc_hook=encode_value)
_requests = msgspec.msgpack.Decoder(RequestEnvelope, dec_hook=check_array, ext_hook=decode_array)
_events = msgspec.msgpack.Decoder(EventEnvelope, dec_hook=check_array, ext_hook=decode_array)


def encode(message: RequestEnvelope | EventEnvelope) -> bytes:
    """A message as the content of a frame."""
    return _encoder.encode(message)


def decode_request(frame: bytes | bytearray) -> RequestEnvelope:
    """Read a request.

    Raises
    ------
    msgspec.DecodeError
        If it is none, or has another form.
    ValueError
        If an array in it is not what it should be.
    """
    return _requests.decode(frame)


def decode_event(frame: bytes | bytearray) -> EventEnvelope:
    """Read an event; raises the same as `decode_request`."""
    return _events.decode(frame)


class FrameWriter:
    """Writes whole frames, from any thread.

    Parameters
    ----------
    stream
        Binary, blocking.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def write(self, frame: bytes) -> None:
        """Write a frame; waits while the stream is full.

        Raises
        ------
        OSError
            If nobody reads any more.
        ValueError
            If the frame is longer than `MOST_BYTES`, or the stream was closed.
        """
        if len(frame) > MOST_BYTES:
            raise ValueError(f"A message of {len(frame)} bytes is too long")
        with self._lock:
            self._stream.write(_LENGTH.pack(len(frame)))
            self._stream.write(frame)
            self._stream.flush()


def read_frames(stream: IO[bytes]) -> Iterator[bytearray]:
    """Every frame until the stream ends, also where it ends within a frame.

    Raises
    ------
    ValueError
        If what comes is no frame of ours.
    """
    length = bytearray(_LENGTH.size)
    while _fill(stream, length):
        (size,) = _LENGTH.unpack(length)
        if size > MOST_BYTES:
            raise ValueError(f"A message of {size} bytes is too long")
        frame = bytearray(size)
        if not _fill(stream, frame):
            return
        yield frame


def _fill(stream: IO[bytes], buffer: bytearray) -> bool:
    """Read until `buffer` is full; False at the end of the stream."""
    rest = memoryview(buffer)
    while rest:
        try:
            n = stream.readinto(rest)  # type: ignore[attr-defined]  # typeshed has it in the raw classes
        except (OSError, ValueError):  # the other end was killed, or ours was closed
            return False
        if not n:
            return False
        rest = rest[n:]
    return True


def widen(pipe: IO[bytes]) -> None:
    """Let a pipe hold a whole block of the overlay at once, where the system allows it (Linux).

    A reader in a process with a busy window gets Python's lock every few milliseconds only; from a
    pipe of the usual 64 kB it would need it sixteen times for such a block.
    """
    if sys.platform == "linux":
        import fcntl

        with contextlib.suppress(OSError):
            fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, PIPE_BYTES)
