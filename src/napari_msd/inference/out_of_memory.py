"""What to do when the device has too little memory: less at once, and go on."""

from __future__ import annotations

import torch

_WORDS = ("out of memory", "can't allocate memory", "not enough memory", "ALLOC_FAILED")
"""In the messages of PyTorch's plain RuntimeErrors: CUDA, the CPU of Linux and macOS, the CPU of
Windows, cuBLAS."""

SMALLEST_TILE = 32


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that there is too little memory, of the device or the machine."""
    if isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _WORDS)


class TileLimit:
    """The largest side of a tile that is predicted at once; smaller after memory was too little."""

    def __init__(self) -> None:
        self.side: int | None = None
        """``None`` while everything fits."""
        self._remark = ""

    def halve(self, side: int) -> bool:
        """A tile of this side did not fit; False if a half would be too small to try."""
        if side // 2 < SMALLEST_TILE:
            return False
        self.side = side // 2
        self._remark = (
            f"There is too little memory: images are segmented in tiles of {self.side} pixels; "
            "other programs may be using the rest."
        )
        return True

    def take_remark(self) -> str:
        """What became smaller since the last call, as a sentence; empty if nothing did."""
        remark, self._remark = self._remark, ""
        return remark
