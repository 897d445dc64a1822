"""Write a file so that a failure leaves an existing file unchanged.

The content goes into a hidden file beside the target, reaches the disk
(fsync) and only then takes the target's name. So a full disk, a crash or a power failure
never destroys an existing file. The new file has the access rights of the old one; without
an old file the umask applies.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from napari_msd.core.errors import ExportError, shown
from napari_msd.images.leftovers import sweep, unfinished

if TYPE_CHECKING:
    from collections.abc import Callable

_REASONS = {
    errno.ENOSPC: "the disk is full; free some space or choose another folder",
    errno.EDQUOT: "your disk quota is used up; free some space or choose another folder",
    errno.EACCES: "this folder may not be written to; choose another one",
    errno.EPERM: "this folder may not be written to; choose another one",
    errno.EROFS: "this disk is read-only; choose another folder",
    errno.ENOENT: "its folder does not exist; choose another one",
    errno.ENOTDIR: "its folder does not exist; choose another one",
    errno.EISDIR: "a folder has this name; choose another one",
    errno.ENAMETOOLONG: "this name is too long; choose a shorter one",
    errno.EFBIG: "this disk cannot hold so large a file; choose another folder",
}


_DEFAULT_MODE = 0o666
_PRIVATE_MODE = 0o600


def write_atomically(path: str | os.PathLike[str], write: Callable[[BinaryIO], None]) -> Path:
    """Let `write` fill a new file beside `path`, then give it the name `path`.

    Parameters
    ----------
    path
        Target; its folder must exist. A link is followed.
    write
        Called once with a binary, seekable file opened for writing.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    ExportError
        If the file cannot be written; nothing is left beside it, and an existing
        file at `path` is unchanged.
    """
    pending = PendingFile(path)
    try:
        write(pending.file)
        pending.publish()
    except OSError as error:
        pending.discard()
        if isinstance(error, ExportError):
            raise
        raise ExportError(f"Cannot write {str(path)!r}: {explain(error)}.") from error
    except BaseException:
        pending.discard()
        raise
    return pending.target


class PendingFile:
    """A new file under a hidden name, which takes the name of its target when it is complete.

    Parameters
    ----------
    path
        Target; its folder must exist. A link is followed.

    Attributes
    ----------
    file
        Binary, seekable, open for writing.
    target
        The file that it will be.

    Raises
    ------
    ExportError
        If it cannot be written; nothing is left beside it.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.target = _resolved(path)
        self._beside = unfinished(self.target)
        try:
            before = _existing_status(self.target)
            self.file = open_new(self._beside, _PRIVATE_MODE if before else _DEFAULT_MODE)
        except OSError as error:
            _remove(self._beside)
            raise ExportError(f"Cannot write {str(path)!r}: {explain(error)}.") from error
        sweep(self._beside)
        if before is not None:
            _copy_rights(self.file.fileno, before)

    def publish(self) -> None:
        """Give it its name, after it has reached the disk; whatever had the name is replaced.

        Raises
        ------
        OSError
            If the system refuses; it is still pending then.
        """
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()
        os.replace(self._beside, self.target)  # noqa: PTH105 - Path.replace would hide the point
        _sync_folder(self.target.parent)

    def discard(self) -> None:
        """Remove it; what is there under the target's name stays."""
        with contextlib.suppress(OSError):
            self.file.close()
        _remove(self._beside)


def require_writable(path: str | os.PathLike[str]) -> None:
    """Check before long work that its result can be written.

    Makes an empty hidden file beside `path` and removes it.

    Raises
    ------
    ExportError
        If the folder does not exist or is not writable, or the name is not possible.
    """
    target = _resolved(path)
    beside = unfinished(target)
    try:
        _existing_status(target)
        open_new(beside, _PRIVATE_MODE).close()
    except OSError as error:
        raise ExportError(f"Cannot write {str(path)!r}: {explain(error)}.") from error
    finally:
        _remove(beside)


def make_folder(path: str | os.PathLike[str]) -> Path:
    """Create the folder `path` and its parents, if they do not exist.

    Raises
    ------
    ExportError
        When that is not possible.
    """
    _resolved(path)
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise ExportError(
            f"Cannot write into {str(path)!r}: a file has this name; choose another folder."
        ) from error
    except OSError as error:
        raise ExportError(f"Cannot make the folder {str(path)!r}: {explain(error)}.") from error
    return folder


def explain(error: OSError) -> str:
    """Describe in half a sentence why the system refused and, if known, what to do."""
    number = error.errno
    if number is None and " requested and " in str(error):  # NumPy's message for a full disk
        number = errno.ENOSPC
    known = _REASONS.get(number or 0)
    return known or (error.strerror or str(error) or type(error).__name__).rstrip(".")


def open_new(path: Path, mode: int) -> BinaryIO:
    """Create a file that must not exist, for writing; the umask limits `mode`."""
    return open(path, "xb", opener=lambda name, flags: os.open(name, flags, mode))


def _resolved(path: str | os.PathLike[str]) -> Path:
    """Resolve `path` if it is a link.

    Raises
    ------
    ExportError
        For an impossible file name.
    """
    try:
        if b"\0" in os.fsencode(path):
            raise ValueError("embedded null character")
        return Path(os.path.realpath(os.fsdecode(path)))
    except (ValueError, TypeError) as error:  # also half a character, or not a path
        raise ExportError(f"Cannot write {shown(str(path))}: this name is impossible.") from error


def _existing_status(target: Path) -> os.stat_result | None:
    """The status of the file that will be replaced; `None` if there is none."""
    try:
        before = target.stat()
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(before.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    return before


def _copy_rights(fileno: Callable[[], int], before: os.stat_result) -> None:
    """Give a new, still empty file the owner, group and mode of the one it replaces.

    If the group cannot be kept, the new group gets only the rights that everybody had.
    """
    if sys.platform == "win32":
        return
    with contextlib.suppress(OSError):
        handle = fileno()
        mode = stat.S_IMODE(before.st_mode) & 0o777
        made = os.fstat(handle)
        if made.st_gid != before.st_gid:
            try:
                os.fchown(handle, -1, before.st_gid)
            except OSError:
                mode &= ~0o070 | (mode & 0o007) << 3
        if made.st_uid != before.st_uid:
            with contextlib.suppress(OSError):
                os.fchown(handle, before.st_uid, -1)
        os.fchmod(handle, mode)


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Write the new name to disk; not every system or file system supports this."""
    if os.name != "posix":
        return
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
