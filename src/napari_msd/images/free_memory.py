"""Whether an image has room in memory: asked before any is taken.

A compressed file of some kilobytes can claim, or really hold, billions of pixels.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import psutil

from napari_msd.core.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_VALUES = 2**36
"""Largest image, in values (pixels times channels): the window's limit, too."""


def require_room(name: str, shape: Sequence[int], bytes_per_value: int) -> None:
    """Refuse an image that is too large, by what its file says of it.

    Parameters
    ----------
    name
        How to call the file in the error's sentence.
    shape
        All of its axes.
    bytes_per_value
        Memory that reading it takes for every value, copies included.

    Raises
    ------
    ImageError
        For more than `MAX_VALUES`, or more than there is free memory for.
    """
    values = math.prod(shape)
    sizes = " × ".join(map(str, shape[:6]))
    if values > MAX_VALUES:
        raise ImageError(
            f"{name} says that it is {sizes}, more than {MAX_VALUES:.1e} values; "
            "give a part of it, or look whether the file is damaged."
        )
    needed, free = values * bytes_per_value, available()
    if needed > free:
        raise ImageError(
            f"{name} ({sizes}) needs {_gib(needed)} of memory, and {_gib(free)} are free; "
            "close other programs, or give a part of it."
        )


def available() -> int:
    """Bytes of memory that can be taken without driving others out."""
    return int(psutil.virtual_memory().available)


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"
