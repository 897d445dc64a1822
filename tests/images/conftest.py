"""Disks that misbehave."""

import contextlib
import errno
import io
import os

import pytest

from napari_msd.images import atomic


class _FullDisk:
    """A file that takes some bytes and then has no room left."""

    def __init__(self, file, room):
        self.file, self.room = file, room

    def write(self, data):
        size = memoryview(data).nbytes
        if size > self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.room -= size
        return self.file.write(data)

    def fileno(self):
        raise io.UnsupportedOperation  # so that NumPy writes through `write`, too

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.file.close()

    def __getattr__(self, name):
        return getattr(self.file, name)


@pytest.fixture
def full_disk(monkeypatch):
    """While `full_disk(room)` is entered, a new file takes `room` bytes and no more."""

    @contextlib.contextmanager
    def fill(room=16):
        open_new = atomic.open_new
        with monkeypatch.context() as patch:
            patch.setattr(atomic, "open_new", lambda *a: _FullDisk(open_new(*a), room))
            yield

    return fill


@pytest.fixture
def unwritable(monkeypatch):
    """While entered, no folder may be written to (works for root, too)."""

    def refuse(path, mode):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    @contextlib.contextmanager
    def forbid():
        with monkeypatch.context() as patch:
            patch.setattr(atomic, "open_new", refuse)
            yield

    return forbid
