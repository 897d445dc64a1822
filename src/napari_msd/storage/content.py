"""What a session file holds, as plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from napari_msd.core.space import Mode
from napari_msd.document import Document, History

MAX_CONTEXT = 10
"""Neighbouring slices on each side, at most."""

JSON = None | bool | int | float | str | list[Any] | dict[str, Any]


class NetworkKey(NamedTuple):
    """Which network of an image.

    Parameters
    ----------
    preset
        Name of the preset.
    mode, context
        What it sees as one image, and how many neighbouring slices on each side (2.5-D).
    channels
        Numbers of the images that are its channels, in its order; empty for the image alone.
    """

    preset: str
    mode: Mode = "2d"
    context: int = 0
    channels: tuple[int, ...] = ()


@dataclass(frozen=True)
class ImageReference:
    """Where an image layer came from; never its pixels.

    Parameters
    ----------
    name
        The layer's name.
    axes, shape
        Letters and lengths in pixels of the axes, without channels.
    n_channels
        Values per pixel.
    dtype
        NumPy's name of the type of the values, like ``"uint16"``.
    path
        File, folder or address that napari opened; empty if a script made the layer. From a file of
        unknown origin: ask before opening it.
    reader
        npe2 plugin that read it, if known.
    sample
        Plugin and key of a napari sample; two empty texts if it is none.
    fingerprint
        See `napari_msd.storage.fingerprint`; empty if not computed.
    part
        Axis and index, if it is one channel of the array that `path` holds; else ``None``.
    axes_said
        Whether somebody said what the axes are; else they were guessed.
    """

    name: str
    axes: str
    shape: tuple[int, ...]
    n_channels: int
    dtype: str
    path: str = ""
    reader: str = ""
    sample: tuple[str, str] = ("", "")
    fingerprint: str = ""
    part: tuple[int, int] | None = None
    axes_said: bool = False


@dataclass(frozen=True)
class SavedImage:
    """An image that strokes were painted on, or a channel of one; `histories` of its networks."""

    number: int
    reference: ImageReference
    histories: dict[NetworkKey, History] = field(default_factory=dict)


@dataclass(frozen=True)
class SavedAnnotation:
    """An annotation layer: its name, the number of its image, and what was done to it.

    `channels` are the numbers of the images that the network saw; empty for its image alone.
    """

    number: int
    image: int
    name: str
    document: Document
    channels: tuple[int, ...] = ()


@dataclass(frozen=True)
class SessionContent:
    """Everything of a session.

    Parameters
    ----------
    id
        Eight hexadecimal digits.
    images, annotations
        By ascending number.
    current
        Number of the annotation that was worked on last.
    view
        Display settings of viewer and layers, as they were kept; of unknown origin.
    problems
        Sentences on what could not be read.
    last_change
        When something was last written, as `time.time`.
    """

    id: str
    images: list[SavedImage]
    annotations: list[SavedAnnotation]
    current: int | None
    view: dict[str, JSON]
    problems: list[str]
    last_change: float
