"""Which network is trained, and its best weights."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from napari_msd.core.checkpoint import VersionFigures
from napari_msd.core.errors import ModelFileError
from napari_msd.core.settings import PRESETS, Settings
from napari_msd.document import NO_IMAGE, History, KeptModel, Kind, Version
from napari_msd.images.model_file import ModelRecord
from napari_msd.images.model_settings import settings_of
from napari_msd.session.mode_choice import Proposal, propose

if TYPE_CHECKING:
    from napari_msd.core.settings import DeviceChoice
    from napari_msd.core.space import Mode, Space
    from napari_msd.session.connection import Opened
    from napari_msd.session.memory import SessionMemory
    from napari_msd.session.ports import ChosenLayers
    from napari_msd.trainer.messages import ModelKept


class NetworkChoice:
    """The chosen preset, mode and device, and the weights for these and the image.

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
        return Settings.from_preset(
            self.preset, mode=self.mode, context=self.context, device=self.device
        )

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

    # --- what the network sees as one image ----------------------------------------------

    @property
    def proposal(self) -> Proposal:
        """The mode that fits the image, and why."""
        space = self._chosen.space
        if space is None:
            return Proposal("2d")
        return propose(space, said=self._chosen.axes_said)

    @property
    def mode(self) -> Mode:
        """The chosen mode if the image has it, else the proposed one."""
        chosen, space = self._memory.mode_of(self._chosen.layers), self._chosen.space
        if space is None:
            return "2d"
        return chosen if chosen in space.modes else self.proposal.mode

    @property
    def context(self) -> int:
        """Neighbouring slices on each side, in 2.5-D."""
        return self._memory.context_of(self._chosen.layers)

    def choose_mode(self, mode: Mode) -> bool:
        """Choose a mode for this image; False if nothing changes."""
        if mode == self.mode:
            return False
        self._memory.choose_mode(self._chosen.layers, mode)
        return True

    def choose_context(self, context: int) -> bool:
        """Choose the number of neighbouring slices in 2.5-D; False if nothing changes."""
        if context == self.context:
            return False
        self._memory.choose_context(self._chosen.layers, context)
        return True

    def seen(self, space: Space) -> Space:
        """A space as the network sees it."""
        return space.in_mode(self.mode, self.context)

    @property
    def images(self) -> tuple[int, ...]:
        """Numbers of the layers of the image, in the network's order."""
        return tuple(map(self._memory.number, self._chosen.layers)) or (NO_IMAGE,)

    # --- weights -------------------------------------------------------------------------

    @property
    def kept(self) -> KeptModel | None:
        """The best weights for the current image, preset and mode."""
        return self._memory.models.get(self.kind)

    @property
    def history(self) -> History:
        """The versions for the current image, preset and mode."""
        return self._memory.models.history(self.kind)

    @property
    def of_another_image(self) -> KeptModel | None:
        """Weights of another image to continue from, if this image has none."""
        if self.kept is not None or self._chosen.image is None:
            return None
        return self._memory.models.of_another_image(self.kind, self._channels)

    @property
    def forgotten(self) -> KeptModel | None:
        """The network that Start over removed, until a new one replaces it."""
        if self._memory.forgotten is None or self.kept is not None:
            return None
        kind, kept = self._memory.forgotten
        return kept if kind == self.kind else None

    def keep(self, event: ModelKept, opened: Opened) -> None:
        """Store new best weights from the trainer's session `opened`."""
        kind = kind_of(opened.images, opened.settings, opened.data.space)
        source = self._chosen.image.name if self._chosen.image is not None else ""
        kept = KeptModel(event.model, opened.settings, source, channels=self._channels)
        self._memory.models.keep(kind, kept)
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
        """Continue from these weights, with their preset and mode."""
        self._choose(kept.settings)
        self._memory.models.keep(self.kind, replace(kept, channels=self._channels))
        self.history.resume(kept.model)

    def load(self, record: ModelRecord, source: str) -> None:
        """Use the weights, settings and history of a model file."""
        model, settings = record.to_bytes(), settings_of(record, self.device)
        wanted = record.network_input
        settings = replace(settings, mode=wanted.mode, context=wanted.context or settings.context)
        self._choose(settings)
        kind = Kind(self.images, settings.preset, wanted.channels, wanted.mode, wanted.context)
        kept = KeptModel(model, settings, source, channels=self._channels)
        self._memory.models.keep(kind, kept)
        *past, last = record.history or (
            VersionFigures(record.steps, record.score, 0, 0, record.seed, record.created),
        )
        self._memory.models.history(kind).begin(model, last, source, tuple(past))

    def adopt_loaded(self) -> None:
        """Assign a network that was loaded without an image to the current image."""
        space = self._chosen.space
        if space is None:
            return
        for kind in self._memory.models.adopt_loaded(self.images, space.n_channels, space.modes):
            kept = self._memory.models.get(kind)
            if kept is not None and kind.preset == self.preset:
                self._choose(kept.settings)

    def go_back(self, version: Version) -> None:
        """Continue from an earlier version, with its settings."""
        self.history.go_back(version)
        try:
            settings = settings_of(ModelRecord.from_bytes(version.model), self.device)
        except ModelFileError:
            settings = self.settings
        kept = KeptModel(version.model, settings, version.source, channels=self._channels)
        self._memory.models.keep(self.kind, kept)

    def forget(self) -> bool:
        """Discard the weights for the current image and preset; False if there are none."""
        self.history.start_over()
        kept = self._memory.models.forget(self.kind)
        self._memory.forgotten = (self.kind, kept) if kept is not None else None
        return kept is not None

    def bring_back(self) -> None:
        """Undo `forget`."""
        if (kept := self.forgotten) is not None:
            self._memory.forgotten = None
            self.take(kept)

    @property
    def kind(self) -> Kind:
        """What the current weights are kept for."""
        space = self._chosen.space
        if space is None:
            return Kind(self.images, self.preset)
        seen = self.seen(space)
        return Kind(self.images, self.preset, space.n_channels, seen.mode, seen.context)

    @property
    def _channels(self) -> tuple[str, ...]:
        """Names of the channels; empty if there is one, or they have none."""
        space = self._chosen.space
        return () if space is None else space.channel_names or ()

    def _choose(self, settings: Settings) -> None:
        """Choose preset, mode and context of these settings."""
        self._memory.preset = settings.preset
        self._memory.choose_mode(self._chosen.layers, settings.mode)
        self._memory.choose_context(self._chosen.layers, settings.context)


def kind_of(images: tuple[int, ...], settings: Settings, space: Space) -> Kind:
    """What weights that were trained like this are kept for."""
    seen = space.in_mode(settings.mode, settings.context)
    return Kind(images, settings.preset, space.n_channels, seen.mode, seen.context)
