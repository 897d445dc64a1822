"""napari-msd: paint a few strokes, watch a Mixed-Scale Dense network learn from them.

Importing this package is light: the public names load on first use (PEP 562),
so that napari's plugin discovery, and the viewer's process, never import torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from napari_msd.core.version import VERSION

if TYPE_CHECKING:
    from napari_msd.images.open_source import open_source
    from napari_msd.network import MSDNet
    from napari_msd.segmenter import MSDSegmenter

__version__ = VERSION

__all__ = ["MSDNet", "MSDSegmenter", "__version__", "open_source"]

_HOME = {
    "MSDNet": "napari_msd.network",
    "MSDSegmenter": "napari_msd.segmenter",
    "open_source": "napari_msd.images.open_source",
}


def __getattr__(name: str) -> object:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
