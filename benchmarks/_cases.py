"""What a case of the scribble race is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from _families import Half

Array = npt.NDArray[np.generic]
Labels = npt.NDArray[np.uint8]

LARGEST: Final = 512
"""Images are cut to at most this side in pixels, so that all cases weigh alike."""


@dataclass(frozen=True)
class Case:
    """Two images of a kind: `here` is painted on, `there` is only predicted.

    Both are (image, truth): image (Y, X) or (Y, X, C), truth uint8 (Y, X) with classes
    1..k and 0 where nobody knows. What nobody knows is never painted and never scored.
    """

    name: str
    family: str
    """Kind of image. A mean over families weighs every kind alike."""
    half: Half
    here: tuple[Array, Labels]
    there: tuple[Array, Labels]
