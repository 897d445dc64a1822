"""What the viewer's side remembers of a session: the strokes, and the weights worth keeping.

Knows numpy only; neither Qt, napari nor torch. The durable journal comes later and
belongs here too.
"""

from napari_msd.session.class_matching import match_by_name
from napari_msd.session.history import History, Version
from napari_msd.session.kept import KeptModel, KeptModels
from napari_msd.session.snapshot import BLOCK, StrokeSnapshot

__all__ = [
    "BLOCK",
    "History",
    "KeptModel",
    "KeptModels",
    "StrokeSnapshot",
    "Version",
    "match_by_name",
]
