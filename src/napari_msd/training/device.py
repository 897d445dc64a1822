"""From the person's choice of device to torch's device and our backend."""

from __future__ import annotations

from typing import Literal

import torch

from napari_msd.config import DeviceChoice
from napari_msd.errors import SettingsError


def choose_device(choice: DeviceChoice) -> tuple[torch.device, Literal["auto", "torch"]]:
    """The torch device to train on, and the backend to ask `MSDNet` for.

    Raises
    ------
    SettingsError
        If the device asked for is not there.
    """
    if choice == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu"), "auto"
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
