"""One trainer process under appose: its pipes, its shared memory, its end."""

from __future__ import annotations

import contextlib
import logging
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from appose.service import ResponseType, Service, TaskEvent

from napari_msd.trainer.hang_watch import HangWatch
from napari_msd.trainer.limits import SLOT_BYTES, SLOT_PLANES
from napari_msd.trainer.messages import OverlayBlock
from napari_msd.trainer.sharing import Shared, share

PROGRAM = "from napari_msd.trainer.process import run; run()"

SERVE = """
from napari_msd.trainer.server import serve
serve(lambda data: task.update(info=data))
"""

RECEIVE = """
from napari_msd.trainer.inbox import receive
receive(number, name, inputs)
"""


class TrainerProcess:
    """A worker that runs this very interpreter.

    It imports nothing from the folder that the viewer was started in, where there may be
    other people's data, and does not need that folder.

    Parameters
    ----------
    on_event
        Called with an event's data, on appose's thread.
    on_death
        Called once if the process ends before `end`, on appose's thread. The
        report of its end goes to the log.
    """

    def __init__(
        self, on_event: Callable[[dict[str, Any]], None], on_death: Callable[[], None]
    ) -> None:
        self._on_event = on_event
        self._on_death = on_death
        self._ending = False
        self._fault = ""
        self._watch = HangWatch()
        self._requests = 0
        self._in_flight: dict[str, Shared] = {}
        self._lock = threading.Lock()
        self._slot: Shared | None = None
        # appose's Environment.python() would take the first python on PATH, which
        # need not have this package; a Service takes the interpreter itself.
        self._service = Service(
            sys.prefix,
            {"PYTHONUNBUFFERED": "1", "PYTHONSAFEPATH": "1"},
            sys.executable,
            "-P",
            "-c",
            PROGRAM,
        )

    def start(self) -> None:
        """Launch it.

        Raises
        ------
        OSError
            If the system cannot start a process or give shared memory.
        """
        self._slot = share(np.zeros(SLOT_PLANES * SLOT_BYTES, np.uint8))
        _end_with_main_thread(self)
        try:
            self._service.start()
        except OSError:
            self._free()
            raise
        if self._ending:  # the program ended meanwhile
            self._service.kill()
        task = self._service.task(SERVE)
        task.listen(self._hear)
        with contextlib.suppress(OSError, ValueError):  # dead already: `on_death` tells
            task.start()

    @property
    def slot(self) -> Any:
        """What to put into a request for the overlay slot."""
        return self._slot.handle if self._slot is not None else None

    def request(self, name: str, inputs: dict[str, Any], pixels: Shared | None = None) -> None:
        """Send a request; `pixels` are freed when they arrived."""
        inputs = dict(inputs)
        if pixels is not None:
            inputs["pixels"] = pixels.handle
        task = self._service.task(
            RECEIVE, {"number": self._requests, "name": name, "inputs": inputs}
        )
        self._requests += 1
        if pixels is not None:
            with self._lock:
                self._in_flight[task.uuid] = pixels
            task.listen(self._arrived)
        with contextlib.suppress(OSError, ValueError):  # a dead process: `on_death` tells
            task.start()

    def take_overlay(self, block: OverlayBlock) -> OverlayBlock | None:
        """The block with copies of what the slot holds of it; None after the end."""
        with self._lock:
            if self._slot is None:
                return None
            values: npt.NDArray[np.generic] = self._slot.ndarray()
            shape = block.region.shape
            size = shape[0] * shape[1]
            labels = values[:size].reshape(shape).copy()
            uncertainty = None
            if block.unsure:
                uncertainty = values[SLOT_BYTES : SLOT_BYTES + size].reshape(shape).copy()
            del values  # before the lock opens: the memory may be freed then
        return replace(block, labels=labels, uncertainty=uncertainty)

    def tick(self) -> None:
        """A second passed: a process that hangs is killed, and dies as of itself."""
        if self._ending or self._fault or not self._service.is_alive():
            return
        self._fault = self._watch.tick()
        if self._fault:
            self._service.kill()

    @property
    def what_happened(self) -> str:
        """Why it died, as the rest of a sentence about the trainer."""
        if self._fault:
            return f"{self._fault} and was ended"
        process = _popen(self._service)
        killed = -getattr(signal, "SIGKILL", 0)
        if killed and process is not None and process.returncode == killed:
            return (
                "stopped unexpectedly (it was killed from outside, perhaps because the machine "
                "ran out of memory)"
            )
        return "stopped unexpectedly"

    def kill(self) -> None:
        """Kill the process, from any thread; `end` has to follow."""
        self._ending = True
        if self._service.is_alive():
            self._service.kill()

    def end(self) -> None:
        """Kill the process, wait for it, give back all that it took. Always safe."""
        self.kill()
        process = _popen(self._service)
        if process is not None:
            self._service.wait_for()
            for pipe in (process.stdin, process.stdout, process.stderr):
                with contextlib.suppress(OSError):  # what was still to be sent has no reader
                    if pipe is not None:
                        pipe.close()
        self._free()

    def _free(self) -> None:
        with self._lock:
            shared, self._in_flight = list(self._in_flight.values()), {}
            slot, self._slot = self._slot, None
            for array in [*shared, *([slot] if slot is not None else [])]:
                array.free()

    def _hear(self, event: TaskEvent) -> None:
        if event.response_type is ResponseType.UPDATE:
            if event.info is None or self._ending:
                return
            beat = event.info.get("beat")
            if beat is not None:
                self._watch.beat(*beat)
            else:
                self._on_event(event.info)
        elif event.response_type.is_terminal() and not self._ending:
            logging.getLogger(__name__).warning("The trainer process ended:\n%s", event.task.error)
            self._on_death()

    def _arrived(self, event: TaskEvent) -> None:
        if event.response_type.is_terminal():
            with self._lock:
                array = self._in_flight.pop(event.task.uuid, None)
                if array is not None:
                    array.free()


def _popen(service: Service) -> subprocess.Popen[str] | None:
    """The process behind a service; appose has no public way to its pipes."""
    process: subprocess.Popen[str] | None = service._process
    return process


# --- the end of the program -------------------------------------------------------------------

_started: weakref.WeakSet[TrainerProcess] = weakref.WeakSet()
_started_lock = threading.Lock()
_watcher: threading.Thread | None = None


def _end_with_main_thread(process: TrainerProcess) -> None:
    """Kill the process when the program ends without having closed it.

    Appose's reader threads would keep a finished program waiting for the worker. One
    thread for all processes: it lives as long as the program.
    """
    global _watcher
    with _started_lock:
        _started.add(process)
        if _watcher is None or not _watcher.is_alive():
            _watcher = threading.Thread(target=_end_all, name="trainer-end", daemon=True)
            _watcher.start()


def _end_all() -> None:
    threading.main_thread().join()
    with _started_lock:
        processes = list(_started)
    for process in processes:
        process.kill()
