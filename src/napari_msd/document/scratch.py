"""Temporary folders for what is too large for memory and can be computed again.

They lie in the user's cache folder: a system's folder for temporary files is often kept in memory.
What a killed program left behind is removed when the next one needs such a folder.
"""

from __future__ import annotations

import os
import shutil
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
            self.path = Path(mkdtemp(prefix=f"{os.getpid()}-", dir=parent))
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


def _remove_left_behind(parent: Path) -> None:
    for folder in parent.iterdir():
        number = folder.name.partition("-")[0]
        if number.isdigit() and folder.is_dir() and not psutil.pid_exists(int(number)):
            shutil.rmtree(folder, ignore_errors=True)
