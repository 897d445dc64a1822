"""What trees are told of a pixel in a volume: responses of fixed filters at several scales.

As `responses` for planes. For each channel and each scale: the volume smoothed by a Gaussian, the
size of its gradient, the three eigenvalues of its Hessian (sheets, lines and spots), and the local
standard deviation (texture). Scales are in pixels of a slice. Where slices lie farther apart, a
Gaussian spans fewer of them, and slopes along Z are divided by their distance.

Every filter is separable: along each axis it is a small matrix, made from the identity by SciPy's
and NumPy's filters, and only the rows of wanted positions are kept. So a tile of few slices costs
little more than its share, although it reads many slices.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from napari_msd.inference.normalisation import Pixels
from napari_msd.inference.plane_features import MANY_CHANNELS

SCALES = (0.7, 1.4, 2.8)
"""Standard deviations of the Gaussians in pixels of a slice. With larger ones trees are no better
(docs/learning.md), and what a tile reads around it grows with the cube of the largest."""

PER_SCALE = 6
"""Responses of a channel at one scale."""

_TRUNCATE = 3.0
"""Gaussians end at so many standard deviations."""

_TINY = 1e-12
"""Far below the square of any difference between grey values of order 1 in float32."""


class VolumeFeatures:
    """Filter responses of each channel, and the channels themselves if there are several.

    Many channels are filtered in their mean only.

    Parameters
    ----------
    anisotropy
        Distance of slices in pixels of the slice, 1 or more.
    """

    def __init__(self, anisotropy: float = 1.0) -> None:
        self.anisotropy = anisotropy

    @property
    def reach(self) -> tuple[int, int, int]:
        """Pixels on each side, along Z, Y and X, that a feature depends on."""
        sigma_z = SCALES[-1] / self.anisotropy
        along_z, along_x = (int(_TRUNCATE * sigma + 0.5) + 2 for sigma in (sigma_z, SCALES[-1]))
        return along_z, along_x, along_x

    def count(self, channels: int) -> int:
        """Features of each pixel of a volume of so many channels."""
        filtered = channels if channels <= MANY_CHANNELS else 1
        return filtered * len(SCALES) * PER_SCALE + (channels if channels > 1 else 0)

    def of(self, pixels: Pixels, inner: Sequence[slice]) -> Pixels:
        """Features of a part of a volume.

        Parameters
        ----------
        pixels
            (C, Z, Y, X), normalised. It goes on beyond its edge as its mirror image.
        inner
            The wanted part along Z, Y and X: slices with a start and a stop.

        Returns
        -------
        ndarray
            (count, z, y, x) float32, of the part only.
        """
        filtered = pixels
        if len(pixels) > MANY_CHANNELS:
            filtered = pixels.mean(axis=0, keepdims=True)
        shape = [part.stop - part.start for part in inner]
        out = torch.empty((self.count(len(pixels)), *shape))
        parts = (out[i : i + PER_SCALE] for i in range(0, len(out), PER_SCALE))
        for channel in torch.from_numpy(np.ascontiguousarray(filtered)):
            for scale, part in zip(SCALES, parts, strict=False):
                self._respond(channel, scale, inner, part)
        if len(pixels) > 1:
            out[-len(pixels) :] = torch.from_numpy(pixels[(slice(None), *inner)].copy())
        return out.numpy()

    def _respond(self, volume: Tensor, scale: float, inner: Sequence[slice], out: Tensor) -> None:
        """Smoothed, gradient, eigenvalues from the largest on, deviation: (`PER_SCALE`, z, y, x).

        Slopes are multiplied by the scale, as in a plane. Along Z by the scale in slices, which
        divides them by the distance of slices.
        """
        scale_z = scale / self.anisotropy
        z, y, x = (
            _along(size, sigma, part.start, part.stop)
            for size, sigma, part in zip(volume.shape, (scale_z, scale, scale), inner, strict=True)
        )
        smooth = _filtered(z.smooth, volume)
        slope = _filtered(z.slope * scale_z, volume)
        bend = _filtered(z.bend * scale_z**2, volume)
        smooth_x, slope_x = x.smooth.T.contiguous(), (x.slope * scale).T.contiguous()
        slope_y = y.slope * scale
        smooth_y = y.smooth @ smooth
        sloped_y = slope_y @ smooth
        smooth_slope = y.smooth @ slope
        torch.matmul(smooth_y, smooth_x, out=out[0])
        gradient = (smooth_slope @ smooth_x).square_()
        gradient.add_((sloped_y @ smooth_x).square_()).add_((smooth_y @ slope_x).square_())
        torch.sqrt(gradient, out=out[1])
        out[2:5] = eigenvalues(
            zz=(y.smooth @ bend) @ smooth_x,
            yy=(y.bend * scale**2 @ smooth) @ smooth_x,
            xx=smooth_y @ (x.bend * scale**2).T,
            zy=(slope_y @ slope) @ smooth_x,
            zx=smooth_slope @ slope_x,
            yx=sloped_y @ slope_x,
        )
        squares = (y.smooth @ _filtered(z.smooth, volume.square())) @ smooth_x
        torch.sqrt(squares.sub_(out[0].square()).clamp_(min=0), out=out[5])


def eigenvalues(
    *, zz: Tensor, yy: Tensor, xx: Tensor, zy: Tensor, zx: Tensor, yx: Tensor
) -> Tensor:
    """Eigenvalues of symmetric 3x3 matrices, given by their entries, from the largest on: (3, ...).

    The closed form of Smith (*Eigenvalues of a symmetric 3 x 3 matrix*, Communications of the ACM
    4(4), 1961, doi 10.1145/355578.366316). In float32 they are exact to about 3e-4 of the largest
    where two are almost equal.
    """
    middle = (zz + yy + xx) / 3
    a, b, c = zz - middle, yy - middle, xx - middle
    squares = a.square() + b.square() + c.square()
    squares += 2 * (zy.square() + zx.square() + yx.square())
    radius = (squares / 6).clamp_(min=_TINY).sqrt_()
    a, b, c, d, e, f = (entry / radius for entry in (a, b, c, zy, zx, yx))
    half = (a * (b * c - f.square()) - d * (d * c - f * e) + e * (d * f - b * e)) / 2
    angle = half.clamp_(-1, 1).arccos_() / 3
    largest = middle + 2 * radius * torch.cos(angle)
    smallest = middle + 2 * radius * torch.cos(angle + 2 * torch.pi / 3)
    return torch.stack([largest, 3 * middle - largest - smallest, smallest])


class _Filters(NamedTuple):
    """A Gaussian along one axis, and its first and second differences: (wanted, read)."""

    smooth: Tensor
    slope: Tensor
    bend: Tensor


@lru_cache(maxsize=64)
def _along(size: int, sigma: float, start: int, stop: int) -> _Filters:
    """The filters of an axis of `size` pixels, for its positions from `start` to `stop`.

    Differences are central, one-sided at the edge. An axis of one pixel has no slope.
    """
    identity = np.eye(size)
    smooth = gaussian_filter1d(identity, sigma, axis=0, truncate=_TRUNCATE)
    slope = np.gradient(smooth, axis=0) if size > 1 else np.zeros_like(smooth)
    bend = np.gradient(slope, axis=0) if size > 1 else slope
    rows = slice(start, stop)
    return _Filters(
        *(torch.from_numpy(filters[rows].astype(np.float32)) for filters in (smooth, slope, bend))
    )


def _filtered(along_z: Tensor, volume: Tensor) -> Tensor:
    """(Z, Y, X) filtered along Z: (z, Y, X)."""
    return (along_z @ volume.flatten(1)).view(-1, *volume.shape[1:])
