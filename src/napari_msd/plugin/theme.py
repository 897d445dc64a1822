"""Converts napari's theme to the widgets' palette."""

from __future__ import annotations

from typing import Any

from napari.utils.theme import get_theme

from napari_msd.widgets.theme import Palette


def palette(viewer: Any) -> Palette:
    """The colours of the viewer's theme."""
    theme = get_theme(viewer.theme)
    names = ("background", "foreground", "primary", "highlight", "text", "current")
    colors = {name: getattr(theme, name).as_hex(format="long") for name in names}
    notes = {name: getattr(theme, name).as_hex(format="long") for name in ("warning", "error")}
    return Palette(id=theme.id, dark=theme.type == "dark", **colors, **notes)
