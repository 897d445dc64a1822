"""Temporary folders for what is too large for memory and can be computed again.

They lie in the user's cache folder: a system's folder for temporary files is often kept in memory.
What a killed program left behind is removed when the next one on this machine needs such a folder.
Other machines may have the same cache folder, on a network drive: theirs are left alone.
"""

from __future__ import annotations

import os
import platform
import shutil
import zlib
from pathlib import Path
from tempfile import mkdtemp
from weakref import finalize

import platformdirs
import psutil

from napari_msd.core.errors import ExportError

VARIABLE = "NAPARI_MSD_SCRATCH"
"""Environment variable that names another folder for them: on a disk with more room."""


class ScratchFolder:
    """A new folder that is removed with this object, or when the program ends.

    Raises
    ------
    ExportError
        If it cannot be made.
    """

    def __init__(self) -> None:
        parent = place()
        try:
            parent.mkdir(parents=True, exist_ok=True)
            _remove_left_behind(parent)
            self.path = Path(mkdtemp(prefix=f"{_machine()}-{os.getpid()}-", dir=parent))
        except OSError as error:
            raise ExportError(
                f"{parent} cannot be written ({error.strerror or error}); set the environment "
                f"variable {VARIABLE} to a folder with room for the segmentation."
            ) from error
        self.remove = finalize(self, shutil.rmtree, self.path, ignore_errors=True)


def place() -> Path:
    """The folder that scratch folders are made in."""
    named = os.environ.get(VARIABLE, "")
    return Path(named) if named else platformdirs.user_cache_path("napari-msd") / "scratch"


def _machine() -> str:
    """Tells this machine from others in the names of folders."""
    return f"{zlib.crc32(platform.node().encode()):08x}"


def _remove_left_behind(parent: Path) -> None:
    for folder in parent.iterdir():
        machine, _, rest = folder.name.partition("-")
        number = rest.partition("-")[0]
        if machine != _machine() or not number.isdigit() or not folder.is_dir():
            continue
        if not psutil.pid_exists(int(number)):
            shutil.rmtree(folder, ignore_errors=True)
