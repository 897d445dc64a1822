"""A plane that the trainer cannot have, in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from napari_msd.core.planes import PlaneKey

How = Literal["read", "sent", "used"]

_WHAT = {
    "read": "could not be read",
    "sent": "could not be sent to the trainer",
    "used": "cannot be used",
}


@dataclass(frozen=True)
class Refusal:
    """Why a plane is not to be had: it could not be read, or sent, or is of no use."""

    how: How
    why: str

    @property
    def sentence(self) -> str:
        """For the person who looks at it, or painted on it."""
        if self.how == "used":
            return self.why
        return f"This part of the image {_WHAT[self.how]}: {self.why}"

    def skipped(self, plane: PlaneKey) -> str:
        """For the person who asked for many planes."""
        number = plane[0] if len(plane) == 1 else plane
        name = f"Plane {number}" if plane else "The plane"
        return f"{name} {_WHAT[self.how]} and was skipped: {self.why}"
