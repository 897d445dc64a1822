"""The newest weights worth keeping, as the bytes of a model file.

They outlive the trainer, the session they came from, and a change of image: a model
loaded or trained on one image is used on the next one of as many channels.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class KeptModel:
    """Weights that a new session may start from.

    Parameters
    ----------
    model
        Bytes of a model file.
    preset
        Preset whose network these weights are of; another preset cannot use them.
    n_channels
        Channels of the images they were trained on.
    source
        Where they come from, in words for the person ("membrane", "mito.safetensors").
    """

    model: bytes
    preset: str
    n_channels: int
    source: str

    def fits(self, preset: str, n_channels: int) -> bool:
        """Whether a session of this preset and channel count can start from these weights."""
        return self.preset == preset and self.n_channels == n_channels
