"""Finds and loads the compiled cores; a missing or broken one is reported, never raised.

`backend` uses it to choose, and ``napari-msd info`` to report what this machine has. It does not
import torch.
"""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import get_args

from napari_msd.native import abi
from napari_msd.native.aside import LibraryKind, use_again, why_aside

LIBRARY_KINDS: tuple[LibraryKind, ...] = get_args(LibraryKind)

FOLDER_VARIABLE = "NAPARI_MSD_LIBRARY_FOLDER"
"""Environment variable: a folder to search first (for instance a CMake build folder)."""

_SUFFIXES = {".so", ".dylib", ".dll"}


@dataclass(frozen=True)
class LibraryStatus:
    """The status of one compiled core on this machine.

    Parameters
    ----------
    kind
        ``cpu`` or ``cuda``.
    path
        The library's file, or None if it does not exist.
    usable
        Whether it loads and this machine can run it.
    reason
        One sentence: what it is, or why it is not used.
    variant
        Instruction set ("AVX-512") or GPU targets; None unless it loads.
    """

    kind: LibraryKind
    path: Path | None
    usable: bool
    reason: str
    variant: str | None = None


@dataclass(frozen=True)
class Library:
    """A loaded compiled core; `functions` are those of napari_msd.h, typed."""

    path: Path
    functions: ctypes.CDLL

    @property
    def variant(self) -> str:
        """The variant used here: "AVX-512", "AVX2", "baseline", "NEON", or the GPU targets."""
        return str(self.functions.msd_variant().decode())

    def error_text(self, code: int) -> str:
        """Describe an error code that this thread's last call returned.

        The name of a CUDA error follows in brackets, if the library knows it.
        """
        text = str(self.functions.msd_error_text(code).decode())
        name = str(self.functions.msd_last_error().decode(errors="replace"))
        return f"{text} ({name})" if name else text


class LibraryError(Exception):
    """A file that is not a library of this package, or is of another version."""


def open_library(path: Path) -> Library:
    """Load one file.

    Raises
    ------
    LibraryError
        If it does not load, or was built for another version of this package.
    """
    try:
        functions = ctypes.CDLL(str(path))
        abi.declare(functions)
    except (OSError, AttributeError) as error:
        raise LibraryError(f"it does not load ({error})") from error
    version = functions.msd_abi_version()
    if version != abi.ABI_VERSION:
        raise LibraryError(
            f"it was built for another version of napari-msd (interface {version}, "
            f"not {abi.ABI_VERSION}); install napari-msd again"
        )
    return Library(path, functions)


def find_library(kind: LibraryKind) -> Path | None:
    """The library's file, or None."""
    return find_file(f"napari_msd_{kind}")


def find_file(wanted: str) -> Path | None:
    """The file of a compiled library that has `wanted` in its name, or None."""
    folder = os.environ.get(FOLDER_VARIABLE)
    if folder:
        for path in sorted(Path(folder).rglob(f"*{wanted}*")):
            if path.suffix in _SUFFIXES:
                return path
    # importlib.resources, not __file__: an editable install keeps compiled files elsewhere.
    for entry in resources.files("napari_msd.native").iterdir():
        path = Path(str(entry))
        if wanted in path.name and path.suffix in _SUFFIXES:
            return path
    return None


@cache
def _open(kind: LibraryKind) -> tuple[Library | None, LibraryStatus]:
    """Load the library, without checking whether a device can run it."""
    core = _core_name(kind)
    path = find_library(kind)
    if path is None:
        return None, LibraryStatus(
            kind, None, False, f"The {core} was not built on this installation."
        )
    try:
        library = open_library(path)
    except LibraryError as error:
        return None, LibraryStatus(kind, path, False, f"The {core} cannot be used: {error}.")
    return library, LibraryStatus(
        kind, path, True, f"The {core} is ready ({library.variant}).", library.variant
    )


@cache
def _load(kind: LibraryKind, device: int) -> tuple[Library | None, LibraryStatus]:
    library, status = _open(kind)
    if library is None:
        return library, status
    code = library.functions.msd_probe(device)
    if code == abi.OK:
        return library, status
    why = f"The {_core_name(kind)} cannot run here: {library.error_text(code)}."
    return None, LibraryStatus(kind, library.path, False, why, library.variant)


def _core_name(kind: LibraryKind) -> str:
    return f"compiled {'CPU' if kind == 'cpu' else 'CUDA'} core"


def load_library(kind: LibraryKind, device: int = 0) -> Library | None:
    """Load a library if `device` can run it, else return None: then `library_status` says why.

    Parameters
    ----------
    kind
        ``cpu`` or ``cuda``.
    device
        Number of the GPU; ignored by the CPU core.
    """
    return None if why_aside(kind, device) else _load(kind, device)[0]


def library_status(kind: LibraryKind, device: int = 0) -> LibraryStatus:
    """The status of one compiled core on this machine, for the CUDA core on one GPU."""
    status, reason = _load(kind, device)[1], why_aside(kind, device)
    if reason is None:
        return status
    text = f"The {_core_name(kind)} is set aside until the program is started anew: {reason}."
    return replace(status, usable=False, reason=text)


def library_statuses() -> list[LibraryStatus]:
    """The status of all compiled cores on this machine and its first GPU."""
    return [library_status(kind) for kind in LIBRARY_KINDS]


def forget_libraries() -> None:
    """Search again at the next call; for tests, and after a rebuild in the same process."""
    _open.cache_clear()
    _load.cache_clear()
    use_again()
