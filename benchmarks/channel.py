"""How long messages take between two processes: our channel, and what could replace it.

Measured from the first byte to the answer of the other process:

- request: a stroke of 32 x 32 pixels;
- tile: a block of 1024 x 1024 labels comes back as an array;
- plane: 64 MB of uint16 are there as an array (as many as ``--megabytes`` says);
- behind: a stroke that is sent right after such a plane, and may not wait for all of it.

Ways: ``pipes``, as `napari_msd.trainer.channel` does it; ``connection``, the same messages over
`multiprocessing.connection`; ``appose``, a script for every message and shared memory for
arrays, as the first version did it (skipped where appose is not installed). All have to deliver the
same values before anything is timed.

Run: ``python benchmarks/channel.py [--repeat 20] [--megabytes 64]``
"""

from __future__ import annotations

import argparse
import base64
import os
import platform
import statistics
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from multiprocessing.connection import Client, Connection, Listener
from time import perf_counter
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from napari_msd.core.box import Box
from napari_msd.document import Painted
from napari_msd.trainer.arrays import Pixels
from napari_msd.trainer.channel import (
    FrameWriter,
    decode_event,
    decode_request,
    encode,
    read_frames,
)
from napari_msd.trainer.envelopes import EventEnvelope, RequestEnvelope, Stamp
from napari_msd.trainer.messages import (
    Event,
    Finished,
    Measure,
    Notice,
    OverlayBlock,
    PixelsPart,
    Refresh,
    Request,
    SetStrokes,
)
from napari_msd.trainer.pixel_parts import PixelAssembly, parts_of
from napari_msd.trainer.process import take_streams
from napari_msd.trainer.send_queue import SendQueue

TILE = np.random.default_rng(0).integers(0, 9, (1024, 1024)).astype(np.uint8)
STROKE = np.random.default_rng(1).integers(0, 3, (32, 32)).astype(np.uint8)


class Way(Protocol):
    """One way to another process."""

    def request(self) -> None:
        """Send a stroke; wait for the answer."""
        ...

    def tile(self) -> npt.NDArray[np.uint8]:
        """Ask for a tile; wait for it."""
        ...

    def plane(self, pixels: Pixels) -> None:
        """Send a plane; wait until it is there."""
        ...

    def behind(self, pixels: Pixels) -> float:
        """Send a plane, then a stroke; returns the seconds until the stroke was answered."""
        ...

    def checksum(self) -> int:
        """Of the last plane that arrived."""
        ...

    def close(self) -> None:
        """End the other process."""
        ...


# --- typed messages ------------------------------------------------------------------------------


def answers(frames: Iterator[bytearray]) -> Iterator[bytes]:
    """The other process: what it says to each request."""
    assembly, last, numbers = PixelAssembly(), np.zeros(1), count(1)
    for frame in frames:
        event: Event | None = None
        match decode_request(frame).request:
            case SetStrokes():
                event = Finished("update")
            case Refresh():
                event = OverlayBlock(Box.whole(0, TILE.shape), 1, TILE)
            case PixelsPart() as part:
                pixels = assembly.add(part)
                if pixels is not None:
                    last, event = pixels, Finished("predict")
            case Measure():
                event = Notice("info", str(zlib.crc32(last)))
        if event is not None:
            yield encode(EventEnvelope(Stamp(1, 1, next(numbers)), event))


