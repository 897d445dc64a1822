"""A whole Mixed-Scale Dense network as one differentiable torch operator.

One operator call covers a pass, not a layer: each call costs 10 to 30 us, which adds up over a
hundred layers. `MSDNet` is the only caller.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any, NoReturn, cast

import torch
from torch import Tensor

from napari_msd.core.errors import SettingsError
from napari_msd.core.settings import Boundary
from napari_msd.native.aside import LibraryKind
from napari_msd.native.core import Core, Schedule, Structure
from napari_msd.native.libraries import library_status, load_library
from napari_msd.native.untraced import untraced

_FORWARD = "napari_msd::mixed_scale_dense"
_BACKWARD = "napari_msd::mixed_scale_dense_backward"


def mixed_scale_dense(
    image: Tensor,
    weight: Tensor,
    bias: Tensor,
    output_weight: Tensor,
    output_bias: Tensor,
    dilations: Sequence[int],
    width: int,
    boundary: Boundary,
    backend: LibraryKind,
    map_dtype: torch.dtype | None = None,
    dilations_z: Sequence[int] | None = None,
    schedule: Schedule = "staged",
) -> Tensor:
    """Logits of a network, computed by a compiled core, differentiable in all five tensors.

    Parameters
    ----------
    image
        (N, in_channels, Y, X), or (N, in_channels, Z, Y, X); N may be 0.
    weight
        Flat: layer after layer, each (width, in_channels + i*width, [3,] 3, 3).
    bias
        (depth * width,).
    output_weight, output_bias
        (n_classes, in_channels + depth*width) and (n_classes,).
    dilations
        depth * width dilations in pixels, layer after layer.
    width
        Channels per layer.
    boundary
        How pixels beyond the image's edge are defined.
    backend
        ``cpu`` or ``cuda``: the tensors are on that device.
    map_dtype
        torch.bfloat16 or torch.float16: type of stored maps and of the inputs of matrix products;
        sums, logits and all gradients stay float32. CUDA core only. None: the image's type.
    dilations_z
        Along Z, in 3-D: as many entries as `dilations`. None: the same as along Y and X.
    schedule
        ``staged`` or ``cooperative``: how the CUDA core divides the pass into launches.

    Returns
    -------
    Tensor
        (N, n_classes, Y, X), or with Z.

    Raises
    ------
    OutOfMemoryError
        The message says how much was needed.
    SettingsError
        If that compiled core is not available.
    UnsupportedError
        If it does not support such a network, or images of that size.
    """
    tensors = (image, weight, bias, output_weight, output_bias)
    # Without gradients, only the maps of the current images need to be kept.
    keep_maps = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
    logits, _ = torch.ops.napari_msd.mixed_scale_dense(
        *tensors,
        list(dilations),
        None if dilations_z is None else list(dilations_z),
        width,
        boundary,
        backend,
        map_dtype,
        schedule,
        keep_maps,
    )
    return cast(Tensor, logits)


@cache
def compiled_core(backend: str, device: int = 0) -> Core:
    """The compiled core of a kind, for the device with this number.

    Raises
    ------
    SettingsError
        With the reason, if there is none.
    """
    kind = cast(LibraryKind, backend)
    library = load_library(kind, device)
    if library is None:
        raise SettingsError(library_status(kind, device).reason)
    return Core(library)


# Not torch.library.custom_op: its kernels load the compiler, see `untraced`.
torch.library.define(
    _FORWARD,
    "(Tensor image, Tensor weight, Tensor bias, Tensor output_weight, Tensor output_bias, "
    "int[] dilations, int[]? dilations_z, int width, str boundary, str backend, "
    "ScalarType? map_dtype, str schedule, bool keep_maps) -> (Tensor, Tensor)",
    tags=torch.Tag.pt2_compliant_tag,
)
torch.library.define(
    _BACKWARD,
    "(Tensor grad_logits, Tensor maps, Tensor weight, Tensor output_weight, int[] dilations, "
    "int[]? dilations_z, int width, str boundary, str backend, ScalarType? map_dtype, "
    "str schedule, bool needs_input_gradient) -> (Tensor, Tensor, Tensor, Tensor, Tensor)",
    tags=torch.Tag.pt2_compliant_tag,
)


@torch.library.impl(_FORWARD, "default")
@untraced
def _forward(
    image: Tensor,
    weight: Tensor,
    bias: Tensor,
    output_weight: Tensor,
    output_bias: Tensor,
    dilations: Sequence[int],
    dilations_z: Sequence[int] | None,
    width: int,
    boundary: str,
    backend: str,
    map_dtype: torch.dtype | None,
    schedule: str,
    keep_maps: bool,
) -> tuple[Tensor, Tensor]:
    structure = _structure(dilations, dilations_z, width, boundary, map_dtype, schedule)
    with _device_of(image):
        return compiled_core(backend, image.device.index or 0).forward(
            image.contiguous(),
            weight.contiguous(),
            bias.contiguous(),
            output_weight.contiguous(),
            output_bias.contiguous(),
            structure,
            keep_maps,
        )


@torch.library.register_fake(_FORWARD)  # type: ignore[untyped-decorator]
def _(
    image: Tensor,
    weight: Tensor,
    bias: Tensor,
    output_weight: Tensor,
    output_bias: Tensor,
    dilations: Sequence[int],
    dilations_z: Sequence[int] | None,
    width: int,
    boundary: str,
    backend: str,
    map_dtype: torch.dtype | None,
    schedule: str,
    keep_maps: bool,
) -> tuple[Tensor, Tensor]:
    logits = image.new_empty((image.shape[0], output_weight.shape[0], *image.shape[2:]))
    n_maps = image.shape[1] + len(dilations)
    dtype = map_dtype or image.dtype
    numbers = image.shape[0] * n_maps * plane_numbers(image.shape[2:], dtype.itemsize, backend)
    return logits, image.new_empty(numbers if keep_maps else 0, dtype=dtype)


@torch.library.impl(_BACKWARD, "default")
@untraced
def _backward(
    grad_logits: Tensor,
    maps: Tensor,
    weight: Tensor,
    output_weight: Tensor,
    dilations: Sequence[int],
    dilations_z: Sequence[int] | None,
    width: int,
    boundary: str,
    backend: str,
    map_dtype: torch.dtype | None,
    schedule: str,
    needs_input_gradient: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    structure = _structure(dilations, dilations_z, width, boundary, map_dtype, schedule)
    with _device_of(grad_logits):
        return compiled_core(backend, grad_logits.device.index or 0).backward(
            grad_logits.contiguous(),
            maps,
            weight.contiguous(),
            output_weight.contiguous(),
            structure,
            needs_input_gradient,
        )


@torch.library.register_fake(_BACKWARD)  # type: ignore[untyped-decorator]
def _(
    grad_logits: Tensor,
    maps: Tensor,
    weight: Tensor,
    output_weight: Tensor,
    dilations: Sequence[int],
    dilations_z: Sequence[int] | None,
    width: int,
    boundary: str,
    backend: str,
    map_dtype: torch.dtype | None,
    schedule: str,
    needs_input_gradient: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    in_channels = output_weight.shape[1] - len(dilations)
    shape = (grad_logits.shape[0], in_channels, *grad_logits.shape[2:])
    return (
        grad_logits.new_empty(shape if needs_input_gradient else 0),
        grad_logits.new_empty(weight.shape),
        grad_logits.new_empty(len(dilations)),
        grad_logits.new_empty(output_weight.shape),
        grad_logits.new_empty(output_weight.shape[0]),
    )


def _structure(
    dilations: Sequence[int],
    dilations_z: Sequence[int] | None,
    width: int,
    boundary: str,
    map_dtype: torch.dtype | None,
    schedule: str,
) -> Structure:
    along_z = None if dilations_z is None else tuple(dilations_z)
    return Structure(
        tuple(dilations),
        width,
        cast(Boundary, boundary),
        map_dtype,
        along_z,
        cast(Schedule, schedule),
    )


def _device_of(tensor: Tensor) -> AbstractContextManager[Any]:
    """Make the tensor's GPU the current one: the compiled core launches there."""
    return torch.cuda.device(tensor.device) if tensor.is_cuda else nullcontext()


