"""What a network says of an image, as something to be written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from napari_msd.core.axes import AxisOrder
from napari_msd.core.checkpoint import ClassInfo
from napari_msd.core.space import Space
from napari_msd.images.label_metadata import LabelMetadata

What = Literal["labels", "probabilities", "uncertainty"]
"""The most probable class of each pixel, the probability of each class, or how unsure they are."""

WHATS: tuple[What, ...] = get_args(What)


@dataclass(frozen=True)
class Result:
    """A result of the size of an image.

    Parameters
    ----------
    space
        Of the image; its channels do not count.
    what
        ``labels`` and ``uncertainty`` are uint8, ``probabilities`` float32 with one channel for
        each class.
    classes
        Of the network, in the order of the probabilities' channels.
    network
        Short name of the network, see `napari_msd.training.network_id`; empty if it does not
        matter.
    origin
        What else tells this result from others of the same name, like the image's file and its
        date; empty if nothing does.
    """

    space: Space
    what: What = "labels"
    classes: tuple[ClassInfo, ...] = ()
    network: str = ""
    origin: str = ""

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Type of its values."""
        return np.dtype(np.float32 if self.what == "probabilities" else np.uint8)

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of its channels; none but for probabilities."""
        if self.what != "probabilities":
            return ()
        return tuple(info.name or f"class {info.value}" for info in self.classes)

    def order(self, *, channels_before: str = "ZYX") -> AxisOrder:
        """Its axes as they are written, C before the first of `channels_before`."""
        axes, shape = self.space.axes, self.space.shape
        if self.what != "probabilities":
            return AxisOrder(axes, shape)
        at = min(axes.index(letter) for letter in channels_before if letter in axes)
        return AxisOrder(f"{axes[:at]}C{axes[at:]}", (*shape[:at], len(self.classes), *shape[at:]))

    def about(self, axes: str) -> LabelMetadata:
        """Names and colours of classes, pixel size and units of its axes as they are written.

        Raises
        ------
        BadInputError
            For more than five axes, or a pixel size that is not positive.
        """
        space = self.space
        scale: list[float] | None = None
        units: list[str] | None = None
        if space.pixel_size is not None:
            known = dict(zip(space.axes, space.pixel_size, strict=True))
            scale = [known.get(letter, 1.0) for letter in axes]
            names = dict(zip(space.axes, space.units or ("pixel",) * space.ndim, strict=True))
            units = [names.get(letter, "pixel") for letter in axes]
        labels = self.what == "labels"
        return LabelMetadata.normalise(
            len(axes),
            {info.value: info.name for info in self.classes if info.name} if labels else None,
            scale,
            units,
            axes,
            {info.value: info.color for info in self.classes} if labels else None,
        )
