"""The network in plain torch, computed almost entirely as matrix products.

For Apple GPUs, float16 and machines without a compiled core; `MSDNet` is the only caller. With
the tap products ``P[t] = sum over maps l of weight[q, l, t] * z[l]`` a hidden channel is

    z[q](p) = ReLU( bias[q] + sum over taps t of P[t]( fold(p + t * dilation[q]) ) ),

so the contribution of all earlier maps to a whole block of layers is one matrix product (9 rows
per channel, one column per pixel), and boundary and dilation are an index into its result. The
gradients are the exact adjoint: scatter the gradient to the taps by the same indices, then two
matrix products. Maps are kept once and gradients once: memory grows with the depth, not with
its square.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import torch
from torch import Tensor

from napari_msd.core.settings import Boundary
from napari_msd.native.untraced import untraced
from napari_msd.network.dilations import along_axes
from napari_msd.network.reference import source_index

_BLOCK_CHANNELS = 8
"""Hidden channels per matrix product; their tap products take 9 (in 3-D: 27) planes each."""


# A loop over layers with views of one buffer: nothing that torch.compile could improve.
@untraced
def mixed_scale_dense_blocked(
    image: Tensor,
    weight: Tensor,
    bias: Tensor,
    output_weight: Tensor,
    output_bias: Tensor,
    dilations: Sequence[int],
    width: int,
    boundary: Boundary,
    dilations_z: Sequence[int] | None = None,
) -> Tensor:
    """Logits of a network; parameters and result as in `native.operator.mixed_scale_dense`.

    Differentiable once in all five tensors, on any device and in any float dtype.
    """
    with torch.autocast(image.device.type, enabled=False):
        logits = _Blocked.apply(  # type: ignore[no-untyped-call]
            image,
            weight,
            bias,
            output_weight,
            output_bias,
            along_axes(dilations, dilations_z, image.ndim - 2),
            width,
            boundary,
        )
    return cast(Tensor, logits)


@dataclass(frozen=True)
class _Gather:
    """Adds up tap products along the taps of a channel: ``out(p) = sum_t P[t](fold(p + t s))``.

    It works along one axis at a time, which reduces 3 ** ndim planes to one in small steps.
    """

    dilation: tuple[int, ...]
    sizes: tuple[int, ...]
    boundary: Boundary
    device: torch.device

    @cached_property
    def sources(self) -> list[list[tuple[Tensor, Tensor | None]]]:
        """Per axis and tap: index of the pixel to read, and mask of valid pixels (None: all)."""
        axes = []
        for size, dilation in zip(self.sizes, self.dilation, strict=True):
            taps: list[tuple[Tensor, Tensor | None]] = []
            for step in (-1, 0, 1):
                position = torch.arange(size) + step * dilation
                source = source_index(position, size, self.boundary)
                inside = source >= 0
                taps.append(
                    (
                        source.clamp(min=0).to(self.device),
                        None if bool(inside.all()) else inside.to(self.device),
                    )
                )
            axes.append(taps)
        return axes

    def __call__(self, products: Tensor) -> Tensor:
        """Add up the taps: (N, 3 ** ndim, pixels) to (N, pixels)."""
        n = products.shape[0]
        ndim = len(self.sizes)
        current = products.reshape(n, *(3,) * ndim, *self.sizes)
        for axis in reversed(range(ndim)):  # the last tap axis goes first
            along = current.ndim - ndim + axis
            parts = current.unbind(1 + axis)
            total = parts[1].clone()
            for step in (0, 2):
                source, inside = self.sources[axis][step]
                shifted = parts[step].index_select(along - 1, source)
                if inside is not None:
                    shifted = torch.where(_along(inside, along - 1, shifted), shifted, 0)
                total += shifted
            current = total
        return current.reshape(n, math.prod(self.sizes))

    def adjoint(self, gradient: Tensor) -> Tensor:
        """Compute the gradient of every tap product: (N, pixels) to (N, 3 ** ndim, pixels)."""
        n = gradient.shape[0]
        ndim = len(self.sizes)
        current = gradient.reshape(n, *self.sizes)
        for axis in range(ndim):
            along = current.ndim - ndim + axis
            taps = []
            for step in (0, 1, 2):
                if step == 1:
                    taps.append(current)
                    continue
                source, inside = self.sources[axis][step]
                kept = current
                if inside is not None:
                    kept = torch.where(_along(inside, along, current), current, 0)
                taps.append(torch.zeros_like(current).index_add_(along, source, kept))
            current = torch.stack(taps, dim=1 + axis)
        return current.reshape(n, 3**ndim, math.prod(self.sizes))


def _along(vector: Tensor, axis: int, like: Tensor) -> Tensor:
    shape = [1] * like.ndim
    shape[axis] = -1
    return vector.reshape(shape)


@dataclass(frozen=True)
class _Layout:
    """Assigns maps and packed weights to channels."""

    in_channels: int
    n_channels: int
    width: int
    taps: int

    @property
    def n_maps(self) -> int:
        return self.in_channels + self.n_channels

    def maps_before(self, channel: int) -> int:
        return self.in_channels + channel // self.width * self.width

    @cached_property
    def offsets(self) -> list[int]:
        """Start of each channel's packed weights, and the end of the last one's."""
        ends = [0]
        for channel in range(self.n_channels):
            ends.append(ends[-1] + self.taps * self.maps_before(channel))
        return ends

    def filters(self, weight: Tensor, channel: int, first: int, last: int) -> Tensor:
        """A channel's weights for maps first..last-1, (maps, taps), a view."""
        start = self.offsets[channel]
        return weight[start + self.taps * first : start + self.taps * last].view(-1, self.taps)

    def blocks(self) -> Iterator[range]:
        """The channels of each block: whole layers."""
        step = max(1, _BLOCK_CHANNELS // self.width) * self.width
        for first in range(0, self.n_channels, step):
            yield range(first, min(first + step, self.n_channels))


class _Blocked(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        image: Tensor,
        weight: Tensor,
        bias: Tensor,
        output_weight: Tensor,
        output_bias: Tensor,
        dilations: tuple[tuple[int, ...], ...],
        width: int,
        boundary: Boundary,
    ) -> Tensor:
        sizes = tuple(image.shape[2:])
        layout = _Layout(image.shape[1], len(dilations), width, 3 ** len(sizes))
        distinct = {s: _Gather(s, sizes, boundary, image.device) for s in set(dilations)}
        gathers = [distinct[s] for s in dilations]
        maps = image.new_empty((image.shape[0], layout.n_maps, math.prod(sizes)))
        maps[:, : layout.in_channels] = image.flatten(2)
        for block in layout.blocks():
            outside = layout.maps_before(block[0])
            filters = torch.cat([layout.filters(weight, q, 0, outside).T for q in block])
            # (N, channels of the block, taps, pixels)
            products = torch.matmul(filters, maps[:, :outside])
            products = products.view(image.shape[0], len(block), layout.taps, maps.shape[2])
            for i, q in enumerate(block):
                taps = products[:, i]
                before = layout.maps_before(q)
                if before > outside:
                    inner = layout.filters(weight, q, outside, before).T
                    taps = taps + torch.matmul(inner, maps[:, outside:before])
                hidden = gathers[q](taps).add_(bias[q])
                maps[:, layout.in_channels + q] = hidden.relu_()
        logits = torch.matmul(output_weight, maps).add_(output_bias[:, None])
        ctx.layout, ctx.gathers, ctx.image_shape = layout, gathers, image.shape
        ctx.save_for_backward(maps, weight, output_weight)
        return logits.view(*logits.shape[:2], *sizes)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        maps, weight, output_weight = ctx.saved_tensors
        layout: _Layout = ctx.layout
        grad_logits = grad_outputs[0].flatten(2)
        gradients = torch.matmul(output_weight.T, grad_logits)
        grad_output_weight = torch.matmul(grad_logits, maps.mT).sum(0)
        grad_output_bias = grad_logits.sum((0, 2))
        grad_weight = torch.empty_like(weight)
        grad_bias = weight.new_empty(layout.n_channels)
        for block in reversed(list(layout.blocks())):
            outside = layout.maps_before(block[0])
            last = layout.maps_before(block[-1])
            taps: dict[int, Tensor] = {}
            for q in reversed(block):
                number = layout.in_channels + q
                # Not "map > 0": a NaN lets its gradient through, as torch's ReLU does.
                delta = torch.where(maps[:, number] <= 0, 0, gradients[:, number])
                grad_bias[q] = delta.sum()
                taps[q] = ctx.gathers[q].adjoint(delta)
                before = layout.maps_before(q)
                if before > outside:
                    inner = layout.filters(weight, q, outside, before)
                    gradients[:, outside:before] += torch.matmul(inner, taps[q])
            filters = torch.cat([layout.filters(weight, q, 0, outside) for q in block], dim=1)
            deltas = torch.cat([taps[q] for q in block], dim=1)
            gradients[:, :outside] += torch.matmul(filters, deltas)
            # (maps, channels of the block, taps); a channel sees the maps before its layer.
            products = torch.matmul(maps[:, :last], deltas.mT).sum(0)
            products = products.view(last, len(block), layout.taps)
            for i, q in enumerate(block):
                before = layout.maps_before(q)
                layout.filters(grad_weight, q, 0, before).copy_(products[:before, i])
        grad_image = None
        if ctx.needs_input_grad[0]:
            grad_image = gradients[:, : layout.in_channels].reshape(ctx.image_shape)
        return (
            grad_image,
            grad_weight,
            grad_bias,
            grad_output_weight,
            grad_output_bias,
            None,
            None,
            None,
        )
