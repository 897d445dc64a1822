"""What a person made: annotation, its validation split, checkpoints of networks, coverage.

Knows NumPy only; neither Qt, napari nor torch. A document changes through operations only, and
its journal holds them all.
"""

from napari_msd.document.annotation import Annotation
from napari_msd.document.checkpoints import History, Version
from napari_msd.document.coverage import Completeness, Coverage, UpToDate
from napari_msd.document.document import Document, document_of, requests_of
from napari_msd.document.journal import Entry, Journal, MemoryJournal
from napari_msd.document.kept_models import NO_IMAGE, KeptModel, KeptModels, Kind
from napari_msd.document.pieces import BLOCK, Amount, Piece
from napari_msd.document.snapshot import AnnotationSnapshot, Painted
from napari_msd.document.validation_split import ValidationSplit

__all__ = [
    "BLOCK",
    "NO_IMAGE",
    "Amount",
    "Annotation",
    "AnnotationSnapshot",
    "Completeness",
    "Coverage",
    "Document",
    "Entry",
    "History",
    "Journal",
    "KeptModel",
    "KeptModels",
    "Kind",
    "MemoryJournal",
    "Painted",
    "Piece",
    "UpToDate",
    "ValidationSplit",
    "Version",
    "document_of",
    "requests_of",
]
