"""Sessions on disk: one SQLite file holds what was painted, chosen and learned.

Written by a thread of its own, at most half a second after a change. Opens files of unknown origin
and damaged ones without running what they bring along; every failure is a `SessionError`.
Knows neither Qt, napari nor torch.
"""

from napari_msd.core.errors import SessionDamaged, SessionError, SessionInUse
from napari_msd.storage.catalogue import (
    SessionSummary,
    discard,
    interrupted,
    new_path,
    summaries,
)
from napari_msd.storage.content import (
    JSON,
    ImageReference,
    NetworkKey,
    SavedAnnotation,
    SavedImage,
    SessionContent,
)
from napari_msd.storage.elsewhere import sessions_folder
from napari_msd.storage.file_names import file_stem
from napari_msd.storage.image_fingerprint import fingerprint
from napari_msd.storage.opening import SUFFIX, read
from napari_msd.storage.session_file import SessionFile
from napari_msd.storage.session_journal import SessionJournal

__all__ = [
    "JSON",
    "SUFFIX",
    "ImageReference",
    "NetworkKey",
    "SavedAnnotation",
    "SavedImage",
    "SessionContent",
    "SessionDamaged",
    "SessionError",
    "SessionFile",
    "SessionInUse",
    "SessionJournal",
    "SessionSummary",
    "discard",
    "file_stem",
    "fingerprint",
    "interrupted",
    "new_path",
    "read",
    "sessions_folder",
    "summaries",
]
