"""The newest weights worth keeping, as the bytes of model files.

They outlive the trainer and the panel. One is kept for every image and kind of network: a new
image begins anew, and trying another preset loses nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from napari_msd.document.checkpoints import History

if TYPE_CHECKING:
    from napari_msd.core.settings import Settings

NO_IMAGE = 0
"""Stands for the image of a model that was loaded while there was none."""


class Kind(NamedTuple):
    """What weights are kept for: an image's number, a preset, and the image's channels."""

    image: int
    preset: str
    n_channels: int


@dataclass(frozen=True)
class KeptModel:
    """Weights that a new session may start from.

    Parameters
    ----------
    model
        Bytes of a model file.
    settings
        Of the network and its training; their device is the one chosen last.
    source
        Where the weights come from, in words for the person ("membrane", "mito.safetensors").
    fit_normalisation
        The weights are of another image: grey values have to be measured anew on this one.
    """

    model: bytes
    settings: Settings
    source: str
    fit_normalisation: bool = False


class KeptModels:
    """The newest weights of each kind, and the versions before them."""

    def __init__(self) -> None:
        self._models: dict[Kind, KeptModel] = {}
        self._histories: dict[Kind, History] = {}

    def get(self, kind: Kind) -> KeptModel | None:
        """Weights to start from."""
        return self._models.get(kind)

    def adopt_loaded(self, image: int, n_channels: int) -> None:
        """Models that were loaded while there was no image are of this one from now on.

        With their histories, unless it has a network of the same preset already.
        """
        for kind in [k for k in self._models if k.image == NO_IMAGE and k.n_channels == n_channels]:
            target = kind._replace(image=image)
            if target not in self._models:
                self._models[target] = self._models.pop(kind)
                self._histories[target] = self._histories.pop(kind, History())

    def of_another_image(self, kind: Kind) -> KeptModel | None:
        """The newest weights of another image that this one could continue from."""
        for other, kept in reversed(self._models.items()):
            if other.image not in (kind.image, NO_IMAGE) and other[1:] == kind[1:]:
                return replace(kept, fit_normalisation=True)
        return None

    def history(self, kind: Kind) -> History:
        """All versions worth keeping there were of a kind; it outlives `forget`."""
        return self._histories.setdefault(kind, History())

    def histories_of(self, image: int) -> dict[str, History]:
        """The versions of an image's networks, by preset."""
        return {kind.preset: h for kind, h in self._histories.items() if kind.image == image}

    def restore(self, kind: Kind, history: History, kept: KeptModel | None) -> None:
        """Bring back the versions of a kind, and the weights to start from."""
        self._histories[kind] = history
        if kept is not None:
            self.keep(kind, kept)

    def keep(self, kind: Kind, kept: KeptModel) -> None:
        """Keep these, instead of older ones of their kind."""
        self._models.pop(kind, None)  # the newest come last
        self._models[kind] = kept

    def forget(self, kind: Kind) -> KeptModel | None:
        """Let go of the weights of a kind, and return them."""
        return self._models.pop(kind, None)
