"""The text of "Report a problem": what a developer needs to know, and nothing private.

It holds no pixels, no names of layers and no folders; the person reads it before sending it.
"""

from __future__ import annotations

import os
import platform
import re
import sys
from dataclasses import fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

import psutil

from napari_msd.core.logs import last_lines, log_folder
from napari_msd.core.settings import PRESETS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from napari_msd.core.settings import Settings
    from napari_msd.session.controller import Controller
    from napari_msd.session.ports import Layer

PACKAGES = ("napari-msd", "napari", "torch", "numpy", "msgspec", "psygnal", "tifffile")
LOG_LINES = 50

_GIB = 2**30
_NAME = re.compile("“[^”]*”")


def problem_report(controller: Controller, more: Mapping[str, str] | None = None) -> str:
    """The report on a session, as plain text.

    Parameters
    ----------
    controller
        The session.
    more
        Names and values that the caller knows, such as the Qt binding.

    Returns
    -------
    str
        Versions, machine, device, settings, layers and the last `LOG_LINES` lines of the log.
        The person's folder is written as "~", other folders are left out (`without_folders`).
    """
    sections = {
        "Versions": _versions(more or {}),
        "Machine": _machine(),
        "Trainer": _trainer(controller),
        "Settings": _settings(controller.network.settings),
        "Layers": _layers(controller),
        f"Last lines of the log (all of it: {log_folder()})": _log_lines(),
    }
    lines = [line for title, body in sections.items() for line in (f"## {title}", *body, "")]
    return without_folders("\n".join(lines).rstrip() + "\n")


def _versions(more: Mapping[str, str]) -> Iterator[str]:
    for package in PACKAGES:
        try:
            yield f"{package} {version(package)}"
        except PackageNotFoundError:
            yield f"{package}: not installed"
    yield f"Python {platform.python_version()}"
    yield from (f"{name} {value}" for name, value in more.items())


def _machine() -> Iterator[str]:
    yield platform.platform()
    memory = psutil.virtual_memory()
    yield f"{_processor()}, {psutil.cpu_count()} logical cores, {_usable_cores()} usable here"
    yield f"memory {memory.total / _GIB:.1f} GiB, {memory.available / _GIB:.1f} GiB of it free"
    yield f"napari's process uses {_used_by(os.getpid())}"


def _trainer(controller: Controller) -> Iterator[str]:
    ready = controller.ready
    if ready is None:
        yield "has not started yet"
        return
    yield f"device {ready.device}: {ready.reason}"
    yield f"compiled core in use: {ready.backend}"
    yield ", ".join(f"{name} {number}" for name, number in ready.versions.items())
    pid = controller.connection.client.pid
    yield "is not running" if pid is None else f"uses {_used_by(pid)}"
    yield f"Live is {'on' if controller.live else 'off'}, work in hand: {controller.work or 'none'}"


def _settings(settings: Settings) -> Iterator[str]:
    """What differs from the preset."""
    yield f"preset {settings.preset}, device {settings.device}, seed {settings.seed}"
    usual = PRESETS.get(settings.preset, PRESETS["quick"])
    for field in fields(settings):
        value = getattr(settings, field.name)
        if field.name not in ("preset", "device", "seed") and value != getattr(usual, field.name):
            yield f"{field.name} {value}"


def _layers(controller: Controller) -> Iterator[str]:
    chosen = controller.chosen
    yield f"image: {_shape_of(chosen.image)}"
    if (space := chosen.space) is not None:
        axes = f"axes {space.axes} ({'said' if chosen.axes_said else 'guessed'})"
        yield f"{axes}, {space.n_channels} channels in {len(chosen.layers)} layers"
    yield f"annotation: {_shape_of(chosen.annotation)}"
    problem = chosen.problem()
    if problem is not None:
        yield f"problem: {type(problem).__name__}"  # its sentence has names of layers
    counts = controller.strokes.snapshot.annotation.counts
    painted = ", ".join(f"{value}: {count}" for value, count in sorted(counts.items()))
    yield f"painted pixels by class: {painted or 'none'}"


