"""The settings a model was trained with, as far as they are valid.

A model file contains depth, width, dilations, boundary, mode and context twice: in the
architecture, which the weights must fit, and among the settings. The architecture takes precedence.
The other settings are read one by one; a setting that is unknown to this version, or out of its
range, is taken from the preset.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from napari_msd.core.errors import SettingsError
from napari_msd.core.settings import PRESETS, Settings
from napari_msd.core.space import NetworkInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_msd.images.model_file import ModelRecord


def settings_of(record: ModelRecord, device: str) -> Settings:
    """Settings to continue training a model.

    Parameters
    ----------
    record
        A model. Its architecture and seed are kept, and its valid settings.
    device
        One of `napari_msd.core.settings.DEVICE_CHOICES`; the model's own device only records
        where it was trained.

    Returns
    -------
    Settings
        Based on the record's preset, or on *quick* if that is unknown.

    Raises
    ------
    SettingsError
        For an unknown device.
    """
    changes: dict[str, Any] = {"device": device}
    return replace(agreeing(record.settings, vars(record)), **changes)


def agreeing(settings: Mapping[str, Any], architecture: Mapping[str, Any]) -> Settings:
    """Settings that agree with a network.

    Parameters
    ----------
    settings
        ``Settings.to_dict()`` of any version; untrusted.
    architecture
        `depth`, `width`, `dilations`, `boundary` and `seed` of the network, within their bounds;
        `ndim` and `context` of what it sees (2 and 0 if not given).

    Raises
    ------
    SettingsError
        For an architecture outside its bounds.
    """
    seen = NetworkInput(
        context=architecture.get("context", 0), convolved=architecture.get("ndim", 2)
    )
    preset = settings.get("preset")
    if not isinstance(preset, str) or preset not in PRESETS:
        preset = "quick"
    found = Settings.from_preset(preset, mode=seen.mode)
    names = {field.name for field in fields(Settings)} - {"preset", "dilations"}
    settings = {**settings, "seed": architecture["seed"]}
    for name in (*sorted(names), "dilations"):  # long ones last: all are checked every time
        if name in settings:
            found = _with(found, name, settings[name])
    depth, width = architecture["depth"], architecture["width"]
    dilations = tuple(architecture["dilations"])
    if _all(dilations, depth * width) == _all(found.dilations, depth * width):
        dilations = found.dilations  # the same network, described by its cycle
    return replace(
        found,
        mode=seen.mode,
        context=seen.context or found.context,
        depth=depth,
        width=width,
        dilations=dilations,
        boundary=architecture["boundary"],
    )


def _with(settings: Settings, name: str, value: object) -> Settings:
    """`settings` with one value changed, if the new value is valid."""
    with suppress(SettingsError):
        changes: dict[str, Any] = {name: value}
        return replace(settings, **changes)
    return settings


def _all(cycle: tuple[int, ...], channels: int) -> tuple[int, ...]:
    """Dilation of every hidden channel."""
    return (cycle * (channels // len(cycle) + 1))[:channels]
