"""The user's preferences from napari's Preferences (the manifest's ``configurations``)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from napari.settings import get_plugin_settings

from napari_msd.core.settings import DEVICE_CHOICES, PRESETS, DeviceChoice

PLUGIN = "napari-msd"


@dataclass(frozen=True)
class Preferences:
    """The settings that napari.yaml declares, with the same defaults."""

    preset: str = "quick"
    device: DeviceChoice = "auto"
    overlay_opacity: float = 0.5
    refresh_rate: float = 10.0
    brush_size: int = 10


def plugin_settings() -> Any:
    """Napari's settings object for this plugin; ``None`` if the plugin is not installed."""
    try:
        return get_plugin_settings(PLUGIN)
    except KeyError:  # a source tree that was never installed
        return None


def read_preferences() -> Preferences:
    """The current preferences; a value out of its range counts as not set."""
    settings = plugin_settings()
    if settings is None:
        return Preferences()
    default = Preferences()
    training, display = settings.training, settings.display
    return Preferences(
        preset=training.preset if training.preset in PRESETS else default.preset,
        device=training.device if training.device in DEVICE_CHOICES else default.device,
        overlay_opacity=min(max(float(display.overlay_opacity), 0.0), 1.0),
        refresh_rate=min(max(float(display.refresh_rate), 1.0), 30.0),
        brush_size=max(int(display.brush_size), 1),
    )