def plane_numbers(sizes: Sequence[int], item_bytes: int, backend: str) -> int:
    """Number of elements in one saved map, as the cores lay it out; sizes may be symbolic.

    The CPU core pads rows to 64 bytes, and again if that gives a multiple of 1024
    (kernels/cpu/plan.cpp).
    """
    rows = 1
    for size in sizes[:-1]:
        rows = rows * size
    if backend != "cpu":
        return rows * sizes[-1]
    line = 64 // item_bytes
    lines = (sizes[-1] + line - 1) // line
    # Without a branch: under torch.compile a size may be a symbol.
    lines = lines + ((lines + 15) // 16 - lines // 16 == 0) * 1
    return rows * lines * line


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    _image, weight, _bias, output_weight, _output_bias, *structure, _keep_maps = inputs
    ctx.set_materialize_grads(False)  # or the maps' "gradient" would be a tensor of zeros
    ctx.save_for_backward(output[1], weight, output_weight)
    ctx.structure = structure


def _differentiate(
    ctx: Any, grad_logits: Tensor | None, _grad_maps: None
) -> tuple[Tensor | None, ...]:
    nothing = (None,) * 8
    if grad_logits is None:
        return (None,) * 5 + nothing
    maps, weight, output_weight = ctx.saved_tensors
    needs_input_gradient = ctx.needs_input_grad[0]
    gradients = torch.ops.napari_msd.mixed_scale_dense_backward(
        grad_logits, maps, weight, output_weight, *ctx.structure, needs_input_gradient
    )
    return (gradients[0] if needs_input_gradient else None, *gradients[1:], *nothing)


torch.library.register_autograd(_FORWARD, _differentiate, setup_context=_setup_context)


def _refuse(ctx: Any, *_gradients: Tensor | None) -> NoReturn:
    raise RuntimeError("A compiled core computes first derivatives only.")


# Otherwise the operator would count as not differentiable, and second derivatives as 0.
torch.library.register_autograd(_BACKWARD, _refuse)
