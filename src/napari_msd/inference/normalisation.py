"""Per-channel standardisation of an image: by numbers stored with the model, or plane by plane.

A network made today standardises every plane by the plane's own grey values (`EachPlane`), so
that it serves darker planes and other microscopes too, and does not depend on which plane came
first. Models of earlier versions hold the mean and spread of the first image (`Normalisation`).
"""

from __future__ import annotations

import math
import weakref
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_msd.core.errors import ImageError
from napari_msd.inference.slab_pixels import Plane, SlabPixels

Pixels = npt.NDArray[np.float32]

MEASURED = 2**20
"""About so many pixels of a plane are enough to know its mean and spread."""


BORDER_SHARE = 0.2
"""The darkest (brightest) value is an empty border where it fills this share of a plane."""

_SAMPLE = 2**18
"""Pixels of a channel that its median and spread are measured on."""

LINEAR = 3.0
"""In standard deviations. How far off a specimen's empty surroundings lie, or a few very bright
spots, differs from plane to plane: that they are far off counts, not how far."""

_GAUSSIAN = 3.29
"""From the 5 % to the 95 % quantile of a Gaussian, in standard deviations."""

_EXTREMES = 0.001
"""This share of the pixels at either end may be hot or dead; the deviation does not see them."""


def channels_first(pixels: npt.NDArray[np.generic], convolved: int = 2) -> Plane:
    """Pixels of a slab, (Y, X) or (Y, X, C), as (C, Y, X), a view.

    `convolved` is the number of axes that are no channels.
    """
    return pixels[None] if pixels.ndim == convolved else np.moveaxis(pixels, -1, 0)


def require_channels(found: int, channels: int) -> None:
    """Refuse an image of another number of channels than the network was made for.

    Raises
    ------
    ImageError
        One sentence that names both numbers.
    """
    if found != channels:
        raise ImageError(
            f"The network was made for {_channels(channels)}, this image has {_channels(found)}."
        )


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation of each channel, in the image's own units."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    compressed: bool = False
    """Whether values beyond `LINEAR` standard deviations grow as their logarithm only."""

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
        if plane[0].size > MEASURED:
            with suppress(ImageError):  # a sample may miss the little there is
                return cls._measured(_sample(plane, MEASURED))
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

    @classmethod
    def robust(cls, plane: Plane) -> Normalisation:
        """Measure median and spread of a plane, (C, Y, X), instead of mean and deviation.

        The spread lies between the 5 % and the 95 % quantile, so that a few very bright
        pixels do not count; an empty border (one value, darkest or brightest, in
        `BORDER_SHARE` of the pixels or more) is left out, unless all the rest is one value, too.
        A channel that is constant, or has no number in it, is only shifted.
        """
        measured = [_median_and_spread(channel) for channel in _sample(plane, _SAMPLE)]
        return cls(tuple(m for m, _ in measured), tuple(s for _, s in measured), compressed=True)

    def for_slab(self, plane: SlabPixels) -> Normalisation:
        """What is done to this slab: the same as to any other."""
        return self

    def apply(self, plane: Plane) -> Pixels:
        """Standardise a plane or a part of it, (C, Y, X), as float32.

        Pixels that are not numbers become 0, the channel's mean: they carry no
        information, and a single NaN would otherwise spread over the receptive field.
        """
        out = np.empty(plane.shape, np.float32)
        for channel, mean, std, target in zip(plane, self.mean, self.std, out, strict=True):
            np.subtract(channel, mean, out=target, casting="unsafe")
            target /= std
        np.copyto(out, 0.0, where=~np.isfinite(out))
        if self.compressed:
            far = np.abs(out) > LINEAR
            beyond = np.abs(out[far]) - LINEAR
            out[far] = np.copysign(LINEAR + np.log1p(beyond), out[far])
        return out


class EachPlane:
    """Every plane is standardised by its own median and spread, see `Normalisation.robust`."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[weakref.ref[SlabPixels], Normalisation]] = {}

    def for_slab(self, plane: SlabPixels) -> Normalisation:
        """What is done to this slab; measured once, on the pixels that tell its grey values.

        Raises
        ------
        LookupError
            If these are not here yet.
        """
        known = self._known.get(id(plane))
        if known is not None and known[0]() is plane:
            return known[1]
        self._known = {key: value for key, value in self._known.items() if value[0]() is not None}
        measured = Normalisation.robust(plane.sample())
        self._known[id(plane)] = weakref.ref(plane), measured
        return measured


AnyNormalisation = Normalisation | EachPlane
"""What a network expects to be done to an image."""


def _sample(plane: Plane, most: int) -> Plane:
    """An even sample of about `most` pixels of each channel; all of them where there are fewer."""
    n_axes = plane.ndim - 1
    every = max(1, math.ceil((plane[0].size / most) ** (1 / n_axes)))
    return plane[(slice(None), *(slice(None, None, every),) * n_axes)]


def _median_and_spread(channel: Plane) -> tuple[float, float]:
    values = channel.astype(np.float64).ravel()
    values = values[np.isfinite(values)]
    if values.size == 0:
        return 0.0, 1.0
    for end in (values.min(), values.max()):
        there = values == end
        if BORDER_SHARE <= there.mean() <= 1 - BORDER_SHARE:
            inside = values[~there]
            if inside.min() < inside.max():  # else a mask or a drawing: this is its contrast
                values = inside
    least, low, middle, high, most = np.quantile(
        values, (_EXTREMES, 0.05, 0.5, 0.95, 1 - _EXTREMES)
    )
    deviation = float(np.clip(values, least, most).std())
    # Either alone jumps: the quantiles where a rare class grows beyond 5 %, or where nearly all is
    # background; the deviation where two classes of equal size stand far apart.
    spread = max(float(high - low) / _GAUSSIAN, deviation)
    return float(middle), spread if spread > 0 else 1.0


def _channels(n: int) -> str:
    return "one channel" if n == 1 else f"{n} channels"
