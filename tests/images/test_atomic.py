"""Writing all or nothing."""

import errno
import os
import signal
import stat
import subprocess
import sys

import pytest

from napari_msd.core.errors import ExportError
from napari_msd.images import atomic, leftovers
from napari_msd.images.atomic import explain, make_folder, require_writable, write_atomically

posix = pytest.mark.skipif(os.name != "posix", reason="Windows has no such modes")


def test_interrupted_write_leaves_nothing(tmp_path):
    def interrupt(file):
        file.write(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "a", interrupt)
    assert list(tmp_path.iterdir()) == []


def test_error_of_another_kind_passes_and_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError):
        write_atomically(tmp_path / "a", lambda file: file.write(bytes(1 // 0)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "disk is full"),
        (OSError("250000 requested and 64928 written"), "disk is full"),
        (OSError(errno.EROFS, "Read-only"), "read-only"),
        (OSError(errno.EIO, "Input/output error"), "Input/output error"),
        (OSError("something else."), "something else"),
        (OSError(), "OSError"),
    ],
)
def test_reasons_are_half_a_sentence(error, words):
    assert words in explain(error)
    assert not explain(error).endswith(".")


def test_folders_are_made(tmp_path):
    folder = make_folder(tmp_path / "a" / "b")
    assert folder.is_dir()
    assert make_folder(folder) == folder
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ExportError, match="a file has this name"):
        make_folder(tmp_path / "file")
    with pytest.raises(ExportError, match="Cannot make the folder"):
        make_folder(tmp_path / "file" / "b")


# --- who may read it ---------------------------------------------------------------------


@posix
@pytest.mark.parametrize("mode", [0o640, 0o600, 0o664, 0o444])
def test_the_mode_of_the_file_that_was_there_is_kept(tmp_path, mode):
    """0640 became 0644: a private file was readable to others."""
    path = tmp_path / "a"
    path.write_bytes(b"old")
    path.chmod(mode)
    write_atomically(path, lambda file: file.write(b"new"))
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert path.read_bytes() == b"new"


@posix
def test_a_private_file_is_never_readable_while_it_is_written(tmp_path):
    path = tmp_path / "a"
    path.touch(0o600)
    modes = []

    def write(file):
        modes.append(stat.S_IMODE(os.fstat(file.fileno()).st_mode))

    write_atomically(path, write)
    assert modes == [0o600]


@posix
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_a_new_file_follows_the_umask(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        write_atomically(tmp_path / "a", lambda file: file.write(b"new"))
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == mode


@posix
@pytest.mark.parametrize(("mode", "kept"), [(0o640, 0o600), (0o664, 0o644), (0o607, 0o607)])
def test_another_group_may_do_no_more_than_everybody(tmp_path, monkeypatch, mode, kept):
    path = tmp_path / "a"
    path.touch()
    path.chmod(mode)
    before = atomic._existing_status

    def of_a_group_that_is_not_ours(target):
        about = list(before(target))
        about[5] = 54321  # st_gid
        return os.stat_result(about)

    def refuse(*arguments):
        raise PermissionError(errno.EPERM, "not yours")

    monkeypatch.setattr(atomic, "_existing_status", of_a_group_that_is_not_ours)
    monkeypatch.setattr(os, "fchown", refuse)
    write_atomically(path, lambda file: file.write(b"new"))
    assert stat.S_IMODE(path.stat().st_mode) == kept


# --- impossible names ----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a\0b", "a\0", b"a\0b", None])
def test_an_impossible_name_is_our_error(name):
    for write in (lambda: write_atomically(name, print), lambda: require_writable(name)):
        with pytest.raises(ExportError, match="this name is impossible"):
            write()
    with pytest.raises(ExportError, match="this name is impossible"):
        make_folder(name)


def test_whether_it_could_be_written_is_known_before(tmp_path, unwritable):
    require_writable(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ExportError, match="its folder does not exist"):
        require_writable(tmp_path / "none" / "a")
    with pytest.raises(ExportError, match="a folder has this name"):
        require_writable(tmp_path)
    with pytest.raises(ExportError, match="too long"):
        require_writable(tmp_path / ("x" * 300))
    with unwritable(), pytest.raises(ExportError, match="may not be written to"):
        require_writable(tmp_path / "a")


def test_a_long_name_is_written(tmp_path):
    path = tmp_path / ("n" * 250)
    assert write_atomically(path, lambda file: file.write(b"new")).read_bytes() == b"new"


# --- what killed writers leave ----------------------------------------------------------------

WRITE_AND_WAIT = """
import sys, time
from napari_msd.images.atomic import write_atomically

def write(file):
    file.write(b"half")
    print("writing", flush=True)
    time.sleep(1000)

write_atomically(sys.argv[1], write)
"""


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def make_old(path):
    then = path.stat().st_mtime - leftovers.LEFTOVER_AGE - 60
    os.utime(path, (then, then))


def write_beside(folder):
    leftovers._last_sweep.clear()  # as another process does
    write_atomically(folder / "other", lambda file: file.write(b"other"))


@pytest.fixture
def writer(tmp_path):
    """Another process that is in the middle of writing ``labels.tif``."""
    arguments = [sys.executable, "-c", WRITE_AND_WAIT, str(tmp_path / "labels.tif")]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"writing" + os.linesep.encode()
        yield process
        process.kill()


def test_the_leftover_of_a_killed_writer_is_swept_after_a_day(tmp_path, writer):
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".labels.tif.")
    assert left.name.endswith(".napari-msd-part")
    make_old(left)
    write_beside(tmp_path)
    assert left.exists(), "its writer lives, however slow it is"
    writer.send_signal(signal.SIGKILL if os.name == "posix" else signal.SIGTERM)
    writer.wait()
    left.touch()
    write_beside(tmp_path)
    assert left.exists(), "it is not old yet"
    make_old(left)
    write_beside(tmp_path)
    assert names(tmp_path) == ["other"]


