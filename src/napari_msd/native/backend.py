"""Chooses the backend of a pass, and gives the reason in a sentence a scientist understands."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from napari_msd.core.errors import SettingsError
from napari_msd.core.settings import BackendName
from napari_msd.native.aside import set_aside
from napari_msd.native.libraries import library_status
from napari_msd.native.threads import get_threads
from napari_msd.native.untraced import untraced

BACKEND_REQUESTS: tuple[str, ...] = ("auto", "cuda", "cpu", "torch")


@dataclass(frozen=True)
class BackendChoice:
    """The backend (``cuda``, ``cpu``: a compiled core; ``torch``: plain torch) and the reason."""

    name: BackendName
    reason: str


# It queries the machine, which torch.compile cannot trace.
@untraced
def choose_backend(
    requested: str, device: torch.device, dtype: torch.dtype, ndim: int = 2
) -> BackendChoice:
    """Choose the backend of a pass over images on `device`.

    Parameters
    ----------
    requested
        ``auto``, or ``cuda``, ``cpu``, ``torch`` to require one.
    device, dtype
        Device and dtype of image and weights.
    ndim
        Spatial axes, 2 or 3; both cores compute both.

    Returns
    -------
    BackendChoice
        ``auto`` always finds one.

    Raises
    ------
    SettingsError
        If the requested backend is unknown or cannot compute this.
    """
    if requested not in BACKEND_REQUESTS:
        raise SettingsError(
            f"backend must be one of {', '.join(BACKEND_REQUESTS)}, not {requested!r}."
        )
    if requested == "torch":
        return BackendChoice("torch", f"PyTorch on {_place(device)}: it was asked for.")
    obstacle = _why_unusable(device, dtype)
    if requested != "auto" and requested != device.type:
        raise SettingsError(
            f"The compiled {requested.upper()} core cannot compute on {_place(device)}; "
            f"move the network and the image there first, or ask for backend 'auto'."
        )
    if obstacle is not None:
        if requested != "auto":
            raise SettingsError(f"{obstacle} Ask for backend 'auto' to use PyTorch instead.")
        return BackendChoice("torch", f"PyTorch on {_place(device)}: {_lower_first(obstacle)}")
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device) if torch.cuda.is_available() else "GPU"
        return BackendChoice("cuda", f"Compiled CUDA core on {name}.")
    threads = get_threads()
    plural = "s" if threads != 1 else ""
    core = f"Compiled CPU core ({library_status('cpu').variant}, {threads} thread{plural})"
    if requested == "cpu":
        return BackendChoice("cpu", f"{core}: it was asked for.")
    if torch.cuda.is_available():
        return BackendChoice("cpu", f"{core}: the network is on the CPU.")
    return BackendChoice("cpu", f"{core}: no CUDA GPU was found.")


def torch_instead(device: torch.device, why: Exception) -> BackendChoice:
    """Choose plain torch, because a compiled core cannot compute this image (`why` says it)."""
    return BackendChoice("torch", f"PyTorch on {_place(device)}: {_lower_first(str(why))}")


def set_aside_for(backend: BackendName, device: torch.device, why: Exception) -> None:
    """Use the compiled core `backend` on `device` no longer, because it failed (`why` says it)."""
    if backend != "torch":
        set_aside(backend, device_number(device), str(why).rstrip("."))


def map_dtype(backend: BackendName, image: torch.Tensor) -> torch.dtype | None:
    """Choose how a compiled core stores maps: in the image's type (None), or in 16 bits.

    16 bits are used under ``torch.autocast("cuda")`` with float32 images, if the GPU multiplies
    matrices of that type (bfloat16: compute capability 8.0 or newer).
    """
    if backend != "cuda" or image.dtype != torch.float32 or not torch.is_autocast_enabled("cuda"):
        return None
    dtype = torch.get_autocast_dtype("cuda")
    if dtype == torch.float16:
        return dtype
    if dtype == torch.bfloat16 and torch.cuda.get_device_capability(image.device) >= (8, 0):
        return dtype
    return None


def _why_unusable(device: torch.device, dtype: torch.dtype) -> str | None:
    """Why the compiled core of this device cannot compute: one sentence, or None."""
    if device.type == "cuda":
        if torch.version.hip is not None:
            return "The compiled CUDA core does not run on AMD GPUs."
        status = library_status("cuda", device_number(device))
    elif device.type == "cpu":
        status = library_status("cpu")
    else:
        return f"There is no compiled core for {_place(device)}."
    if dtype not in (torch.float32, torch.float64):
        return f"The compiled cores compute in float32 and float64, not {_dtype_name(dtype)}."
    return None if status.usable else status.reason


def device_number(device: torch.device) -> int:
    """The GPU number that "cuda" or "cuda:1" means."""
    if device.index is not None:
        return device.index
    return torch.cuda.current_device() if torch.cuda.is_initialized() else 0


def _dtype_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _place(device: torch.device) -> str:
    names = {"cpu": "the CPU", "cuda": "the GPU", "mps": "the Apple GPU"}
    return names.get(device.type, f"device {device.type!r}")


def _lower_first(sentence: str) -> str:
    return sentence[0].lower() + sentence[1:]