class Messages:
    """Typed messages over something that carries frames."""

    def __init__(
        self, write: Callable[[bytes], None], frames: Iterator[bytearray], end: Callable[[], None]
    ) -> None:
        self._write = write
        self._frames = frames
        self._end = end
        self._numbers = count(1)
        self._queue = SendQueue(lambda error: None, lambda: None)
        self._stroke = SetStrokes((Painted(Box.whole(0, STROKE.shape), STROKE),))

    def _send(self, request: Request) -> None:
        self._write(encode(RequestEnvelope(Stamp(1, 1, next(self._numbers)), request)))

    def _next(self) -> Event:
        return decode_event(next(self._frames)).event

    def _parts(self, pixels: Pixels) -> Iterator[None]:
        for part in parts_of(Box.whole(0, pixels.shape), pixels):
            self._send(part)
            yield

    def request(self) -> None:
        """See `Way`."""
        self._queue.put(lambda: self._send(self._stroke))
        assert self._next() == Finished("update")

    def tile(self) -> npt.NDArray[np.uint8]:
        """See `Way`."""
        self._queue.put(lambda: self._send(Refresh()))
        block = self._next()
        assert isinstance(block, OverlayBlock)
        return block.labels

    def plane(self, pixels: Pixels) -> None:
        """See `Way`."""
        self._queue.put_bulk(self._parts(pixels))
        assert self._next() == Finished("predict")

    def behind(self, pixels: Pixels) -> float:
        """See `Way`."""
        begun = threading.Event()

        def parts() -> Iterator[None]:
            for number, _ in enumerate(self._parts(pixels)):
                if number == 2:
                    begun.set()
                yield

        self._queue.put_bulk(parts())
        begun.wait()
        began = perf_counter()
        self._queue.put(lambda: self._send(self._stroke))
        assert self._next() == Finished("update")
        seconds = perf_counter() - began
        assert self._next() == Finished("predict")
        return seconds

    def checksum(self) -> int:
        """See `Way`."""
        self._queue.put(lambda: self._send(Measure(())))
        notice = self._next()
        assert isinstance(notice, Notice)
        return int(notice.text)

    def close(self) -> None:
        """See `Way`."""
        self._queue.close()
        self._queue.join(5)
        self._end()


