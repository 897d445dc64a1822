"""The newest weights worth keeping, as the bytes of model files.

They outlive the trainer, the session they came from, and a change of image: a model
loaded or trained on one image is used on the next one of as many channels. One is kept
for every kind of network, so that trying another preset loses nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from napari_msd.session.history import History


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


class KeptModels:
    """The newest weights of each preset and number of channels, and the versions before them."""

    def __init__(self) -> None:
        self._models: dict[tuple[str, int], KeptModel] = {}
        self._histories: dict[tuple[str, int], History] = {}

    def get(self, preset: str, n_channels: int) -> KeptModel | None:
        """Weights a session of this preset and these channels can start from."""
        return self._models.get((preset, n_channels))

    def history(self, preset: str, n_channels: int) -> History:
        """All versions worth keeping there were of a kind; it outlives `forget`."""
        return self._histories.setdefault((preset, n_channels), History())

    def keep(self, kept: KeptModel) -> None:
        """Keep these, instead of older ones of their kind."""
        self._models[kept.preset, kept.n_channels] = kept

    def forget(self, preset: str, n_channels: int) -> KeptModel | None:
        """Let go of the weights of a kind, and return them."""
        return self._models.pop((preset, n_channels), None)
