"""Arrays that both processes see: in shared memory, or in a file where there is too little.

The viewer makes them and frees them. Shared memory is often a small file system (Docker
gives it 64 MB), and a write beyond its end kills the process with SIGBUS. So room is
asked for before anything is written; without room a temporary file serves as well.
"""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from pathlib import Path
from typing import Any, Protocol

import appose
import numpy as np
import numpy.typing as npt

_CANNOT_TELL = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENODEV}
"""What a system answers that cannot set room aside: there is nothing to be learned from it."""


class Shared(Protocol):
    """An array that another process can reach."""

    @property
    def handle(self) -> Any:
        """What to put into a request for it."""
        ...

    def ndarray(self) -> npt.NDArray[np.generic]:
        """The array itself; let go of it before `free`."""
        ...

    def free(self) -> None:
        """Give the memory back."""
        ...


def share(array: npt.NDArray[np.generic]) -> Shared:
    """A copy of `array` for the other process, in this machine's byte order.

    Values of a type that cannot be sent become float32.

    Raises
    ------
    OSError
        If there is too little room for it in shared memory and on the disk.
    """
    if array.dtype.kind not in "uif" or array.dtype.itemsize not in (1, 2, 4, 8):
        array = array.astype(np.float32)
    array = np.ascontiguousarray(array, array.dtype.newbyteorder("="))
    try:
        return _InMemory(array)
    except OSError:
        return _InFile(array)


def attached(handle: Any) -> Any:
    """The other end of a `Shared.handle`: an object whose ``ndarray()`` is the same memory."""
    return _AttachedFile(handle) if isinstance(handle, dict) else handle


def fetched(handle: Any) -> npt.NDArray[np.generic]:
    """A copy of what a `Shared.handle` stands for."""
    if isinstance(handle, dict):
        array: npt.NDArray[np.generic] = np.fromfile(handle["file"], handle["dtype"])
        return array.reshape(handle["shape"])
    array = handle.ndarray().copy()
    handle.shm.close()
    return array


class _InMemory:
    """In the system's shared memory."""

    def __init__(self, array: npt.NDArray[np.generic]) -> None:
        self.handle = appose.NDArray(array.dtype.name, list(array.shape))
        try:
            set_aside(self.handle.shm)
        except OSError:
            self.free()
            raise
        self.ndarray()[...] = array

    def ndarray(self) -> npt.NDArray[np.generic]:
        array: npt.NDArray[np.generic] = self.handle.ndarray()
        return array

    def free(self) -> None:
        self.handle.shm.close()
        with contextlib.suppress(FileNotFoundError):
            self.handle.shm.unlink()


def set_aside(memory: Any) -> None:
    """Make sure that all of a block of shared memory can be written.

    Systems without ``posix_fallocate`` (Windows, macOS) refuse a block that is too large
    when it is made.

    Raises
    ------
    OSError
        If there is too little room.
    """
    number = getattr(memory, "_fd", -1)  # Python has no public name for it
    if number < 0 or not hasattr(os, "posix_fallocate"):
        return
    try:
        os.posix_fallocate(number, 0, memory.size)
    except OSError as error:
        if error.errno not in _CANNOT_TELL:
            raise


class _InFile:
    """In a temporary file that both processes map or read."""

    def __init__(self, array: npt.NDArray[np.generic]) -> None:
        number, name = tempfile.mkstemp(prefix="napari-msd-", suffix=".shared")
        self._path = Path(name)
        self.handle = {"file": name, "dtype": array.dtype.name, "shape": list(array.shape)}
        try:
            with os.fdopen(number, "wb") as file:
                file.write(array.data.cast("B") if array.size else b"")  # room, for good
        except OSError:
            self.free()
            raise

    def ndarray(self) -> npt.NDArray[np.generic]:
        return _AttachedFile(self.handle).ndarray()

    def free(self) -> None:
        # on Windows it cannot go while the other process has it open
        with contextlib.suppress(FileNotFoundError, PermissionError):
            self._path.unlink()


class _AttachedFile:
    """A mapped file."""

    def __init__(self, handle: dict[str, Any]) -> None:
        self._handle = handle

    def ndarray(self) -> npt.NDArray[np.generic]:
        handle = self._handle
        shape = tuple(handle["shape"])
        return np.memmap(handle["file"], handle["dtype"], "r+", shape=shape)
