"""How much is learned at once: less after the device ran out of memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from napari_msd.core.errors import OutOfMemoryError
from napari_msd.inference.out_of_memory import SMALLEST_TILE, is_out_of_memory

Result = TypeVar("Result")


class BatchLimit:
    """Patches in a step, and their side; both only ever become smaller.

    Parameters
    ----------
    patches, side
        What the settings ask for.
    """

    def __init__(self, patches: int, side: int) -> None:
        self.patches, self.side = patches, side
        self._asked = patches
        self._remark = ""

    def share_of(self, patches: int) -> int:
        """As many patches, reduced as those of a step are."""
        return max(1, patches * self.patches // self._asked)

    def attempt(self, work: Callable[[], Result], spare: Callable[[], None]) -> Result:
        """Do `work`, again with less at once whenever there is too little memory for it.

        Parameters
        ----------
        work
            Looks at `patches` and `side`.
        spare
            Gives back memory that is only kept for speed; called before each new attempt.

        Raises
        ------
        OutOfMemoryError
            If even one small patch is too much.
        """
        while True:
            try:
                return work()
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                if not self._reduce():
                    raise OutOfMemoryError(
                        "The device has too little memory to train this network; "
                        "choose the CPU, or a preset of smaller depth."
                    ) from error
            spare()  # the error, which holds on to the memory of the attempt, is gone by now

    def take_remark(self) -> str:
        """What became smaller since the last call, as a sentence; empty if nothing did."""
        remark, self._remark = self._remark, ""
        return remark

    def _reduce(self) -> bool:
        if self.patches > 1:
            self.patches //= 2
        elif self.side // 2 >= SMALLEST_TILE:
            self.side //= 2
        else:
            return False
        what = "1 patch" if self.patches == 1 else f"{self.patches} patches"
        self._remark = (
            f"There is too little memory: training goes on with {what} of {self.side} pixels "
            "at once; other programs may be using the rest."
        )
        return True
