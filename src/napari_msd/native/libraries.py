"""Find and load the compiled cores; a missing or broken one is reported, never raised.

Called by `backend` to choose, and by ``napari-msd info`` to say what this
machine has. Imports no torch.
"""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Literal, get_args

from napari_msd.native import abi

LibraryKind = Literal["cpu", "cuda"]
LIBRARY_KINDS: tuple[LibraryKind, ...] = get_args(LibraryKind)

FOLDER_VARIABLE = "NAPARI_MSD_LIBRARY_FOLDER"
"""Environment variable: look for the libraries here first (a CMake build folder, for instance)."""

_SUFFIXES = {".so", ".dylib", ".dll"}


@dataclass(frozen=True)
class LibraryStatus:
    """What is known about one compiled core on this machine.

    Parameters
    ----------
    kind
        ``cpu`` or ``cuda``.
    path
        The library's file, or None when it is not there.
    usable
        Whether it loads and this machine can run it.
    reason
        One plain sentence: what it is, or why it is not used.
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
        """What runs on this machine: "AVX-512", "AVX2", "baseline", "NEON", or the GPU targets."""
        return str(self.functions.msd_variant().decode())

    def error_text(self, code: int) -> str:
        """English for an error code that this thread's last call returned.

        Where the library knows more, that stands behind it in brackets: the name of the CUDA error.
        """
        text = str(self.functions.msd_error_text(code).decode())
        name = str(self.functions.msd_last_error().decode(errors="replace"))
        return f"{text} ({name})" if name else text


class LibraryError(Exception):
    """A file that is not a library of ours, or one of another version."""


def open_library(path: Path) -> Library:
    """Load one file.

    Raises
    ------
    LibraryError
        When it does not load, or was built for another version of this package.
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
    """The library as far as it loads; whether a device can run it is another question."""
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
    """The library of a kind if `device` can run it, or None: then `library_status` says why.

    Parameters
    ----------
    kind
        ``cpu`` or ``cuda``.
    device
        Number of the GPU; of no meaning to the CPU core.
    """
    return _load(kind, device)[0]


def library_status(kind: LibraryKind, device: int = 0) -> LibraryStatus:
    """What is known about one compiled core here, on one GPU if it is the CUDA core."""
    return _load(kind, device)[1]


def library_statuses() -> list[LibraryStatus]:
    """What is known about all compiled cores here, and on the first GPU."""
    return [library_status(kind) for kind in LIBRARY_KINDS]


def forget_libraries() -> None:
    """Look again at the next call; for tests, and after building anew in one process."""
    _open.cache_clear()
    _load.cache_clear()
