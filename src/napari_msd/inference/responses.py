"""Responses of fixed filters: what a pixel's neighbourhood looks like at several scales.

For each channel and each scale: the image smoothed by a Gaussian, the size of its gradient, the
two eigenvalues of its Hessian (lines and spots), and the local standard deviation (texture).
Derivatives are multiplied by the scale, so that they are of the order of the image's contrast at
any scale (Lindeberg, *Feature detection with automatic scale selection*, IJCV 30, 1998).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy.ndimage import gaussian_filter

from napari_msd.inference.normalisation import Pixels
from napari_msd.native.threads import get_all_threads

SCALES = (0.7, 1.4, 2.8, 5.6, 11.2)
"""Standard deviations of the Gaussians in pixels."""

PER_SCALE = 5
"""Responses of a channel at one scale."""

_TRUNCATE = 3.0
"""Gaussians end at so many standard deviations."""

REACH = 2 * int(_TRUNCATE * SCALES[-1] + 0.5) + 2
"""Pixels on each side that a response depends on: two Gaussians, or one and two derivatives."""


def n_responses(channels: int) -> int:
    """How many responses an image of so many channels has."""
    return channels * len(SCALES) * PER_SCALE


def filter_responses(image: Pixels) -> Pixels:
    """All responses of an image.

    Parameters
    ----------
    image
        (C, Y, X), normalised. It goes on beyond its edge as its mirror image.

    Returns
    -------
    ndarray
        (C * scales * `PER_SCALE`, Y, X), float32.
    """
    out = np.empty((n_responses(len(image)), *image.shape[1:]), np.float32)

    def fill(number: int) -> None:
        channel, scale = divmod(number, len(SCALES))
        part = out[number * PER_SCALE : (number + 1) * PER_SCALE]
        _responses(image[channel], SCALES[scale], part)

    # SciPy's filters let other threads run; the last, largest scales take longest
    with ThreadPoolExecutor(get_all_threads()) as pool:
        list(pool.map(fill, reversed(range(len(image) * len(SCALES)))))
    return out


def smoothed(image: Pixels) -> Pixels:
    """An image (C, Y, X) smoothed at each scale: (C * scales, Y, X), channel after channel."""
    out = np.empty((len(image) * len(SCALES), *image.shape[1:]), np.float32)

    def fill(number: int) -> None:
        channel, scale = divmod(number, len(SCALES))
        gaussian_filter(image[channel], SCALES[scale], output=out[number], truncate=_TRUNCATE)

    with ThreadPoolExecutor(get_all_threads()) as pool:
        list(pool.map(fill, reversed(range(len(out)))))
    return out


def _responses(channel: Pixels, scale: float, out: Pixels) -> None:
    """Smoothed, gradient, larger and smaller eigenvalue, deviation: (`PER_SCALE`, Y, X)."""
    smooth = gaussian_filter(channel, scale, truncate=_TRUNCATE)
    out[0] = smooth
    along_y, along_x = _slope(smooth, 0), _slope(smooth, 1)
    out[1] = scale * np.hypot(along_y, along_x)
    yy, xx, yx = _slope(along_y, 0), _slope(along_x, 1), _slope(along_y, 1)
    middle, half = (yy + xx) / 2, np.hypot((yy - xx) / 2, yx)
    out[2] = scale**2 * (middle + half)
    out[3] = scale**2 * (middle - half)
    variance = gaussian_filter((channel - smooth) ** 2, scale, truncate=_TRUNCATE)
    out[4] = np.sqrt(np.maximum(variance, 0))


def _slope(values: Pixels, axis: int) -> Pixels:
    """Central differences; one-sided at the edge. A single row or column has no slope."""
    if values.shape[axis] < 2:
        return np.zeros_like(values)
    slope: Pixels = np.gradient(values, axis=axis)
    return slope
