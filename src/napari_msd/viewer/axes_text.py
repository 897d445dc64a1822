"""What was understood of an image, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_msd.core.number_text import grouped

if TYPE_CHECKING:
    from napari_msd.viewer.axes import Axes

_ALONE = {"T": "Time series of {} frame", "Z": "Stack of {} slice", "C": "{} channel"}
_WORDS = {"T": "frame", "Z": "slice", "C": "channel"}
_OTHER = "Series of {} plane"
_UNITS = {
    "micrometer": "µm",
    "micrometre": "µm",
    "micron": "µm",
    "microns": "µm",
    "um": "µm",
    "nanometer": "nm",
    "nanometre": "nm",
    "millimeter": "mm",
    "millimetre": "mm",
    "centimeter": "cm",
    "meter": "m",
    "angstrom": "Å",
}


def describe(axes: Axes, shape: tuple[int, ...], n_channels: int, *, rgb: bool = False) -> str:
    """A line like "Stack of 20 slices · 512 × 512 · 2 channels · 0.2 × 0.2 × 0.5 µm".

    Parameters
    ----------
    axes
        Of the image.
    shape
        Lengths of these axes.
    n_channels
        Channels that the network gets of each pixel.
    rgb
        Whether these are the colours of the image.
    """
    parts = [_leading(axes, shape[:-2]), f"{shape[-2]} × {shape[-1]}"]
    if rgb:
        parts.append("in colour")
    elif n_channels > 1:
        parts.append(f"{n_channels} channels")
    if size := pixel_size(axes):
        parts.append(size)
    return " · ".join(parts)


def pixel_size(axes: Axes) -> str:
    """``0.2 × 0.2 × 0.5 µm``, along X, Y and Z; empty if it is not known."""
    if axes.pixel_size is None or axes.units is None:
        return ""
    spatial = [i for i, letter in enumerate(axes.letters) if letter in "ZYX"][::-1]
    known = [i for i in spatial if axes.units[i] != "pixel"]
    if not known:
        return ""
    units = [_UNITS.get(axes.units[i].lower(), axes.units[i]) for i in known]
    sizes = [f"{axes.pixel_size[i]:.3g}" for i in known]
    if len(set(units)) == 1:
        return f"{' × '.join(sizes)} {units[0]}"
    return " × ".join(f"{size} {unit}" for size, unit in zip(sizes, units, strict=True))


def _leading(axes: Axes, lengths: tuple[int, ...]) -> str:
    """The axes before Y and X; a question mark if they are a guess."""
    if not lengths:
        return "Plane"
    letters = axes.letters[: len(lengths)]
    if len(lengths) == 1:
        text = _plural(_ALONE.get(letters, _OTHER).format(grouped(lengths[0])), lengths[0])
    else:
        words = [_WORDS.get(letter, "plane") for letter in letters]
        text = " × ".join(
            _plural(f"{grouped(n)} {word}", n) for word, n in zip(words, lengths, strict=True)
        )
    return text if axes.said else f"{text}?"


def _plural(text: str, number: int) -> str:
    return text if number == 1 else f"{text}s"
