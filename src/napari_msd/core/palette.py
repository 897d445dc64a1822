"""Class colours that colour-blind people can tell apart, on any grey image.

The first seven are those of Okabe & Ito (2008) without black, which vanishes on dark
images. The following hues are a golden angle apart with varying lightness, so that
neighbours in the list never look alike.
"""

from __future__ import annotations

import colorsys

OKABE_ITO = ("#56b4e9", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#f0e442", "#0072b2")
_GOLDEN = 0.61803398875
_LIGHTNESS = (0.62, 0.45, 0.75)


def class_color(value: int) -> str:
    """Default colour (``#rrggbb``) of class `value`."""
    if 1 <= value <= len(OKABE_ITO):
        return OKABE_ITO[value - 1]
    hue = (0.08 + value * _GOLDEN) % 1.0
    return to_hex(colorsys.hls_to_rgb(hue, _LIGHTNESS[value % len(_LIGHTNESS)], 0.75))


def to_hex(rgb: tuple[float, ...]) -> str:
    """``#rrggbb`` of three numbers 0..1."""
    return "#" + "".join(f"{round(255 * min(max(part, 0.0), 1.0)):02x}" for part in rgb[:3])
