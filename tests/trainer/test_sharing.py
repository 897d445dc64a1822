"""Arrays for the other process: in shared memory if there is room, else in a file."""

import errno
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from appose.util import message

from napari_msd.trainer import sharing
from napari_msd.trainer.sharing import attached, fetched, share

ROOMS = ["memory", "file"]


def full(*args):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture(params=ROOMS)
def room(request, monkeypatch, tmp_path):
    monkeypatch.setattr(sharing.tempfile, "tempdir", str(tmp_path))
    if request.param == "file":
        monkeypatch.setattr(sharing, "set_aside", full)
    return tmp_path


def crossed(handle):
    """The handle as the other process gets it."""
    return message.decode(message.encode({"it": handle}))["it"]


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12, dtype=np.uint16).reshape(3, 4).T,
        np.arange(24, dtype=">f4").reshape(2, 3, 4),
        np.array([[True, False]]),
        np.ones((2, 2), np.float16),
    ],
)
def test_an_array_arrives_as_it_was_and_is_freed(room, array):
    shared = share(array)
    assert np.array_equal(fetched(crossed(shared.handle)), array)
    shared.free()
    assert list(room.iterdir()) == []
    with pytest.raises(FileNotFoundError):
        fetched(crossed(shared.handle))


def test_both_ends_see_what_the_other_writes(room):
    shared = share(np.zeros(100, np.uint8))
    other = attached(crossed(shared.handle))
    other.ndarray()[10:20] = 7
    assert shared.ndarray()[10:20].tolist() == [7] * 10
    del other
    shared.free()
    assert list(room.iterdir()) == []


def test_too_little_room_anywhere_is_an_error_and_leaves_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr(sharing.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(sharing, "set_aside", full)
    monkeypatch.setattr(sharing.os, "fdopen", full)
    with pytest.raises(OSError, match="No space"):
        share(np.zeros((4, 4)))
    assert list(tmp_path.iterdir()) == []


def test_a_system_that_cannot_set_room_aside_is_trusted(monkeypatch):
    def unknown(*args):
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(sharing.os, "posix_fallocate", unknown, raising=False)
    shared = share(np.ones((2, 2)))
    assert not isinstance(shared.handle, dict)
    shared.free()


LIVE_IN_64_MB = """
    import ctypes, os, threading
    import numpy as np
    libc = ctypes.CDLL(None, use_errno=True)
    CLONE_NEWNS, MS_REC_PRIVATE = 0x20000, 0x4000 | (1 << 18)
    if (
        libc.unshare(CLONE_NEWNS)
        or libc.mount(b"none", b"/", None, MS_REC_PRIVATE, None)
        or libc.mount(b"tmpfs", b"/dev/shm", b"tmpfs", 0, b"size=64m")
    ):
        print("no mount")
        os._exit(0)
    from napari_msd.core.settings import Settings
    from napari_msd.core.planes import Region
    from napari_msd.trainer.client import TrainerClient
    from napari_msd.trainer.messages import Notice, OverlayBlock, StrokeBlock, View

    shown, words = threading.Event(), []

    def hear(session, event):
        if isinstance(event, Notice):
            words.append(event.text)
        if isinstance(event, (OverlayBlock, Notice)):
            shown.set()

    image = np.random.default_rng(0).integers(0, 60000, (6000, 6000), np.uint16)
    image[:, 30:] //= 4
    client = TrainerClient(hear)
    settings = Settings.from_preset(depth=3, patch_size=32)
    client.open(settings, image.shape, 1, lambda key: image)
    view = Region(0, 0, 64, 64)
    strokes = np.zeros(view.shape, np.uint8)
    strokes[:, 4:20], strokes[:, 40:50] = 1, 2
    client.set_strokes([StrokeBlock((), view, strokes)])
    client.set_view(View((), view))
    client.set_live(True)
    assert shown.wait(90)
    assert not words, words
    client.close()
    print("left", os.listdir("/dev/shm"))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs mount namespaces")
def test_a_plane_larger_than_all_shared_memory(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(LIVE_IN_64_MB)],
        capture_output=True,
        text=True,
        timeout=200,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    if "no mount" in done.stdout:
        pytest.skip("not allowed to mount here")
    assert done.returncode == 0, done.stderr  # -7 is SIGBUS
    assert done.stdout.split() == ["left", "[]"]
    assert list(Path(tmp_path).glob("napari-msd-*")) == []


def test_a_handle_of_a_file_is_plain_json(monkeypatch, tmp_path):
    monkeypatch.setattr(sharing.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(sharing, "set_aside", full)
    shared = share(np.zeros((2, 3), np.uint16))
    assert json.loads(json.dumps(shared.handle)) == shared.handle
    shared.free()
