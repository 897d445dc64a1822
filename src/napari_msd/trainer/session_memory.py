"""What the viewer remembers of a session, so that a new trainer can go on with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_msd.core.planes import PlaneKey, plane_and_region
from napari_msd.core.settings import Settings
from napari_msd.document import Annotation
from napari_msd.trainer.messages import StrokeBlock, View
from napari_msd.trainer.wire import pack_bytes, pack_strokes, pack_view

ReadPlane = Callable[[PlaneKey], npt.NDArray[np.generic]]


@dataclass
class SessionMemory:
    """One session, from its opening to now.

    `number` tells it from earlier ones; `model` is the newest kept weights as a
    model file's bytes. See `TrainerClient.open` for the others.
    """

    number: int
    settings: Settings
    plane_shape: tuple[int, int]
    n_channels: int
    read_plane: ReadPlane
    model: bytes | None = None
    fit_normalisation: bool = False
    strokes: Annotation = field(default_factory=Annotation)
    view: View | None = None
    live: bool = False
    uncertainty: bool = False

    def opening(self, slot: Any) -> tuple[str, dict[str, Any]]:
        """The request that opens it; `slot` is the process's overlay slot."""
        return "open", {
            "session": self.number,
            "settings": self.settings.to_dict(),
            "plane_shape": list(self.plane_shape),
            "n_channels": self.n_channels,
            "slot": slot,
            "model": pack_bytes(self.model) if self.model else None,
            "fit_normalisation": self.fit_normalisation,
        }

    def keep(self, model: bytes) -> None:
        """The trainer sent its kept network: what it measured of the image is in there, too."""
        self.model = model
        self.fit_normalisation = False

    def resuming(self, slot: Any) -> Iterator[tuple[str, dict[str, Any]]]:
        """Every request that brings a new process to where the session stands."""
        yield self.opening(slot)
        blocks = []
        for box, values in self.strokes.chunks():
            plane, region = plane_and_region(box)
            blocks.append(pack_strokes(StrokeBlock(plane, region, values.reshape(region.shape))))
        if blocks:
            yield "strokes", {"blocks": blocks}
        if self.view is not None:
            yield "view", {"view": pack_view(self.view)}
        if self.uncertainty:
            yield "uncertainty", {"on": True}
        if self.live:
            yield "live", {"on": True}
