"""One trainer process under appose: its pipe, its shared memory, its end."""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import appose
import numpy as np
import numpy.typing as npt
from appose.service import ResponseType, Service, TaskEvent

from napari_msd.worker.limits import SLOT_BYTES, SLOT_PLANES
from napari_msd.worker.messages import OverlayBlock

INIT = """
import numpy
from napari_msd.worker.process import settle_in
settle_in()
import napari_msd.worker.server
"""
"""Before appose reads its first request: on Windows numpy can hang when imported later."""

SERVE = """
from napari_msd.worker.server import serve
serve(lambda data: task.update(info=data))
"""

RECEIVE = """
from napari_msd.worker.inbox import receive
receive(number, name, inputs)
"""


class TrainerProcess:
    """A worker that runs this very interpreter.

    Parameters
    ----------
    on_event
        Called with an event's data, on appose's thread.
    on_death
        Called once if the process ends before `end`, on appose's thread. The
        report of its end goes to the log, at level info.
    """

    def __init__(
        self, on_event: Callable[[dict[str, Any]], None], on_death: Callable[[], None]
    ) -> None:
        self._on_event = on_event
        self._on_death = on_death
        self._ending = False
        self._requests = 0
        self._in_flight: dict[str, appose.NDArray] = {}
        self._lock = threading.Lock()
        # appose's Environment.python() would take the first python on PATH, which
        # need not have this package; a Service takes the interpreter itself.
        self._service = Service(
            Path.cwd(),
            {"PYTHONUNBUFFERED": "1"},
            sys.executable,
            "-c",
            "import appose.python_worker; appose.python_worker.main()",
        ).init(INIT)
        self.slot: appose.NDArray | None = None

    def start(self) -> None:
        """Launch it.

        Raises
        ------
        OSError
            If the system cannot start a process or give shared memory.
        """
        self.slot = appose.NDArray("uint8", [SLOT_PLANES * SLOT_BYTES])
        try:
            self._service.start()
        except OSError:
            _free(self.slot)
            raise
        threading.Thread(target=self._end_with_main_thread, daemon=True).start()
        task = self._service.task(SERVE)
        task.listen(self._hear)
        task.start()

    def request(
        self, name: str, inputs: dict[str, Any], pixels: npt.NDArray[np.generic] | None = None
    ) -> None:
        """Send a request; `pixels` go through shared memory and are freed when they arrived."""
        inputs = dict(inputs)
        shared = None
        if pixels is not None:
            shared = inputs["pixels"] = _share(pixels)
        number, self._requests = self._requests, self._requests + 1
        task = self._service.task(RECEIVE, {"number": number, "name": name, "inputs": inputs})
        if shared is not None:
            with self._lock:
                self._in_flight[task.uuid] = shared
            task.listen(self._arrived)
        with contextlib.suppress(OSError, ValueError):  # a dead process: `on_death` tells
            task.start()

    def take_overlay(self, block: OverlayBlock) -> OverlayBlock:
        """The block with copies of what the slot holds of it."""
        assert self.slot is not None
        values: npt.NDArray[np.uint8] = self.slot.ndarray()
        shape = block.region.shape
        size = shape[0] * shape[1]
        labels = values[:size].reshape(shape).copy()
        if not block.unsure:
            return replace(block, labels=labels)
        uncertainty = values[SLOT_BYTES : SLOT_BYTES + size].reshape(shape).copy()
        return replace(block, labels=labels, uncertainty=uncertainty)

    def kill(self) -> None:
        """Kill the process, from any thread; `end` has to follow."""
        self._ending = True
        if self._service.is_alive():
            self._service.kill()

    def end(self) -> None:
        """Kill the process, wait for it, free its shared memory. Always safe."""
        self.kill()
        self._service.wait_for()
        with self._lock:
            shared, self._in_flight = list(self._in_flight.values()), {}
        for array in [*shared, *([self.slot] if self.slot is not None else [])]:
            _free(array)
        self.slot = None

    def _hear(self, event: TaskEvent) -> None:
        if event.response_type is ResponseType.UPDATE:
            if event.info is not None and not self._ending:
                self._on_event(event.info)
        elif event.response_type.is_terminal() and not self._ending:
            logging.getLogger(__name__).info("The trainer process ended:\n%s", event.task.error)
            self._on_death()

    def _arrived(self, event: TaskEvent) -> None:
        if event.response_type.is_terminal():
            with self._lock:
                array = self._in_flight.pop(event.task.uuid, None)
            if array is not None:
                _free(array)

    def _end_with_main_thread(self) -> None:
        """Appose's reader threads would keep a finished program waiting for the worker."""
        threading.main_thread().join()
        self.kill()


def _share(pixels: npt.NDArray[np.generic]) -> appose.NDArray:
    """A copy of `pixels` in shared memory, in the machine's byte order."""
    if pixels.dtype.kind not in "uif" or pixels.dtype.itemsize not in (1, 2, 4, 8):
        pixels = pixels.astype(np.float32)
    shared = appose.NDArray(pixels.dtype.newbyteorder("=").name, list(pixels.shape))
    shared.ndarray()[...] = pixels
    return shared


def _free(array: appose.NDArray) -> None:
    array.shm.close()
    with contextlib.suppress(FileNotFoundError):
        array.shm.unlink()
