"""The log of this package: a small rotating file per napari process, and the last lines in memory.

Only the package's own logger is touched. Each process writes a file of its own, named by its
number: two that rotate one file would lose lines. Lines of the trainer reach the log of the napari
process that started it (`napari_msd.trainer.child_process`).
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections import deque
from logging.handlers import RotatingFileHandler
from pathlib import Path

import platformdirs
import psutil

FOLDER_VARIABLE = "NAPARI_MSD_LOGS"
"""Environment variable with another folder for log files."""

FILE_BYTES = 1_000_000
"""Size at which a file is put aside."""

FILES = 3
"""Number of files per process, with the one that is written to."""

OTHERS_KEPT = 5
"""Number of ended processes whose files are kept."""

LINES_IN_MEMORY = 500

_LOGGER = "napari_msd"
_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_STEM = "napari-"


def log_folder() -> Path:
    """Where log files are; the folder may not exist yet."""
    chosen = os.environ.get(FOLDER_VARIABLE)
    return Path(chosen) if chosen else Path(platformdirs.user_log_dir("napari-msd", False))


def start_log() -> Path:
    """Write this package's log to a file from now on; a second call changes nothing.

    A log that cannot be written is no reason to stop: its lines stay in memory.

    Returns
    -------
    Path
        The file; it appears with the first line.
    """
    logger = logging.getLogger(_LOGGER)
    for handler in logger.handlers:
        if isinstance(handler, _LogFile):
            return Path(handler.baseFilename)
    path = log_folder() / f"{_STEM}{os.getpid()}.log"
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path.parent)
    for handler in (_LogFile(path), _memory):
        handler.setFormatter(logging.Formatter(_FORMAT))
        logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    return path


def stop_log() -> None:
    """Undo `start_log`; for tests."""
    logger = logging.getLogger(_LOGGER)
    for handler in list(logger.handlers):
        if isinstance(handler, (_LogFile, _LinesInMemory)):
            logger.removeHandler(handler)
            handler.close()
    _memory.lines.clear()
    logger.setLevel(logging.NOTSET)


def log_to_stderr() -> None:
    """Write this package's log to standard error: the trainer's way to the viewer's log."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    logger = logging.getLogger(_LOGGER)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)


def last_lines(count: int) -> list[str]:
    """The last lines of the log of this process, oldest first; a traceback has several."""
    return list(_memory.lines)[-count:]


class _LinesInMemory(logging.Handler):
    """Keeps the last lines."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: deque[str] = deque(maxlen=LINES_IN_MEMORY)

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.extend(self.format(record).splitlines())


_memory = _LinesInMemory()


class _LogFile(RotatingFileHandler):
    """A rotating file that gives up in silence when it cannot be written."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            path,
            maxBytes=FILE_BYTES,
            backupCount=FILES - 1,
            encoding="utf-8",
            delay=True,
            errors="backslashreplace",
        )
        self._given_up = False

    def emit(self, record: logging.LogRecord) -> None:
        if not self._given_up:
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  (logging's name)
        """Stop writing: a full disk must not print a traceback for every line."""
        self._given_up = True
        with contextlib.suppress(OSError):
            self.close()


def _sweep(folder: Path) -> None:
    """Remove the files of processes that ended, but for the newest `OTHERS_KEPT`."""
    ended: dict[int, list[Path]] = {}
    for path in folder.glob(f"{_STEM}*.log*"):
        number = path.name.removeprefix(_STEM).split(".")[0]
        if number.isascii() and number.isdigit() and not _lives(int(number)):
            ended.setdefault(int(number), []).append(path)
    by_age = sorted(ended.values(), key=lambda paths: max(p.stat().st_mtime for p in paths))
    for paths in by_age[:-OTHERS_KEPT]:
        for path in paths:
            with contextlib.suppress(OSError):
                path.unlink()


def _lives(pid: int) -> bool:
    try:
        return bool(psutil.pid_exists(pid))
    except OverflowError:  # no process has such a number
        return False