def _log_lines() -> list[str]:
    """The end of the log without the names of layers and classes, which sentences put in “ ”."""
    return [_NAME.sub("“…”", line) for line in last_lines(LOG_LINES)] or ["none"]


def _shape_of(layer: Layer | None) -> str:
    """Shape and kind of a layer's array; of a pyramid all levels."""
    if layer is None:
        return "none"
    data = getattr(layer, "data", None)
    levels = list(data) if getattr(layer, "multiscale", False) and data is not None else [data]
    kinds = {f"{type(level).__module__.split('.')[0]}.{type(level).__name__}" for level in levels}
    shapes = " and ".join(" x ".join(map(str, getattr(level, "shape", ()))) for level in levels)
    scale = ", ".join(f"{float(size):g}" for size in getattr(layer, "scale", ()))
    dtype = getattr(levels[0], "dtype", "unknown type")
    return f"{shapes}, {dtype}, {', '.join(sorted(kinds))}, pixel size {scale}"


def _used_by(pid: int) -> str:
    try:
        process = psutil.Process(pid)
        return f"{process.memory_info().rss / _GIB:.2f} GiB, {process.num_threads()} threads"
    except psutil.Error:
        return "an unknown amount of memory"


def _usable_cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else psutil.cpu_count() or 1


def _processor() -> str:
    if sys.platform == "linux":
        try:
            text = Path("/proc/cpuinfo").read_text("utf-8", errors="replace")
        except OSError:
            text = ""
        if found := re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE):
            return found[1].strip()
    return platform.processor() or platform.machine()


# --- nothing private ------------------------------------------------------------------------

_ROOT = r"(?:[A-Za-z]:[\\/]|\\\\|~[\\/]|/)"
_QUOTED = re.compile(rf"(?P<quote>['\"“])(?P<path>{_ROOT}[^'\"”\n]*)(?P<end>['\"”])")
_BARE = re.compile(rf"(?<![\w.~…:/\\])(?P<path>{_ROOT}[^\s'\"“”:;,()<>]*[\\/][^\s'\"“”:;,()<>]*)")
_DRIVE = re.compile(r"(?P<path>\b[A-Za-z]:[\\/](?:[^\\/'\":*?<>|\n]+[\\/])+[^\\/\s'\":*?<>|]+)")
_PACKAGE = re.compile(r"(?:site-packages|dist-packages|src)[\\/]+(?=[\w.]+[\\/])")


def without_folders(text: str, home: Iterable[str] | None = None) -> str:
    """Replace the person's folder by "~", and shorten other absolute paths to their file's name.

    Paths of Python files within a package keep what is inside the package.

    Parameters
    ----------
    text
        Any text.
    home
        The person's folder, in all the ways it may be written; found out by itself if not given.
    """
    for folder in home if home is not None else _homes():
        text = re.sub(re.escape(folder) + r"(?![\w.-])", "~", text, flags=re.IGNORECASE)
    text = _QUOTED.sub(lambda m: m["quote"] + _shortened(m["path"]) + m["end"], text)
    for pattern in (_DRIVE, _BARE):
        text = pattern.sub(lambda m: _shortened(m["path"]), text)
    return text


def _homes() -> list[str]:
    found = set()
    for folder in (Path.home(), Path(os.path.realpath(Path.home()))):
        if len(folder.parts) > 1:
            found |= {str(folder), folder.as_posix(), repr(str(folder))[1:-1]}
    return sorted(found, key=len, reverse=True)


def _shortened(path: str) -> str:
    if path.startswith("~"):
        return "~/…/" + _file_name(path) if re.search(r"[\\/].*[\\/]", path) else path
    inside = list(_PACKAGE.finditer(path))
    return f"…/{path[inside[-1].end() :]}" if inside else f"…/{_file_name(path)}"


def _file_name(path: str) -> str:
    return PurePath(path.replace("\\", "/")).name
