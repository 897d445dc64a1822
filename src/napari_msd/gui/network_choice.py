"""Which network is trained, and the best weights there are for it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from napari_msd.config import PRESETS, Settings
from napari_msd.session import KeptModel, KeptModels

if TYPE_CHECKING:
    from napari_msd.gui.link import Opened
    from napari_msd.gui.subject import Subject


class NetworkChoice:
    """Preset and device as chosen; weights for them and for the image's channels.

    Parameters
    ----------
    preset, device
        To begin with.
    subject
        Tells the image.
    """

    def __init__(self, preset: str, device: str, subject: Subject) -> None:
        self.settings = Settings.from_preset(preset, device=device)
        self._subject = subject
        self._models = KeptModels()

    def with_preset(self, preset: str) -> Settings | None:
        """Settings of another preset on the same device; ``None`` when nothing changes."""
        if preset not in PRESETS or preset == self.settings.preset:
            return None
        return Settings.from_preset(preset, device=self.settings.device)

    def with_device(self, device: str) -> Settings | None:
        """The same settings on another device; ``None`` when nothing changes."""
        if device == self.settings.device:
            return None
        return replace(self.settings, device=device)  # type: ignore[arg-type]

    @property
    def kept(self) -> KeptModel | None:
        """The best weights for the present image and preset."""
        return self._models.get(self.settings.preset, self._subject.n_channels)

    def keep(self, model: bytes, opened: Opened) -> None:
        """Newer best weights came from the session that is open."""
        source = self._subject.image.name if self._subject.image is not None else ""
        self._models.keep(KeptModel(model, opened.settings.preset, opened.channels, source))

    def take(self, kept: KeptModel) -> None:
        """Weights from elsewhere, with the preset that they are of."""
        self.settings = self.with_preset(kept.preset) or self.settings
        self._models.keep(kept)

    def forget(self) -> KeptModel | None:
        """Let go of the weights for the present image and preset, and return them."""
        return self._models.forget(self.settings.preset, self._subject.n_channels)
