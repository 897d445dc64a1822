"""Brings the networks and settings of a saved session back into a viewer's memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_msd.core.errors import ModelFileError
from napari_msd.core.settings import PRESETS
from napari_msd.document import NO_IMAGE, History, KeptModel, Kind
from napari_msd.images.model_file import ModelRecord
from napari_msd.images.model_settings import settings_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_msd.session.memory import SessionMemory
    from napari_msd.session.ports import Layer
    from napari_msd.storage import SavedImage, SessionContent


def restore_networks(
    memory: SessionMemory,
    content: SessionContent,
    images: Mapping[int, Layer],
    of: int | None = None,
) -> list[str]:
    """Bring back all networks and their histories; those of a lost image wait for the next one.

    Parameters
    ----------
    memory
        Of the viewer.
    content
        The session.
    images
        The layers of its images that were found, by number.
    of
        Only the networks that see the image of this number; all if not given.

    Returns
    -------
    list of str
        A sentence for each network that cannot be used.
    """
    numbers = {number: memory.number(layer) for number, layer in images.items()}
    remarks = []
    for image in content.images:
        for key, history in image.histories.items():
            channels = key.channels or (image.number,)
            if key.preset not in PRESETS or not history.versions:
                continue
            if of is not None and of not in channels:
                continue
            found = [numbers.get(number) for number in channels]
            known = tuple(number for number in found if number is not None)
            if len(known) < len(channels):
                if len(channels) > 1:
                    continue  # the network of several layers goes on when all of them are there
                known = (NO_IMAGE,)
            n_channels = image.reference.n_channels if len(channels) == 1 else len(channels)
            kind = Kind(known, key.preset, n_channels, key.mode, key.context)
            if lost := _restore(memory, kind, history):
                remarks.append(_damaged(lost, image))
    return remarks


def restore_choices(
    memory: SessionMemory,
    content: SessionContent,
    images: Mapping[int, Layer],
    of: int | None = None,
) -> None:
    """Choose what was chosen: channels and mode of each annotation's image, and the preset.

    Preset and device are those of the annotation that was worked on last. With `of`, only what
    was chosen for the image of this number.
    """
    last = content.current
    for annotation in sorted(content.annotations, key=lambda one: one.number == last):
        settings = annotation.document.settings
        channels = annotation.channels or (annotation.image,)
        if of is not None and of not in channels:
            continue
        together = [images[number] for number in channels if number in images]
        if len(together) == len(channels):
            memory.choose_channels(together)
            memory.choose_mode(together, settings.mode)
            memory.choose_context(together, settings.context)
        if annotation.number == content.current:
            memory.device = settings.device
            if settings.preset in PRESETS:
                memory.preset = settings.preset


def _restore(memory: SessionMemory, kind: Kind, history: History) -> int:
    """Restore one kind of network; returns how many of its versions are damaged."""
    lost, kept = 0, None
    for version in history.versions:
        try:
            record = ModelRecord.from_bytes(version.model)
            settings = settings_of(record, memory.device)
        except ModelFileError:
            lost += 1  # it stays in the history: a newer napari-msd may read it
            continue
        if version is history.present:
            kept = KeptModel(version.model, settings, version.source, channels=record.channels)
    present = history.present if kept is not None else None
    memory.models.restore(kind, History.restored(history.versions, present), kept)
    return lost


def _damaged(number: int, image: SavedImage) -> str:
    versions = "One version" if number == 1 else f"{number} versions"
    return f"{versions} of the network of “{image.reference.name}” could not be read."
