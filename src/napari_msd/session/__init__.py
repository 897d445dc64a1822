"""What the viewer's side remembers: strokes, weights worth keeping, what is segmented.

Knows numpy only; neither Qt, napari nor torch. The durable journal comes later and
belongs here too.
"""

from napari_msd.session.class_matching import match_by_name
from napari_msd.session.coverage import Completeness, Coverage
from napari_msd.session.history import History, Version
from napari_msd.session.kept import NO_IMAGE, KeptModel, KeptModels, Kind
from napari_msd.session.snapshot import BLOCK, StrokeSnapshot

__all__ = [
    "BLOCK",
    "NO_IMAGE",
    "Completeness",
    "Coverage",
    "History",
    "KeptModel",
    "KeptModels",
    "Kind",
    "StrokeSnapshot",
    "Version",
    "match_by_name",
]
