"""Reports cores, devices and versions for ``napari-msd info``, or what a model file holds."""

from __future__ import annotations

import json
import os
import platform
import shlex
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution, version
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from napari_msd.images.model_file import ModelRecord
    from napari_msd.native.aside import LibraryKind
    from napari_msd.native.core import Schedule

PACKAGES = ("napari-msd", "torch", "numpy", "napari", "msgspec", "safetensors", "tifffile")


def report() -> Iterator[str]:
    """Lines for the user or a bug report: choice, cores, devices, versions."""
    try:
        import torch  # noqa: F401
    except ImportError as error:
        yield f"training    not possible: PyTorch cannot be imported ({error})."
    else:
        yield f"training    {_choice()}"
        yield from _cores()
        yield from _devices()
    yield f"trees       {_trees()}"
    yield f"processor   {_processor()}, {os.cpu_count()} logical cores"
    yield f"system      {platform.platform()}, Python {platform.python_version()}"
    yield f"versions    {', '.join(f'{name} {_version(name)}' for name in PACKAGES)}"


def check_cores(say: Callable[[str], object]) -> bool:
    """Compare the cores that are usable here with the reference; whether they all agree.

    Parameters
    ----------
    say
        Takes a line for each core and GPU.
    """
    try:
        import torch
    except ImportError:  # the report has said so
        return True
    from napari_msd.native.libraries import library_status
    from napari_msd.network.self_check import NOTHING_COMPARED, first_error

    devices = [torch.device("cpu")]
    if torch.cuda.is_available() and torch.version.hip is None:
        devices += [torch.device("cuda", index) for index in range(torch.cuda.device_count())]
    right = True
    for device in devices:
        kind: LibraryKind = "cuda" if device.type == "cuda" else "cpu"
        if not library_status(kind, device.index or 0).usable:
            continue
        ways: dict[str, tuple[torch.dtype | None, Schedule]] = {"": (None, "staged")}
        if kind == "cuda":
            ways[", float16 maps"] = torch.float16, "staged"
            ways[", in one launch"] = None, "cooperative"
            ways[", in one launch, float16 maps"] = torch.float16, "cooperative"
        for way, options in ways.items():
            error = first_error(kind, device, *options)
            if error is None:
                what = "it agrees with the reference"
            elif error == NOTHING_COMPARED:
                what = f"{error}, for want of memory or because this device cannot compute so"
            else:
                what = f"WRONG: {error}"
                right = False
            say(f"check       {kind} core on {device}{way}: {what}.")
    return right


def describe(path: Path) -> Iterator[str]:
    """Lines about a model file: what it knows, the images it is for, how it was trained.

    Raises
    ------
    ModelFileError
        If it is no model file.
    """
    from napari_msd.images.model_file import read

    record = read(path)
    classes = ", ".join(
        f"{info.value} {info.name or f'class {info.value}'}" for info in record.classes
    )
    yield f"classes     {classes}"
    yield f"sees        {_sight(record)}"
    yield f"channels    {_channels(record)}"
    yield f"axes        {record.axes}{_pixel_size(record)}"
    yield f"network     {_network(record)}"
    score = "not measured" if record.score is None else f"{record.score:.3f}"
    yield f"training    {record.steps} steps, seed {record.seed}, IoU on held-out strokes {score}"
    yield f"written     {record.created}, {', '.join(map(' '.join, record.versions.items()))}"
    yield f"citation    {record.citation}"


def _sight(record: ModelRecord) -> str:
    mode = record.network_input.mode
    if mode == "3d":
        return "volumes (3-D)"
    if mode == "2.5d":
        slices = "slice" if record.context == 1 else "slices"
        return f"planes with {record.context} {slices} on each side (2.5-D)"
    return "planes (2-D)"


def _channels(record: ModelRecord) -> str:
    count = record.n_image_channels
    return f"{count}: {', '.join(record.channels)}" if record.channels else str(count)


def _pixel_size(record: ModelRecord) -> str:
    if record.pixel_size is None:
        return ""
    units = record.units or ("pixel",) * record.ndim
    sizes = zip("ZYX"[-record.ndim :], record.pixel_size, units, strict=True)
    return ", pixel size " + ", ".join(f"{axis} {size:g} {unit}" for axis, size, unit in sizes)


def _network(record: ModelRecord) -> str:
    cycle = ", ".join(map(str, record.dilations[:12])) + ", ..." * (len(record.dilations) > 12)
    text = f"depth {record.depth}, width {record.width}, dilations {cycle}"
    if record.dilations_z is not None:
        text += f" (along Z {', '.join(map(str, record.dilations_z[:12]))})"
    return text + (" and trees" if record.trees is not None else "")


def _choice() -> str:
    """Describe which device ``device="auto"`` uses here, and why."""
    from napari_msd.native.device import describe_device

    return describe_device("auto").reason


def _cores() -> Iterator[str]:
    from napari_msd.native import library_statuses

    for status in library_statuses():
        state = "usable" if status.usable else ("not usable" if status.path else "not built")
        yield f"{status.kind + ' core':<12}{state}: {status.reason}"
        if status.path is not None:
            yield f"{'':<12}{status.path}"
        elif status.kind == "cpu":
            yield from _how_to_build()


def _trees() -> str:
    from napari_msd.trees import library

    return library.state()


def _how_to_build() -> Iterator[str]:
    """Explain what to do if the package was installed without a compiler."""
    yield f"{'':<12}No C++ compiler was found, or it failed, when napari-msd was installed."
    yield f"{'':<12}Training works, but is many times slower. Install a compiler, then run"
    yield f"{'':<12}  {rebuild_command()}"
    yield f"{'':<12}(pip keeps what it built in its cache: without --no-cache-dir nothing changes)"


def rebuild_command() -> str:
    """The command that reinstalls this package from its source without pip's cache."""
    options = ("--no-cache-dir", "--force-reinstall", "--no-deps")
    command = [sys.executable, "-m", "pip", "install", *options, *_source()]
    return subprocess.list2cmdline(command) if sys.platform == "win32" else shlex.join(command)


def _source() -> list[str]:
    """Arguments for pip: the folder, archive or repository it installed, else the name."""
    name = "napari-msd"
    try:
        text = distribution(name).read_text("direct_url.json")
    except PackageNotFoundError:
        text = None
    origin: dict[str, Any] = json.loads(text) if text else {}
    url = str(origin.get("url", ""))
    if url.endswith(".whl"):
        url = ""  # that wheel will never contain a core
    if "vcs_info" in origin:
        vcs = origin["vcs_info"]
        return [f"{name} @ {vcs['vcs']}+{url}@{vcs['commit_id']}"]
    if not url.startswith("file:"):
        return [f"{name} @ {url}" if url else name]
    folder = url2pathname(urlsplit(url).path)
    return ["--editable", folder] if origin.get("dir_info", {}).get("editable") else [folder]


def _devices() -> Iterator[str]:
    import torch

    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            about = torch.cuda.get_device_properties(index)
            memory = about.total_memory / 2**30
            yield f"GPU {index:<8}{about.name}, {memory:.0f} GiB"
    elif torch.version.cuda is None:
        yield "GPU         none for PyTorch: this PyTorch was built without CUDA."
    else:
        cuda = torch.version.cuda
        yield f"GPU         none: PyTorch (CUDA {cuda}) finds no NVIDIA GPU or driver."
    if torch.backends.mps.is_available():
        yield "Apple GPU   usable with --device mps, through PyTorch."


def _processor() -> str:
    """Name of the processor, as reported by the system."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"
