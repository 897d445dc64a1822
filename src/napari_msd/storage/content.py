"""What a session file holds, as plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from napari_msd.document import Document, History

JSON = None | bool | int | float | str | list[Any] | dict[str, Any]


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


@dataclass(frozen=True)
class SavedImage:
    """An image that strokes were painted on; `histories` by the name of a preset."""

    number: int
    reference: ImageReference
    histories: dict[str, History] = field(default_factory=dict)


@dataclass(frozen=True)
class SavedAnnotation:
    """An annotation layer: its name, the number of its image, and what was done to it."""

    number: int
    image: int
    name: str
    document: Document


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
