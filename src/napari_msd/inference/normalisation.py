"""Per-channel standardisation of an image, stored with the model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_msd.errors import ImageError

Pixels = npt.NDArray[np.float32]


def channels_first(pixels: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """(Y, X) or (Y, X, C) pixels as (C, Y, X), a view."""
    return pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, -1, 0)


def require_channels(pixels: npt.NDArray[np.generic], channels: int) -> None:
    """Refuse (Y, X) or (Y, X, C) pixels of another number of channels.

    Raises
    ------
    ImageError
        One sentence that names both numbers.
    """
    found = len(channels_first(pixels))
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
    def of(cls, pixels: npt.NDArray[np.generic]) -> Normalisation:
        """Measure (Y, X) or (Y, X, C) pixels; pixels that are not numbers are left out.

        Raises
        ------
        ImageError
            For an image that is empty, has no number in it, or is constant.
        """
        if pixels.size == 0:
            raise ImageError("The image is empty; choose one with pixels in it.")
        means, stds = [], []
        for channel in channels_first(pixels):
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

    def apply(self, pixels: npt.NDArray[np.generic]) -> Pixels:
        """(Y, X) or (Y, X, C) pixels, standardised, as (C, Y, X) float32.

        Pixels that are not numbers become 0, the channel's mean: they carry no
        information, and a single NaN would otherwise spread over the receptive field.

        Raises
        ------
        ImageError
            If the number of channels is not the one that was measured.
        """
        require_channels(pixels, len(self.mean))
        planes = channels_first(pixels)
        out = np.empty(planes.shape, np.float32)
        for channel, mean, std, target in zip(planes, self.mean, self.std, out, strict=True):
            np.subtract(channel, mean, out=target, casting="unsafe")
            target /= std
        np.nan_to_num(out, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
        return out


def _channels(n: int) -> str:
    return "one channel" if n == 1 else f"{n} channels"
