"""Which network is trained, and the best weights there are for it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from napari_msd.config import PRESETS, Settings
from napari_msd.io.model_header import VersionFigures
from napari_msd.session import History, KeptModel, KeptModels, Version

if TYPE_CHECKING:
    from napari_msd.gui.link import Opened
    from napari_msd.gui.subject import Subject
    from napari_msd.io.model_file import ModelRecord
    from napari_msd.worker.messages import ModelKept


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

    @property
    def history(self) -> History:
        """The versions there were for the present image and preset."""
        return self._models.history(self.settings.preset, self._subject.n_channels)

    def keep(self, event: ModelKept, opened: Opened) -> None:
        """Newer best weights came from the session that is open."""
        source = self._subject.image.name if self._subject.image is not None else ""
        preset, channels = opened.settings.preset, opened.channels
        self._models.keep(KeptModel(event.model, preset, channels, source))
        figures = VersionFigures(
            event.step,
            event.score,
            event.pieces,
            event.painted,
            opened.settings.seed,
            datetime.now(UTC).isoformat(timespec="seconds"),
        )
        self._models.history(preset, channels).add(event.model, figures, source)

    def take(self, kept: KeptModel) -> None:
        """Weights from elsewhere, with the preset that they are of."""
        self.settings = self.with_preset(kept.preset) or self.settings
        self._models.keep(kept)
        self.history.resume(kept.model)

    def load(self, record: ModelRecord, source: str) -> None:
        """Weights of a model file, with the preset and the past that it tells."""
        preset = str(record.settings.get("preset", self.settings.preset))
        if preset not in PRESETS:
            preset = self.settings.preset
        model = record.to_bytes()
        self.take(KeptModel(model, preset, record.in_channels, source))
        *past, last = record.history or (
            VersionFigures(record.steps, record.score, 0, 0, record.seed, record.created),
        )
        history = self._models.history(preset, record.in_channels)
        history.begin(model, last, source, tuple(past))

    def go_back(self, version: Version) -> None:
        """An earlier version is what is gone on from."""
        self.history.go_back(version)
        preset, channels = self.settings.preset, self._subject.n_channels
        self._models.keep(KeptModel(version.model, preset, channels, version.source))

    def forget(self) -> KeptModel | None:
        """Let go of the weights for the present image and preset, and return them."""
        self.history.start_over()
        return self._models.forget(self.settings.preset, self._subject.n_channels)
