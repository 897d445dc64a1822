"""Which network is trained, and its best weights."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from napari_msd.core.checkpoint import VersionFigures
from napari_msd.core.errors import ModelFileError
from napari_msd.core.settings import PRESETS, Settings
from napari_msd.document import History, KeptModel, Kind, Version
from napari_msd.images.model_file import ModelRecord
from napari_msd.images.model_settings import settings_of

if TYPE_CHECKING:
    from napari_msd.core.settings import DeviceChoice
    from napari_msd.session.connection import Opened
    from napari_msd.session.memory import SessionMemory
    from napari_msd.session.ports import ChosenLayers
    from napari_msd.trainer.messages import ModelKept


class NetworkChoice:
    """The chosen preset and device, and the weights for preset and image.

    Parameters
    ----------
    memory
        Where all of this is stored.
    chosen
        Provides the chosen image.
    """

    def __init__(self, memory: SessionMemory, chosen: ChosenLayers) -> None:
        self._memory = memory
        self._chosen = chosen

    @property
    def preset(self) -> str:
        """Name of the chosen preset."""
        return self._memory.preset

    @property
    def device(self) -> DeviceChoice:
        """The chosen device."""
        return self._memory.device

    @property
    def settings(self) -> Settings:
        """The settings to train with: those of the current weights, else the preset's."""
        kept = self.kept
        if kept is not None:
            return replace(kept.settings, device=self.device)
        return Settings.from_preset(self.preset, device=self.device)

    def choose_preset(self, preset: str) -> bool:
        """Choose a preset; False if nothing changes."""
        if preset not in PRESETS or preset == self.preset:
            return False
        self._memory.preset = preset
        return True

    def choose_device(self, device: str) -> bool:
        """Choose a device; False if nothing changes."""
        if device == self.device:
            return False
        self._memory.device = Settings.from_preset(device=device).device
        return True

    @property
    def image_number(self) -> int:
        """Number of the current image layer."""
        return self._memory.number(self._chosen.image)

    # --- weights -------------------------------------------------------------------------

    @property
    def kept(self) -> KeptModel | None:
        """The best weights for the current image and preset."""
        return self._memory.models.get(self._kind)

    @property
    def history(self) -> History:
        """The versions for the current image and preset."""
        return self._memory.models.history(self._kind)

    @property
    def of_another_image(self) -> KeptModel | None:
        """Weights of another image to continue from, if this image has none."""
        if self.kept is not None or self._chosen.image is None:
            return None
        return self._memory.models.of_another_image(self._kind)

    @property
    def forgotten(self) -> KeptModel | None:
        """The network that Start over removed, until a new one replaces it."""
        if self._memory.forgotten is None or self.kept is not None:
            return None
        kind, kept = self._memory.forgotten
        return kept if kind == self._kind else None

    def keep(self, event: ModelKept, opened: Opened) -> None:
        """Store new best weights from the trainer's session `opened`."""
        kind = Kind(opened.image, opened.settings.preset, opened.data.space.n_channels)
        source = self._chosen.image.name if self._chosen.image is not None else ""
        self._memory.models.keep(kind, KeptModel(event.model, opened.settings, source))
        figures = VersionFigures(
            event.step,
            event.score,
            event.pieces,
            event.painted,
            opened.settings.seed,
            datetime.now(UTC).isoformat(timespec="seconds"),
        )
        self._memory.models.history(kind).add(event.model, figures, source)

    def take(self, kept: KeptModel) -> None:
        """Continue from these weights, with their preset."""
        self._memory.preset = kept.settings.preset
        self._memory.models.keep(self._kind, kept)
        self.history.resume(kept.model)

    def load(self, record: ModelRecord, source: str) -> None:
        """Use the weights, settings and history of a model file."""
        model = record.to_bytes()
        kept = KeptModel(model, settings_of(record, self.device), source)
        self._memory.preset = kept.settings.preset
        kind = self._kind._replace(n_channels=record.in_channels)
        self._memory.models.keep(kind, kept)
        *past, last = record.history or (
            VersionFigures(record.steps, record.score, 0, 0, record.seed, record.created),
        )
        self._memory.models.history(kind).begin(model, last, source, tuple(past))

    def adopt_loaded(self) -> None:
        """Assign a network that was loaded without an image to the current image."""
        if self._chosen.image is not None:
            self._memory.models.adopt_loaded(self.image_number, self._chosen.n_channels)

    def go_back(self, version: Version) -> None:
        """Continue from an earlier version, with its settings."""
        self.history.go_back(version)
        try:
            settings = settings_of(ModelRecord.from_bytes(version.model), self.device)
        except ModelFileError:
            settings = self.settings
        self._memory.models.keep(self._kind, KeptModel(version.model, settings, version.source))

    def forget(self) -> bool:
        """Discard the weights for the current image and preset; False if there are none."""
        self.history.start_over()
        kept = self._memory.models.forget(self._kind)
        self._memory.forgotten = (self._kind, kept) if kept is not None else None
        return kept is not None

    def bring_back(self) -> None:
        """Undo `forget`."""
        if (kept := self.forgotten) is not None:
            self._memory.forgotten = None
            self.take(kept)

    @property
    def _kind(self) -> Kind:
        return Kind(self.image_number, self.preset, self._chosen.n_channels)
