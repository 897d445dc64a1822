"""The settings a model was trained with, as far as they can be believed.

What the network is (depth, width, dilations, boundary) stands twice in a model file: in the
architecture, which the weights have to fit, and among the settings. The architecture is right.
The other settings are taken one by one; what this version does not know, or what is out of its
range, is as in the preset.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from napari_msd.core.errors import SettingsError
from napari_msd.core.settings import PRESETS, Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_msd.images.model_file import ModelRecord


def settings_of(record: ModelRecord, device: str) -> Settings:
    """Settings to go on training a model with.

    Parameters
    ----------
    record
        A model. Its architecture and seed are kept, and of its settings what can be used.
    device
        One of `napari_msd.core.settings.DEVICE_CHOICES`; the model's own device says where it was
        trained, not where it goes on.

    Returns
    -------
    Settings
        Of the record's preset, of *quick* where that is unknown.

    Raises
    ------
    SettingsError
        For a device nobody knows.
    """
    changes: dict[str, Any] = {"device": device}
    return replace(agreeing(record.settings, vars(record)), **changes)


def agreeing(settings: Mapping[str, Any], architecture: Mapping[str, Any]) -> Settings:
    """Settings that agree with a network.

    Parameters
    ----------
    settings
        ``Settings.to_dict()`` of any version, or anything else with names; nothing is believed.
    architecture
        `depth`, `width`, `dilations`, `boundary` and `seed` of the network, within their bounds.

    Raises
    ------
    SettingsError
        For an architecture outside its bounds.
    """
    preset = settings.get("preset")
    found = PRESETS.get(preset, PRESETS["quick"]) if isinstance(preset, str) else PRESETS["quick"]
    names = {field.name for field in fields(Settings)} - {"preset", "dilations"}
    settings = {**settings, "seed": architecture["seed"]}
    for name in (*sorted(names), "dilations"):  # long ones last: all are looked at every time
        if name in settings:
            found = _with(found, name, settings[name])
    depth, width = architecture["depth"], architecture["width"]
    dilations = tuple(architecture["dilations"])
    if _all(dilations, depth * width) == _all(found.dilations, depth * width):
        dilations = found.dilations  # the same network, told by its cycle
    return replace(
        found,
        depth=depth,
        width=width,
        dilations=dilations,
        boundary=architecture["boundary"],
    )


def _with(settings: Settings, name: str, value: object) -> Settings:
    """`settings` with one of them changed, if its value is possible."""
    with suppress(SettingsError):
        changes: dict[str, Any] = {name: value}
        return replace(settings, **changes)
    return settings


def _all(cycle: tuple[int, ...], channels: int) -> tuple[int, ...]:
    """Dilation of every hidden channel."""
    return (cycle * (channels // len(cycle) + 1))[:channels]
