"""How large the contents of a session file may be, checked before any memory is taken.

A file of a few kilobytes can claim, or really inflate to, billions of pixels.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from napari_msd.core.errors import SessionError
from napari_msd.images.free_memory import available

if TYPE_CHECKING:
    from napari_msd.core.box import Box

MAX_BODY = 2**20
"""Bytes of any row but painted values, models and the view."""

MAX_PAINT_BODY = 2**27
"""Bytes of a row of painted values; it holds at most `MAX_PIXELS`, which always fit."""

MAX_VIEW = 2**22
"""Bytes of the viewer's display settings."""

MAX_MODEL = 9 * 10**8
"""Bytes of a model; SQLite holds at most 10^9 in a row."""

MAX_PIXELS = 2**26
"""Pixels of one entry. Larger boxes are written as several."""

MAX_RATIO = 1100
"""zlib cannot inflate bytes to more than 1032 times as many."""

MAX_TEXT = 10_000
"""Characters of a name or path."""

MAX_AXIS = 2**40
"""Pixels along one axis of an image."""

_CHUNK_SIDE = 64
_CHUNK_BYTES = 4500
"""A chunk of an annotation with what Python needs to hold it."""

_PEAK = 3
"""Writing to an annotation needs this many times what it keeps."""

_BETWEEN_CHECKS = 2**24


class UnreadableError(ValueError):
    """One row cannot be used; others may be fine. Never leaves this package."""


class MemoryGuard:
    """Stops before what is read takes more memory than is free.

    Parameters
    ----------
    name
        Of the file, for the error's sentence.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._unchecked = 0

    def take_box(self, box: Box) -> None:
        """Painted values of a box are to be read.

        Raises
        ------
        SessionError
            If they do not fit into free memory.
        """
        shape = box.shape
        chunks = math.prod(shape[:-2]) * math.prod(n // _CHUNK_SIDE + 2 for n in shape[-2:])
        self.take(_PEAK * (math.prod(shape) + chunks * _CHUNK_BYTES))

    def take(self, size: int) -> None:
        """So many bytes are to be read.

        Raises
        ------
        SessionError
            If they do not fit into free memory.
        """
        self._unchecked += size
        if self._unchecked < _BETWEEN_CHECKS:
            return
        needed = max(size, _BETWEEN_CHECKS)
        if needed > available():
            raise SessionError(
                f"{self._name} needs more memory than is free; close other programs, then open "
                "it again."
            )
        self._unchecked = 0
