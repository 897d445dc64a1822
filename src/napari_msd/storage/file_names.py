"""File names from names of layers, which are any text."""

from __future__ import annotations

from napari_msd.core.class_names import clean_class_name

_FORBIDDEN = dict.fromkeys(map(ord, '<>:"/\\|?*'), "_")
_DEVICES = {
    "CON",
    "PRN",
    "AUX",
    "NUL",
    *(f"{port}{number}" for port in ("COM", "LPT") for number in "0123456789¹²³"),
}
"""Names that Windows keeps to itself, with any suffix."""

_MOST_BYTES = 120
"""Some file systems allow 143."""


def file_stem(name: str, otherwise: str) -> str:
    """A file name without suffix that every system allows, and that stays in its folder.

    Parameters
    ----------
    name
        Any text.
    otherwise
        Used if nothing is left of it.

    Examples
    --------
    >>> file_stem("../../cells?", "annotation")
    '_.._cells_'
    """
    stem = clean_class_name(name).translate(_FORBIDDEN)
    stem = stem.encode()[:_MOST_BYTES].decode(errors="ignore").strip(" .")
    if not stem:
        return otherwise
    device = stem.split(".")[0].rstrip().upper()
    return f"_{stem}" if device in _DEVICES else stem
