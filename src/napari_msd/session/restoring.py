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
    memory: SessionMemory, content: SessionContent, images: Mapping[int, Layer]
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

    Returns
    -------
    list of str
        A sentence for each network that cannot be used.
    """
    remarks = []
    for image in content.images:
        layer = images.get(image.number)
        number = NO_IMAGE if layer is None else memory.number(layer)
        for preset, history in image.histories.items():
            if preset in PRESETS and history.versions:
                lost = _restore(memory, Kind(number, preset, image.reference.n_channels), history)
                if lost:
                    remarks.append(_damaged(lost, image))
    return remarks


def restore_choices(memory: SessionMemory, content: SessionContent) -> None:
    """Choose the preset and device of the annotation that was worked on last."""
    for annotation in content.annotations:
        if annotation.number == content.current:
            settings = annotation.document.settings
            memory.device = settings.device
            if settings.preset in PRESETS:
                memory.preset = settings.preset


def _restore(memory: SessionMemory, kind: Kind, history: History) -> int:
    """Restore one kind of network; returns how many of its versions are damaged."""
    lost, kept = 0, None
    for version in history.versions:
        try:
            settings = settings_of(ModelRecord.from_bytes(version.model), memory.device)
        except ModelFileError:
            lost += 1  # it stays in the history: a newer napari-msd may read it
            continue
        if version is history.present:
            kept = KeptModel(version.model, settings, version.source)
    present = history.present if kept is not None else None
    memory.models.restore(kind, History.restored(history.versions, present), kept)
    return lost


def _damaged(number: int, image: SavedImage) -> str:
    versions = "One version" if number == 1 else f"{number} versions"
    return f"{versions} of the network of “{image.reference.name}” could not be read."
