"""Checks that an image fits into memory, before any is allocated.

A compressed file of a few kilobytes can claim, or really contain, billions of pixels.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import psutil

from napari_msd.core.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_VALUES = 2**36
"""Largest image, in values (pixels times channels); the window has the same limit."""


def require_room(name: str, shape: Sequence[int], bytes_per_value: int) -> None:
    """Refuse an image that is too large, by the size that its file states.

    Parameters
    ----------
    name
        Name of the file for the error message.
    shape
        All of its axes.
    bytes_per_value
        Memory that reading takes per value, copies included.

    Raises
    ------
    ImageError
        For more than `MAX_VALUES` values, or more than fit into free memory.
    """
    values = math.prod(shape)
    sizes = " × ".join(map(str, shape[:6]))
    if values > MAX_VALUES:
        raise ImageError(
            f"{name} states a size of {sizes}, more than {MAX_VALUES:.1e} values; "
            "use a part of it, or check whether the file is damaged."
        )
    needed, free = values * bytes_per_value, available()
    if needed > free:
        raise ImageError(
            f"{name} ({sizes}) needs {_gib(needed)} of memory, and {_gib(free)} are free; "
            "close other programs, or use a part of it."
        )


def available() -> int:
    """Bytes of memory that can be allocated without swapping out other programs."""
    return int(psutil.virtual_memory().available)


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"
