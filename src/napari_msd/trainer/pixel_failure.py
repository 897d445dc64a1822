"""Pixels that the trainer cannot have, in words."""

from __future__ import annotations

from dataclasses import dataclass

from napari_msd.core.space import Slab
from napari_msd.trainer.requests import FailedStep

_WHAT = {
    "read": "could not be read",
    "sent": "could not be sent to the trainer",
    "used": "cannot be used",
}


@dataclass(frozen=True)
class PixelFailure:
    """Why there is no such slab: it could not be read, or sent, or is of no use."""

    step: FailedStep
    why: str

    @property
    def sentence(self) -> str:
        """For the person who looks at it, or painted on it."""
        if self.step == "used":
            return self.why
        return f"This part of the image {_WHAT[self.step]}: {self.why}"

    def skipped(self, slab: Slab, convolved: int = 2) -> str:
        """For the person who asked for many slabs; `convolved` axes make one of them."""
        what = "volume" if convolved == 3 else "plane"
        number = slab.index[0] if len(slab.index) == 1 else slab.index
        name = f"{what.capitalize()} {number}" if slab.index else f"A part of the {what}"
        return f"{name} {_WHAT[self.step]} and was skipped: {self.why}"