def test_only_what_is_ours_is_swept(tmp_path):
    ours = leftovers.unfinished(tmp_path / "a.tif").name.replace(f"-{os.getpid()}-", "-999999999-")
    machine = ours.split(".")[-2].split("-")[0]
    foreign = [
        "a.tif",
        ".0123456789ab.part",
        ".napari-msd-part",
        ".a.tif.napari-msd-part",
        "visible.1f0c2d9a-999999999-9a3be2c01d77.napari-msd-part",
        f".a.tif.{machine}-x-9a3be2c01d77.napari-msd-part",
        f"{ours}.txt",
        f".a.tif.{machine}-9999999999-9a3be2c01d77.napari-msd-part",
        f".a.tif.{machine}-{os.getpid()}-9a3be2c01d77.napari-msd-part",  # a living process
    ]
    for name in [ours, *foreign]:
        (tmp_path / name).touch()
        make_old(tmp_path / name)
    folder = ours.replace("a.tif", "folder")
    (tmp_path / folder).mkdir()
    make_old(tmp_path / folder)
    write_beside(tmp_path)
    assert names(tmp_path) == sorted([*foreign, folder, "other"])


def test_of_another_machine_only_old_ones_are_swept(tmp_path):
    """On a network drive: a process of this number here says nothing about the one there."""
    old, new = (
        tmp_path / f".a.{'0' * 8}-{os.getpid()}-{digit * 12}.napari-msd-part" for digit in "01"
    )
    for path in (old, new):
        path.touch()
    make_old(old)
    write_beside(tmp_path)
    assert names(tmp_path) == sorted([new.name, "other"])


@posix
def test_links_are_not_followed(tmp_path):
    kept = tmp_path / "kept"
    kept.touch()
    link = leftovers.unfinished(tmp_path / "a")
    link = link.with_name(link.name.replace(f"-{os.getpid()}-", "-999999999-"))
    link.symlink_to(kept)
    then = link.lstat().st_mtime - 10 * leftovers.LEFTOVER_AGE
    os.utime(link, (then, then), follow_symlinks=False)
    write_beside(tmp_path)
    assert names(tmp_path) == sorted([link.name, "kept", "other"])


def test_a_folder_is_not_looked_through_for_every_file(tmp_path, monkeypatch):
    """Thousands of images are segmented into one folder."""
    looked, scandir = [], os.scandir
    monkeypatch.setattr(os, "scandir", lambda folder: looked.append(folder) or scandir(folder))
    for number in range(5):
        write_atomically(tmp_path / str(number), lambda file: file.write(b"new"))
    assert looked == [tmp_path]
