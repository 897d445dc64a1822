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

_PER_DISTANCE = 3
"""Features of a channel and scale for the two neighbours at the same distance."""


class PlaneFeatures:
    """Filter responses of each channel, the channels if there are several, and a network's maps.

    Of neighbouring slices (2.5-D) there are their values, and how they differ from the slice and
    from each other: a tree compares one feature with one number, so it sees no differences by
    itself (docs/learning.md).

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
        filtered = channels if channels <= MANY_CHANNELS else 1
        across = _PER_DISTANCE * len(SCALES) * self.context * filtered
        raw = values if values > 1 else 0
        maps = 0 if self.bank is None else self.bank.n_classes
        return n_responses(filtered) + across + raw + maps

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
        mean = slices[self.context].mean(axis=0, keepdims=True)
        if slices.shape[1] > MANY_CHANNELS:
            slices = slices.mean(axis=1, keepdims=True)
        own = slices[self.context]
        found = [filter_responses(own)]
        for distance in range(1, self.context + 1):
            found += _across(slices[self.context - distance], own, slices[self.context + distance])
        if len(pixels) > 1:
            found.append(pixels)
        if self.bank is not None:
            image = torch.from_numpy(np.ascontiguousarray(mean)).to(self.bank.weight.device)
            found.append(self.bank(image[None])[0].cpu().numpy())
        return np.concatenate([features[(slice(None), *inner)] for features in found])


def _across(before: Pixels, own: Pixels, after: Pixels) -> list[Pixels]:
    """What changes from slice to slice, at each scale; it does not matter which end is first.

    All are (C, Y, X); so are, times the number of scales, the size of the slope across slices, the
    curvature, and the root of the mean squared difference from the slice.
    """
    squares: Pixels = (np.square(before - own) + np.square(after - own)) / 2
    return [
        np.abs(smoothed(after - before)),
        smoothed(before + after - 2 * own),
        np.sqrt(np.maximum(smoothed(squares), 0)),
    ]