def over_pipes() -> Way:
    """As the trainer's channel does it."""
    process = subprocess.Popen(
        [sys.executable, __file__, "--serve", "pipes"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    stdin = process.stdin

    def end() -> None:
        stdin.close()
        process.wait()

    return Messages(FrameWriter(stdin).write, read_frames(process.stdout), end)


def over_connection() -> Way:
    """The same messages over the standard library's connections."""
    with Listener() as listener:
        command = [sys.executable, __file__, "--serve", str(listener.address)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE)
        assert process.stdin is not None
        connection = listener.accept()

    def end() -> None:
        connection.close()
        process.communicate()

    return Messages(connection.send_bytes, frames_of(connection), end)


def frames_of(connection: Connection) -> Iterator[bytearray]:
    """Every message of a connection, until it ends."""
    with suppress(EOFError, OSError):
        while True:
            yield bytearray(connection.recv_bytes())


def serve(way: str) -> None:
    """Run as the other process."""
    if way == "pipes":
        source, sink = take_streams()
        writer = FrameWriter(sink)
        for answer in answers(read_frames(source)):
            writer.write(answer)
    else:
        with Client(way) as connection:
            for answer in answers(frames_of(connection)):
                connection.send_bytes(answer)


# --- scripts and shared memory -------------------------------------------------------------------


KEEP_TILE = """
import base64, zlib, numpy
data = zlib.decompress(base64.b64decode(values))
task.export(tile=numpy.frombuffer(data, "u1").reshape(1024, 1024))
"""


class Appose:
    """As the first version of napari-msd did it."""

    def __init__(self) -> None:
        import appose
        from appose.service import Service

        self._appose = appose
        program = "import numpy; from appose import python_worker; python_worker.main()"
        self._service = Service(sys.prefix, {}, sys.executable, "-c", program)
        self._service.start()
        self._slot = appose.NDArray("uint8", list(TILE.shape))
        values = base64.b64encode(zlib.compress(TILE, 1)).decode()
        self._do(KEEP_TILE, {"values": values})

    def _start(self, script: str, inputs: dict[str, Any]) -> Any:
        task = self._service.task(script, inputs)
        task.start()
        return task

    def _do(self, script: str, inputs: dict[str, Any]) -> dict[str, Any]:
        task = self._start(script, inputs)
        task.wait_for()
        outputs: dict[str, Any] = task.outputs
        return outputs

    def _stroke(self) -> tuple[str, dict[str, Any]]:
        values = base64.b64encode(zlib.compress(STROKE, 1)).decode()
        script = "import zlib, base64\nzlib.decompress(base64.b64decode(values))"
        return script, {"values": values, "region": [0, 0, 32, 32]}

    def request(self) -> None:
        """See `Way`."""
        self._do(*self._stroke())

    def tile(self) -> npt.NDArray[np.uint8]:
        """See `Way`."""
        self._do("slot.ndarray()[...] = tile", {"slot": self._slot})
        labels: npt.NDArray[np.uint8] = self._slot.ndarray().copy()
        return labels

    def _shared(self, pixels: Pixels) -> Any:
        shared = self._appose.NDArray(pixels.dtype.name, list(pixels.shape))
        if hasattr(os, "posix_fallocate"):  # or a small /dev/shm ends the program
            os.posix_fallocate(shared.shm._fd, 0, shared.shm.size)
        shared.ndarray()[...] = pixels
        return shared

    def _arrives(self, shared: Any) -> Any:
        script = "task.export(last=pixels.ndarray().copy())\npixels.shm.close()"
        return self._start(script, {"pixels": shared})

    def plane(self, pixels: Pixels) -> None:
        """See `Way`."""
        shared = self._shared(pixels)
        self._arrives(shared).wait_for()
        shared.shm.close()
        shared.shm.unlink()

    def behind(self, pixels: Pixels) -> float:
        """See `Way`."""
        began = perf_counter()
        shared = self._shared(pixels)  # on the thread that sends
        plane = self._arrives(shared)
        self.request()
        seconds = perf_counter() - began
        plane.wait_for()
        shared.shm.close()
        shared.shm.unlink()
        return seconds

    def checksum(self) -> int:
        """See `Way`."""
        outputs = self._do("import zlib\ntask.outputs['crc'] = zlib.crc32(last)", {})
        return int(outputs["crc"])

    def close(self) -> None:
        """See `Way`."""
        self._service.close()
        self._service.wait_for()
        self._slot.shm.close()
        self._slot.shm.unlink()


# --- measuring -----------------------------------------------------------------------------------


def timed(work: Callable[[], object], repeat: int) -> list[float]:
    """Milliseconds of each run after the first."""
    seconds = []
    for _ in range(repeat + 1):
        began = perf_counter()
        work()
        seconds.append(1000 * (perf_counter() - began))
    return seconds[1:]


def measure(name: str, way: Way, pixels: Pixels, repeat: int) -> None:
    """Check one way, then time it."""
    assert np.array_equal(way.tile(), TILE), name
    way.plane(pixels)
    assert way.checksum() == zlib.crc32(pixels), name
    columns = {
        "request": timed(way.request, 10 * repeat),
        "tile": timed(way.tile, repeat),
        "plane": timed(lambda: way.plane(pixels), repeat),
        "behind": [1000 * way.behind(pixels) for _ in range(repeat)],
    }
    print(f"{name:11}", end="")
    for times in columns.values():
        print(f"{statistics.median(times):9.2f} ({max(times):7.2f})", end="")
    print(flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=20)
    parser.add_argument("--megabytes", type=int, default=64)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.serve)
        return
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, ", end="")
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(f"load {load:.1f}, {platform.system()}, Python {platform.python_version()}")
    rng = np.random.default_rng(2)
    pixels = rng.integers(0, 60_000, (arguments.megabytes * 512, 1024), np.uint16)
    print(f"milliseconds, median (most) of {arguments.repeat}")
    print(" " * 11 + "".join(f"{name:>19}" for name in ("request", "tile", "plane", "behind")))
    ways: dict[str, Callable[[], Way]] = {"pipes": over_pipes, "connection": over_connection}
    with suppress(ImportError):
        import appose  # noqa: F401

        ways["appose"] = Appose
    for name, make in ways.items():
        way = make()
        try:
            measure(name, way, pixels, arguments.repeat)
        finally:
            way.close()


if __name__ == "__main__":
    main()
