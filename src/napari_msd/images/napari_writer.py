"""napari's File > Save for one Labels layer (npe2 writer).

It uses napari's layer tuples and does not import napari.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from napari_msd.images.export import export_labels

if TYPE_CHECKING:
    from collections.abc import Mapping

CLASSES_KEY = "napari_msd_classes"
"""Key in a Labels layer's ``metadata`` for ``{value: {"name", "color"}}``."""

REMARK_KEY = "napari_msd_remark"
"""Key for a warning to show when the layer is saved ("27 of 30 planes are ...")."""


def write_labels(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Write one Labels layer; see `export_labels`.

    Parameters
    ----------
    path
        The target; its suffix decides the format.
    data
        The layer's array, or its list of levels when it is multiscale.
    meta
        The layer's attributes as napari passes them to writers: ``scale``, ``units``,
        ``axis_labels``, ``metadata``, ``multiscale``.

    Returns
    -------
    list of str
        The file written, as npe2 expects it.

    Raises
    ------
    ExportError, BadInputError
        One sentence each; napari shows it as a notification.

    Warns
    -----
    UserWarning
        If the segmentation is incomplete; napari shows it as a notification.
    """
    if meta.get("multiscale"):
        data = data[0]
    remark = (meta.get("metadata") or {}).get(REMARK_KEY)
    if isinstance(remark, str) and remark:
        warnings.warn(f"{path} is saved, but note:  {remark}", stacklevel=2)
    written = export_labels(
        path,
        data,
        class_names=class_names(meta.get("metadata") or {}),
        class_colors=class_colors(meta.get("metadata") or {}),
        scale=meta.get("scale"),
        units=meta.get("units"),
        axes=meta.get("axis_labels"),
    )
    return [str(written)]


def class_names(metadata: dict[str, Any]) -> dict[int, str]:
    """Class names in a Labels layer's ``metadata``; empty if there are none."""
    return _of_classes(metadata, "name")


def class_colors(metadata: dict[str, Any]) -> dict[int, str]:
    """Class colours in a Labels layer's ``metadata``; empty if there are none."""
    return _of_classes(metadata, "color")


def class_table(names: Mapping[int, str], colors: Mapping[int, str]) -> dict[str, Any]:
    """A Labels layer's ``metadata`` with these names and colours; a class may lack a colour."""
    return {
        CLASSES_KEY: {
            str(value): {"name": name, "color": colors.get(value, "")}
            for value, name in names.items()
        }
    }


def _of_classes(metadata: dict[str, Any], key: str) -> dict[int, str]:
    try:
        return {int(value): str(c[key]) for value, c in metadata[CLASSES_KEY].items()}
    except (KeyError, TypeError, ValueError, AttributeError):
        return {}
