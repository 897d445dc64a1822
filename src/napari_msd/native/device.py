"""Maps the user's choice of device to a torch device and a backend."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch

from napari_msd.core.errors import SettingsError
from napari_msd.core.settings import DeviceChoice
from napari_msd.native import library_statuses
from napari_msd.native.backend import choose_backend
from napari_msd.native.libraries import library_status


def choose_device(choice: DeviceChoice) -> tuple[torch.device, Literal["auto", "torch"]]:
    """The torch device to train on, and the backend to ask `MSDNet` for.

    Raises
    ------
    SettingsError
        If the requested device is not available.
    """
    if choice == "auto":
        return torch.device(_fastest()), "auto"
    if choice == "cuda":
        if not torch.cuda.is_available():
            raise SettingsError(
                "PyTorch finds no CUDA GPU here; choose another device, or check the NVIDIA "
                "driver and that PyTorch was installed with CUDA."
            )
        return torch.device("cuda"), "auto"
    if choice == "mps":
        if not torch.backends.mps.is_available():
            raise SettingsError("PyTorch finds no Apple GPU here; choose another device.")
        return torch.device("mps"), "torch"
    return torch.device("cpu"), "auto" if choice == "cpu" else "torch"


@dataclass(frozen=True)
class DeviceInUse:
    """The device and backend that a choice of device leads to on this machine.

    `text` is short ("CPU, AVX-512 core"), `reason` is a sentence that explains it,
    `backend` the name of the path: ``cuda``, ``cpu`` or ``torch``.
    """

    text: str
    reason: str
    backend: str


def describe_device(choice: DeviceChoice) -> DeviceInUse:
    """Describe what `choice` leads to, without using it.

    Raises
    ------
    SettingsError
        If the requested device is not available.
    """
    device, wanted = choose_device(choice)
    chosen = choose_backend(wanted, device, torch.float32, ndim=2)
    reason = chosen.reason
    if choice == "auto" and device.type != "cuda" and torch.cuda.is_available():
        reason += " The GPU is not used: this PyTorch has no code for it."
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    else:
        name = "Apple GPU" if device.type == "mps" else "CPU"
    if chosen.name == "torch":
        core = "PyTorch"
    else:
        variant = next(lib.variant for lib in library_statuses() if lib.kind == chosen.name)
        core = f"{variant} core" if variant else "compiled core"
    return DeviceInUse(f"{name}, {core}", reason, chosen.name)


def _fastest() -> str:
    """The fastest device: a GPU that PyTorch can compute on, else the CPU."""
    if torch.cuda.is_available() and _torch_has_code_for_the_gpu():
        return "cuda"
    if library_status("cpu").usable:
        return "cpu"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _torch_has_code_for_the_gpu() -> bool:
    """Whether this PyTorch has code for the GPU: it also lists GPUs that are too old for it."""
    if torch.version.hip is not None:
        return True
    major, minor = torch.cuda.get_device_capability()
    architectures = torch.cuda.get_arch_list()  # such as "sm_90" or "compute_120"
    for architecture in architectures:
        kind, _, name = architecture.partition("_")
        built_for = divmod(int("".join(filter(str.isdigit, name))), 10)
        # "sm" is for GPUs of that generation, "compute" is compiled for any newer one.
        if built_for <= (major, minor) and (kind == "compute" or built_for[0] == major):
            return True
    return not architectures


@contextmanager
def cores_to_ourselves(choice: DeviceChoice) -> Iterator[None]:
    """Reduce torch to one thread while the compiled CPU core uses all cores.

    Torch's idle threads spin between two operations: with them a training step on small
    patches takes about twice as long. Torch's thread count is restored afterwards.
    """
    before = torch.get_num_threads()
    if describe_device(choice).backend == "cpu":
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
