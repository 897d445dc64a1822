"""The newest weights worth keeping, as the bytes of model files.

They outlive the trainer and the panel. One is kept for every image and kind of network: a new
image begins anew, and trying another preset loses nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from napari_msd.document.checkpoints import History

if TYPE_CHECKING:
    from collections.abc import Collection

    from napari_msd.core.settings import Settings
    from napari_msd.core.space import Mode

NO_IMAGE = 0
"""Stands for the image of a model that was loaded while there was none."""


class Kind(NamedTuple):
    """What weights are kept for.

    Parameters
    ----------
    images
        Numbers of the image layers that are its channels, in the network's order.
    preset
        Name of the preset.
    n_channels
        Channels of all of them together.
    mode, context
        What the network sees as one image; `context` is 0 unless the mode is 2.5-D.
    """

    images: tuple[int, ...]
    preset: str
    n_channels: int = 1
    mode: Mode = "2d"
    context: int = 0

    @property
    def network(self) -> tuple[str, int, Mode, int]:
        """What two kinds have in common if networks of one can go on as the other."""
        return self.preset, self.n_channels, self.mode, self.context


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
    channels
        Names of the channels, in the network's order; empty if there is one, or they have none.
    """

    model: bytes
    settings: Settings
    source: str
    fit_normalisation: bool = False
    channels: tuple[str, ...] = ()


class KeptModels:
    """The newest weights of each kind, and the versions before them."""

    def __init__(self) -> None:
        self._models: dict[Kind, KeptModel] = {}
        self._histories: dict[Kind, History] = {}

    def get(self, kind: Kind) -> KeptModel | None:
        """Weights to start from."""
        return self._models.get(kind)

    def adopt_loaded(
        self, images: tuple[int, ...], n_channels: int, modes: Collection[Mode]
    ) -> list[Kind]:
        """Models that were loaded while there was no image are of these images from now on.

        With their histories, unless these have a network of the same kind already.

        Parameters
        ----------
        images, n_channels
            Numbers of the image's layers, and its channels.
        modes
            Those that are possible on it.

        Returns
        -------
        list of Kind
            Of the models that were adopted.
        """
        adopted = []
        for other in [k for k in self._models if k.images == (NO_IMAGE,)]:
            target = other._replace(images=images)
            if other.n_channels != n_channels or other.mode not in modes or target in self._models:
                continue
            self._models[target] = self._models.pop(other)
            self._histories[target] = self._histories.pop(other, History())
            adopted.append(target)
        return adopted

    def of_another_image(self, kind: Kind, channels: tuple[str, ...] = ()) -> KeptModel | None:
        """The newest weights of another image that this one could continue from.

        Those of the same channels in another order are left out: the network would take one for
        the other.

        Parameters
        ----------
        kind
            Of the network that is wanted.
        channels
            Names of this image's channels.
        """
        for other, kept in reversed(self._models.items()):
            if other.images in (kind.images, (NO_IMAGE,)) or other.network != kind.network:
                continue
            if kept.channels == channels or not set(kept.channels) & set(channels):
                return replace(kept, fit_normalisation=True)
        return None

    def history(self, kind: Kind) -> History:
        """All versions worth keeping there were of a kind; it outlives `forget`."""
        return self._histories.setdefault(kind, History())

    def histories_of(self, images: tuple[int, ...]) -> dict[Kind, History]:
        """The versions of the networks of these images together, by kind."""
        return {kind: h for kind, h in self._histories.items() if kind.images == images}

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
