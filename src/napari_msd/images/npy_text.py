"""Metadata of exported labels in an NPY file: a text behind the numbers.

The format has no place for a text, and a second file beside it would be forgotten when the first
is moved. Readers take as many bytes as the header states, so what follows does not disturb them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from napari_msd.images.label_metadata import MAX_TEXT, METADATA_KEY

if TYPE_CHECKING:
    from pathlib import Path

_START = f"\n{METADATA_KEY}=".encode("ascii")
_END = b"\n"


def write_npy(file: BinaryIO, array: np.ndarray, text: str) -> None:
    """Write an array, and behind it a text of ASCII characters."""
    np.save(file, array, allow_pickle=False)
    file.write(npy_text(text))


def npy_text(text: str) -> bytes:
    """What stands behind the numbers of a file for `read_npy_text` to find."""
    return _START + text.encode("ascii") + _END


def read_npy_text(path: Path) -> str | None:
    """The text that `write_npy` wrote; ``None`` if there is none.

    Reads the header and what lies behind the numbers, at most `MAX_TEXT` bytes.

    Raises
    ------
    OSError, ValueError
        If the file cannot be read, or is no NPY file.
    """
    with path.open("rb") as file:
        version = np.lib.format.read_magic(file)
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }.get(version)
        if read is None:  # NumPy writes a later one for fields with names only
            return None
        shape, _, dtype = read(file)
        file.seek(file.tell() + math.prod(shape) * dtype.itemsize)
        rest = file.read(MAX_TEXT + len(_START) + len(_END))
    if not rest.startswith(_START) or not rest.endswith(_END):
        return None
    return rest[len(_START) : -len(_END)].decode("ascii", errors="replace")
