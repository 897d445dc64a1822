"""Per-channel standardisation of an image, stored with the model."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_msd.errors import ImageError

Pixels = npt.NDArray[np.float32]
Plane = npt.NDArray[np.generic]
"""A plane's pixels as they are in the image, (C, Y, X)."""

MEASURED = 2**20
"""About so many pixels of a plane are enough to know its mean and spread."""


def channels_first(pixels: npt.NDArray[np.generic]) -> Plane:
    """(Y, X) or (Y, X, C) pixels as (C, Y, X), a view."""
    return pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, -1, 0)


def require_channels(plane: Plane, channels: int) -> None:
    """Refuse a plane, (C, Y, X), of another number of channels.

    Raises
    ------
    ImageError
        One sentence that names both numbers.
    """
    found = len(plane)
    if found != channels:
        raise ImageError(
            f"The network was made for {_channels(channels)}, this image has {_channels(found)}."
        )


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation of each channel, in the image's own units."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def of(cls, plane: Plane) -> Normalisation:
        """Measure a plane, (C, Y, X); pixels that are not numbers are left out.

        Of a large plane an even sample of about `MEASURED` pixels is looked at.

        Raises
        ------
        ImageError
            For an image that is empty, has no number in it, or is constant.
        """
        if plane.size == 0:
            raise ImageError("The image is empty; choose one with pixels in it.")
        every = math.ceil(math.sqrt(plane[0].size / MEASURED))
        if every > 1:
            with suppress(ImageError):  # a sample may miss the little there is
                return cls._measured(plane[:, ::every, ::every])
        return cls._measured(plane)

    @classmethod
    def _measured(cls, plane: Plane) -> Normalisation:
        means, stds = [], []
        for channel in plane:
            values = channel.astype(np.float64)
            values = values[np.isfinite(values)]
            if values.size == 0:
                raise ImageError(
                    "The image holds no numbers (all NaN or infinite); choose another."
                )
            means.append(float(values.mean()))
            stds.append(float(values.std()))
        if not any(std > 0 for std in stds):
            raise ImageError(
                f"The image has the same value ({means[0]:g}) everywhere; "
                "there is nothing to learn from. Choose another image or slice."
            )
        return cls(tuple(means), tuple(std if std > 0 else 1.0 for std in stds))

    def apply(self, plane: Plane) -> Pixels:
        """Standardise a plane or a part of it, (C, Y, X), as float32.

        Pixels that are not numbers become 0, the channel's mean: they carry no
        information, and a single NaN would otherwise spread over the receptive field.
        """
        out = np.empty(plane.shape, np.float32)
        for channel, mean, std, target in zip(plane, self.mean, self.std, out, strict=True):
            np.subtract(channel, mean, out=target, casting="unsafe")
            target /= std
        np.nan_to_num(out, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
        return out


def _channels(n: int) -> str:
    return "one channel" if n == 1 else f"{n} channels"
