"""An array in a file that is mapped into memory, and can be closed."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_msd.core.errors import ImageError


class MappedArray:
    """Boxes of a memory map, as copies.

    A view would keep the file open: Windows lets nobody replace or delete it then, and elsewhere a
    file that is cut short ends the process that looks at it later.

    Parameters
    ----------
    mapped
        The map; nothing else holds it.
    """

    def __init__(self, mapped: npt.NDArray[np.generic]) -> None:
        self._mapped: npt.NDArray[np.generic] | None = mapped
        self.shape: tuple[int, ...] = mapped.shape
        self.dtype = mapped.dtype

    def __getitem__(self, key: Any) -> npt.NDArray[np.generic]:
        """The pixels of a box.

        Raises
        ------
        ImageError
            Half a sentence: it was closed.
        """
        if self._mapped is None:
            raise ImageError("it was closed")
        return np.array(self._mapped[key])

    def close(self) -> None:
        """Let go of the file."""
        self._mapped = None
