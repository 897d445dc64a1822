"""Write a file so that a failure leaves what was there before.

The content goes into a hidden file beside the target, reaches the disk
(fsync) and only then takes the target's name. A full disk, a crash or a pulled
plug therefore never costs a person the file they already had.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from napari_msd.errors import ExportError

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
        When the file could not be written; nothing is left beside it, and
        whatever was at `path` is untouched.
    """
    target = Path(os.path.realpath(path))
    beside = target.with_name(f".{secrets.token_hex(6)}.part")
    try:
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        with open_new(beside) as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, target)  # noqa: PTH105 - Path.replace would hide that this is the point
    except OSError as error:
        _remove(beside)
        if isinstance(error, ExportError):
            raise
        raise ExportError(f"Cannot write {str(path)!r}: {explain(error)}.") from error
    except BaseException:
        _remove(beside)
        raise
    _sync_folder(target.parent)
    return target


def make_folder(path: str | os.PathLike[str]) -> Path:
    """Create the folder `path` and those above it, if they are not there yet.

    Raises
    ------
    ExportError
        When that is not possible.
    """
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
    """Say in half a sentence why the system refused, and what to do where that is known."""
    number = error.errno
    if number is None and " requested and " in str(error):  # NumPy's words for a full disk
        number = errno.ENOSPC
    known = _REASONS.get(number or 0)
    return known or (error.strerror or str(error) or type(error).__name__).rstrip(".")


def open_new(path: Path) -> BinaryIO:
    """Open a file that must not exist yet, for writing."""
    return path.open("xb")


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Make the new name itself durable; not every system or file system can."""
    if os.name != "posix":
        return
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
