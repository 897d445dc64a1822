"""The Mixed-Scale Dense network as a torch module.

Formulas: Pelt & Sethian, PNAS 115(2), 2018, doi 10.1073/pnas.1715832114.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor, nn

from napari_msd.core.errors import ImageError, SettingsError
from napari_msd.core.settings import BOUNDARIES, BackendName, Boundary
from napari_msd.native.backend import (
    BACKEND_REQUESTS,
    choose_backend,
    map_dtype,
    set_aside_for,
    torch_instead,
)
from napari_msd.native.core import CoreFailedError, Schedule, Structure, UnsupportedError
from napari_msd.native.operator import mixed_scale_dense
from napari_msd.native.schedules import confirmed, schedule_of
from napari_msd.network.blocked import mixed_scale_dense_blocked
from napari_msd.network.dilations import along_axes, of_each_channel, receptive_radii


class MSDNet(nn.Module):
    """Mixed-Scale Dense network: (N, in_channels, Y, X) images to (N, n_classes, Y, X) logits.

    Every layer sees all earlier maps (Eq. 4), each channel through 3x3 filters of
    its own dilation (Eq. 3); the logits are a 1x1 convolution of all maps (Eq. 5).

    Parameters
    ----------
    in_channels
        Channels of the image, at least 1.
    n_classes
        Outputs, at least 1.
    depth, width
        Hidden layers, and channels per layer.
    dilations
        In pixels, cycled over all hidden channels: channel j of layer i uses entry
        ``(i * width + j) mod len(dilations)``. So ``depth * width`` entries give every
        channel its own.
    boundary
        ``reflect`` (mirror about the edge pixel), ``symmetric`` (about the edge) or ``zeros``.
    ndim
        Spatial axes: 2, or 3 for (N, C, Z, Y, X) with 3x3x3 filters.
    backend
        ``auto``: the compiled core of the image's device, else plain torch; ``cuda``,
        ``cpu`` or ``torch`` require one.
    generator
        Source of the random filters; torch's default without it.
    dilations_z
        Of 3-D networks, along Z, cycled like `dilations`: smaller where slices lie farther apart
        than pixels. None: the same as along Y and X.

    Attributes
    ----------
    weight, bias, output_weight, output_bias
        The four packed parameters that optimisers and compiled cores see; `weight` is flat,
        layer after layer. In a ``state_dict`` they appear as ``layers.{i}.weight``,
        ``layers.{i}.bias``, ``output.weight`` and ``output.bias`` with their usual shapes.
    backend_in_use, backend_reason
        The backend of the last call ("cuda", "cpu" or "torch"), and the reason in one
        sentence; None before the first call.

    Raises
    ------
    SettingsError
        For a value outside its range.

    Examples
    --------
    >>> net = MSDNet(in_channels=1, n_classes=2, depth=10)
    >>> net(torch.zeros(1, 1, 32, 48)).shape
    torch.Size([1, 2, 32, 48])
    """

    dilations_z: tuple[int, ...] | None
    backend_in_use: BackendName | None
    backend_reason: str | None

    def __init__(
        self,
        in_channels: int,
        n_classes: int,
        depth: int = 100,
        width: int = 1,
        dilations: Sequence[int] = range(1, 11),
        boundary: Boundary = "reflect",
        ndim: int = 2,
        backend: str = "auto",
        *,
        generator: torch.Generator | None = None,
        dilations_z: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        counts = {
            "in_channels": in_channels,
            "n_classes": n_classes,
            "depth": depth,
            "width": width,
        }
        for name, count in counts.items():
            if count < 1:
                raise SettingsError(f"{name} must be at least 1, not {count}.")
        if boundary not in BOUNDARIES:
            raise SettingsError(
                f"boundary must be one of {', '.join(BOUNDARIES)}, not {boundary!r}."
            )
        if ndim not in (2, 3):
            raise SettingsError(f"ndim must be 2 or 3, not {ndim}.")
        if backend not in BACKEND_REQUESTS:
            raise SettingsError(
                f"backend must be one of {', '.join(BACKEND_REQUESTS)}, not {backend!r}."
            )
        if dilations_z is not None and ndim != 3:
            raise SettingsError("dilations_z is for 3-D networks: leave it out or choose ndim 3.")
        self.in_channels = in_channels
        self.n_classes = n_classes
        self.depth = depth
        self.width = width
        self.dilations = of_each_channel("dilations", dilations, depth * width)
        self.dilations_z = None
        if dilations_z is not None:
            self.dilations_z = of_each_channel("dilations_z", dilations_z, depth * width)
        self.boundary: Boundary = boundary
        self.ndim = ndim
        self.backend = backend
        self.backend_in_use = None
        self.backend_reason = None
        self.weight = nn.Parameter(torch.empty(sum(math.prod(s) for s in self._filter_shapes())))
        self.bias = nn.Parameter(torch.empty(depth * width))
        self.output_weight = nn.Parameter(torch.empty(n_classes, self.n_maps))
        self.output_bias = nn.Parameter(torch.empty(n_classes))
        self.reset_parameters(generator)

    @property
    def n_maps(self) -> int:
        """Maps that the final 1x1 convolution sees: the image's channels and all hidden ones."""
        return self.in_channels + self.depth * self.width

    @property
    def n_parameters(self) -> int:
        """Number of parameters: 9 sum_i w (i w + c_0) + w d + (w d + c_0 + 1) c_out (27 in 3-D)."""
        return sum(parameter.numel() for parameter in self.parameters())

    @property
    def receptive_radius(self) -> int:
        """The largest of `receptive_radii`."""
        return max(self.receptive_radii)

    @property
    def receptive_radii(self) -> tuple[int, ...]:
        """Pixels on each side that influence an output, along each axis in their order.

        The sum of the layers' largest dilations. Tiled prediction equals whole-image prediction
        with a halo of this size.
        """
        return receptive_radii(along_axes(self.dilations, self.dilations_z, self.ndim), self.width)

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Initialise as the paper does.

        Filters from N(0, sqrt(2 / n_c)) with n_c = 9 (c_0 + w (d - 1)) + c_out (27 in 3-D), the
        same for every layer; biases and all 1x1 weights zero.
        """
        fan = 3**self.ndim * (self.in_channels + self.width * (self.depth - 1)) + self.n_classes
        device = generator.device if generator is not None else self.weight.device
        filters = torch.empty_like(self.weight, device=device)
        self.weight.copy_(filters.normal_(0, math.sqrt(2 / fan), generator=generator))
        for parameter in (self.bias, self.output_weight, self.output_bias):
            parameter.zero_()

    def forward(self, image: Tensor) -> Tensor:
        """Logits of every pixel.

        Parameters
        ----------
        image
            (N, in_channels, Y, X), in 3-D (N, in_channels, Z, Y, X), normalised, of the
            parameters' dtype (under autocast: any float dtype) and device. Under
            ``torch.autocast("cuda")`` the CUDA core stores a float32 network's maps in 16 bits;
            logits and gradients stay float32.

        Returns
        -------
        Tensor
            (N, n_classes, Y, X), in 3-D with Z.

        Raises
        ------
        ImageError
            For an image with wrong axes, channels or dtype, or without pixels.
        SettingsError
            If the requested backend cannot compute this.
        OutOfMemoryError
            When the compiled core's device has too little memory.
        """
        image = self._checked(image)
        parameters = (self.weight, self.bias, self.output_weight, self.output_bias)
        structure = (self.dilations, self.width, self.boundary)
        choice = choose_backend(self.backend, image.device, image.dtype, self.ndim)
        self.backend_in_use, self.backend_reason = choice.name, choice.reason
        if choice.name != "torch":
            core = choice.name
            maps_as = map_dtype(core, image)

            def compute(schedule: Schedule) -> Tensor:
                return mixed_scale_dense(
                    image, *parameters, *structure, core, maps_as, self.dilations_z, schedule
                )

            try:
                if core != "cuda":
                    return compute("staged")
                described = Structure(*structure, maps_as, self.dilations_z)
                training = torch.is_grad_enabled()
                schedule = schedule_of(image, self.n_classes, described, training)
                return confirmed(compute, schedule, image)
            except (UnsupportedError, CoreFailedError) as why:
                if self.backend != "auto" or _capturing():
                    raise
                if isinstance(why, CoreFailedError):
                    set_aside_for(core, image.device, why)
                choice = torch_instead(image.device, why)
                self.backend_in_use, self.backend_reason = choice.name, choice.reason
        return mixed_scale_dense_blocked(image, *parameters, *structure, self.dilations_z)

    def extra_repr(self) -> str:
        """Describe the network for ``print(net)``."""
        return (
            f"in_channels={self.in_channels}, n_classes={self.n_classes}, depth={self.depth}, "
            f"width={self.width}, boundary={self.boundary!r}, ndim={self.ndim}, "
            f"backend={self.backend!r}, n_parameters={self.n_parameters}"
        )

    def _checked(self, image: Tensor) -> Tensor:
        axes = "(N, C, Y, X)" if self.ndim == 2 else "(N, C, Z, Y, X)"
        shape = tuple(image.shape)
        if image.ndim != self.ndim + 2:
            raise ImageError(f"The image must have the axes {axes}, not the shape {shape}.")
        if shape[1] != self.in_channels:
            raise ImageError(f"The image must have {self.in_channels} channel(s), not {shape[1]}.")
        if 0 in shape[2:]:
            raise ImageError(f"The image has no pixels: its shape is {shape}.")
        if image.device != self.weight.device:
            raise ImageError(
                f"The image is on {image.device}, the network on {self.weight.device}."
            )
        if image.dtype == self.weight.dtype:
            return image
        if image.is_floating_point() and torch.is_autocast_enabled(image.device.type):
            return image.to(self.weight.dtype)
        raise ImageError(f"The image must be of dtype {self.weight.dtype}, not {image.dtype}.")

    def _filter_shapes(self) -> list[tuple[int, ...]]:
        taps = (3,) * self.ndim
        return [(self.width, self.in_channels + i * self.width, *taps) for i in range(self.depth)]

    def _filters(self, packed: Tensor) -> list[Tensor]:
        """Views of the packed weights, one per layer."""
        shapes = self._filter_shapes()
        ends = accumulate(math.prod(shape) for shape in shapes)
        return [
            packed[end - math.prod(s) : end].view(s) for end, s in zip(ends, shapes, strict=True)
        ]

    def _entries(self, keep_graph: bool) -> dict[str, Tensor]:
        """The state_dict's entries: views of the packed parameters."""
        weight, bias, output_weight, output_bias = (
            p if keep_graph else p.detach()
            for p in (self.weight, self.bias, self.output_weight, self.output_bias)
        )
        entries: dict[str, Tensor] = {}
        biases = bias.view(self.depth, self.width)
        for i, filters in enumerate(self._filters(weight)):
            entries[f"layers.{i}.weight"] = filters
            entries[f"layers.{i}.bias"] = biases[i]
        entries["output.weight"] = output_weight.view(*output_weight.shape, *(1,) * self.ndim)
        entries["output.bias"] = output_bias
        return entries

    def _save_to_state_dict(
        self, destination: dict[str, Any], prefix: str, keep_vars: bool
    ) -> None:
        for key, tensor in self._entries(keep_vars).items():
            destination[prefix + key] = tensor

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        entries = self._entries(keep_graph=False)
        for key, mine in entries.items():
            theirs = state_dict.get(prefix + key)
            if theirs is None:
                missing_keys.append(prefix + key)
            elif theirs.shape != mine.shape:
                error_msgs.append(
                    f"size mismatch for {prefix}{key}: copying a param with shape {theirs.shape} "
                    f"from checkpoint, the shape in current model is {mine.shape}."
                )
            else:
                with torch.no_grad():
                    mine.copy_(theirs)
        if strict:
            unexpected_keys.extend(
                key
                for key in state_dict
                if key.startswith(prefix) and key[len(prefix) :] not in entries
            )


def _capturing() -> bool:
    """Whether a CUDA graph is being captured.

    A failure then may be the capture's and not the core's; torch would not get into it either.
    """
    return torch.cuda.is_available() and torch.cuda.is_current_stream_capturing()
