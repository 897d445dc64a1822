"""What trees are told of a pixel in a plane: filter responses, and maps of the shipped layers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from napari_msd.inference.normalisation import Pixels
from napari_msd.inference.responses import REACH, SCALES, filter_responses, n_responses, smoothed
from napari_msd.network import MSDNet

MANY_CHANNELS = 8
"""An image of more channels is filtered in their mean only."""


class PlaneFeatures:
    """Filter responses of each channel, the channels if there are several, and a network's maps.

    Of neighbouring slices (2.5-D) there are the values themselves and smoothed, not all responses:
    trees are as good with these (docs/learning.md).

    Parameters
    ----------
    bank
        Network of one input channel whose outputs are its maps (see `with_read_out`). It sees
        the mean of the channels of the slice itself. None: no maps.
    context
        Neighbouring slices on each side among the channels; the slice itself is in their middle.
    """

    def __init__(self, bank: MSDNet | None, context: int = 0) -> None:
        self.bank = bank
        self.context = context

    @property
    def reach(self) -> tuple[int, int]:
        """Pixels on each side, along Y and X, that a feature depends on."""
        reach = REACH if self.bank is None else max(self.bank.receptive_radius, REACH)
        return reach, reach

    def count(self, values: int) -> int:
        """Features of each pixel, of an image with so many values per pixel."""
        channels = values // (2 * self.context + 1)
        beside = 2 * self.context * channels
        filtered = channels if channels <= MANY_CHANNELS else 1
        smooth = beside if beside <= MANY_CHANNELS else 2 * self.context
        raw = values if values > 1 else 0
        maps = 0 if self.bank is None else self.bank.n_classes
        return n_responses(filtered) + smooth * len(SCALES) + raw + maps

    @torch.no_grad()
    def of(self, pixels: Pixels, inner: Sequence[slice]) -> Pixels:
        """Features of a part of a plane.

        Parameters
        ----------
        pixels
            (values, Y, X), normalised. It goes on beyond its edge as its mirror image.
        inner
            The wanted part along Y and X.

        Returns
        -------
        ndarray
            (count, rows, columns) float32, of the part only.
        """
        slices = pixels.reshape(2 * self.context + 1, -1, *pixels.shape[1:])
        own = slices[self.context]
        mean = own.mean(axis=0, keepdims=True)
        found = [filter_responses(own if len(own) <= MANY_CHANNELS else mean)]
        if self.context:
            beside = np.delete(slices, self.context, axis=0)
            many = beside.shape[0] * beside.shape[1] > MANY_CHANNELS
            found.append(smoothed(beside.mean(axis=1) if many else np.concatenate(beside)))
        if len(pixels) > 1:
            found.append(pixels)
        if self.bank is not None:
            image = torch.from_numpy(np.ascontiguousarray(mean)).to(self.bank.weight.device)
            found.append(self.bank(image[None])[0].cpu().numpy())
        return np.concatenate([features[(slice(None), *inner)] for features in found])
