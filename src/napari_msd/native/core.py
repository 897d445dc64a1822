"""One compiled core as two Python calls on torch tensors: forward and backward."""

from __future__ import annotations

import ctypes
import math
import threading
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Literal, NoReturn

import torch
from torch import Tensor

from napari_msd.core.errors import MSDError, OutOfMemoryError, SettingsError
from napari_msd.core.settings import Boundary
from napari_msd.native import abi
from napari_msd.native.libraries import Library
from napari_msd.native.threads import get_threads

_MAX_KEPT_BYTES = 256 * 2**20
"""Larger CPU workspaces are freed after each call."""

_ALIGNMENT = 256
"""Alignment in bytes of maps and workspace for the CUDA core (the CPU core needs 64)."""

_kept = threading.local()
_DTYPES = {torch.float32: abi.FLOAT32, torch.float64: abi.FLOAT64}
_MAP_DTYPES = {
    None: abi.MAPS_AS_DTYPE,
    torch.bfloat16: abi.MAPS_BFLOAT16,
    torch.float16: abi.MAPS_FLOAT16,
}

Schedule = Literal["staged", "cooperative"]
"""How the CUDA core divides a pass into launches: one per layer, or one for all layers."""

_SCHEDULES: dict[Schedule, int] = {"staged": abi.STAGED, "cooperative": abi.COOPERATIVE}


@dataclass(frozen=True)
class Structure:
    """The structure of a network, which its tensors do not show.

    Parameters
    ----------
    dilations
        One per hidden channel, layer after layer: depth * width entries, in pixels.
    width
        Channels per layer.
    boundary
        How pixels beyond the image's edge are defined.
    map_dtype
        How maps are stored: torch.bfloat16 or torch.float16 (CUDA core, float32 images), or
        None: in the image's type.
    dilations_z
        Along Z, in 3-D: as many entries as `dilations`. None: the same as along Y and X.
    schedule
        How the CUDA core divides the pass into launches. The CPU core ignores it.
    """

    dilations: tuple[int, ...]
    width: int
    boundary: Boundary
    map_dtype: torch.dtype | None = None
    dilations_z: tuple[int, ...] | None = None
    schedule: Schedule = "staged"


class UnsupportedError(SettingsError):
    """A valid problem that a compiled core does not support; plain torch may."""


class CoreFailedError(MSDError):
    """A compiled core failed or computed wrongly; plain torch may do better."""


class Core:
    """A loaded library, called with tensors on its device.

    Every method takes contiguous tensors of one dtype (float32 or float64) and
    raises `OutOfMemoryError` if the device has too little memory, `UnsupportedError`
    for problems that the core does not support, and `CoreFailedError` with the sizes
    for any other error of the library.
    """

    def __init__(self, library: Library) -> None:
        self.library = library

    def forward(
        self,
        image: Tensor,
        weight: Tensor,
        bias: Tensor,
        output_weight: Tensor,
        output_bias: Tensor,
        structure: Structure,
        keep_maps: bool,
    ) -> tuple[Tensor, Tensor]:
        """Logits, and the maps that `backward` needs (empty unless `keep_maps`).

        Parameters
        ----------
        image
            (N, in_channels, [Z,] Y, X).
        weight
            Packed: layer after layer, each (width, in_channels + i*width, [3,] 3, 3).
        bias
            (depth * width,).
        output_weight, output_bias
            (n_classes, in_channels + depth*width) and (n_classes,).
        """
        _require_one_dtype(image, weight, bias, output_weight, output_bias)
        problem = self._problem(image, output_weight, structure, keep_maps)
        logits = image.new_empty((image.shape[0], output_weight.shape[0], *image.shape[2:]))
        memory = self._memory(problem)
        like = image.new_empty(0, dtype=structure.map_dtype or image.dtype)
        if keep_maps:
            maps = self._allocate(like, memory.maps, problem)
            workspace = self._workspace(image, memory.forward_workspace, problem)
        else:
            maps_bytes = -(-memory.maps // _ALIGNMENT) * _ALIGNMENT
            scratch = self._workspace(image, maps_bytes + memory.forward_workspace, problem)
            maps, workspace = scratch, scratch.view(torch.uint8)[maps_bytes:]
        code = self.library.functions.msd_forward(
            ctypes.byref(problem),
            *_addresses(image, weight, bias, output_weight, output_bias, maps, logits, workspace),
            _stream(image),
        )
        self._check(code, problem)
        return logits, maps if keep_maps else image.new_empty(
            0, dtype=structure.map_dtype or image.dtype
        )

    def backward(
        self,
        grad_logits: Tensor,
        maps: Tensor,
        weight: Tensor,
        output_weight: Tensor,
        structure: Structure,
        needs_input_gradient: bool,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Gradients of image (empty unless needed), weight, bias, output weight and output bias."""
        _require_one_dtype(grad_logits, weight, output_weight)
        problem = self._problem(grad_logits, output_weight, structure, keep_maps=True)
        memory = self._memory(problem)
        workspace = self._workspace(grad_logits, memory.backward_workspace, problem)
        shape = (grad_logits.shape[0], problem.in_channels, *grad_logits.shape[2:])
        grad_image = grad_logits.new_empty(shape if needs_input_gradient else 0)
        gradients = (
            torch.empty_like(weight),
            grad_logits.new_empty(len(structure.dilations)),
            torch.empty_like(output_weight),
            grad_logits.new_empty(output_weight.shape[0]),
        )
        code = self.library.functions.msd_backward(
            ctypes.byref(problem),
            *_addresses(grad_logits, maps, weight, output_weight),
            grad_image.data_ptr() if needs_input_gradient else None,
            *_addresses(*gradients, workspace),
            _stream(grad_logits),
        )
        self._check(code, problem)
        return (grad_image, *gradients)

    def bytes_needed(
        self,
        shape: Sequence[int],
        dtype: torch.dtype,
        n_classes: int,
        structure: Structure,
        training: bool,
    ) -> int:
        """Bytes of device memory that a pass needs besides the images of `shape` (N, C, [Z,] Y, X).

        It covers maps, scratch and logits; with `training` those of a step and its gradients.
        """
        image = torch.empty(tuple(shape), dtype=dtype, device="meta")
        n_maps = shape[1] + len(structure.dilations)
        output_weight = torch.empty((n_classes, n_maps), device="meta")
        problem = self._problem(image, output_weight, structure, keep_maps=training)
        memory = self._memory(problem)
        pixels = shape[0] * math.prod(shape[2:])
        logits = pixels * n_classes * image.element_size()
        if not training:
            return int(memory.maps + memory.forward_workspace) + logits
        scratch = max(memory.forward_workspace, memory.backward_workspace)
        return int(memory.maps + scratch) + 2 * logits

    def can_run(
        self,
        shape: Sequence[int],
        dtype: torch.dtype,
        n_classes: int,
        structure: Structure,
        training: bool,
    ) -> bool:
        """Whether the core and the current GPU can run such passes by the structure's schedule.

        The parameters are those of `bytes_needed`.
        """
        try:
            self.bytes_needed(shape, dtype, n_classes, structure, training)
        except UnsupportedError:
            return False
        return True

    def check_waits(self, like: Tensor) -> None:
        """Wait for the work of the current stream of `like`'s GPU, and see whether it went well.

        Raises
        ------
        CoreFailedError
            If blocks of threads of a cooperative pass gave up waiting for one another since the
            last call: what was computed since then on this GPU is wrong.
        """
        with torch.cuda.device(like.device) if like.is_cuda else nullcontext():
            code = self.library.functions.msd_check_waits(_stream(like))
        if code != abi.OK:
            text = self.library.error_text(code)
            raise CoreFailedError(f"The compiled core failed to compute in one launch: {text}.")

    def maps_size(self, image: Tensor, output_weight: Tensor, structure: Structure) -> int:
        """Number of elements in the maps that `forward` keeps."""
        problem = self._problem(image, output_weight, structure, keep_maps=True)
        dtype = structure.map_dtype or image.dtype
        return int(self._memory(problem).maps) // dtype.itemsize

    def _problem(
        self, image: Tensor, output_weight: Tensor, structure: Structure, keep_maps: bool
    ) -> abi.Problem:
        """Describe a pass; `image` is any tensor (N, channels, spatial axes...) of the pass."""
        n_channels = len(structure.dilations)
        ndim = image.ndim - 2
        sizes = (1,) * (3 - ndim) + tuple(image.shape[2:])
        per_channel = ctypes.c_int32 * n_channels
        along_z = structure.dilations_z
        return abi.Problem(
            batch=image.shape[0],
            sizes=(ctypes.c_int64 * 3)(*sizes),
            dilations=per_channel(*structure.dilations),
            in_channels=output_weight.shape[1] - n_channels,
            depth=n_channels // structure.width,
            width=structure.width,
            n_classes=output_weight.shape[0],
            ndim=ndim,
            boundary=abi.BOUNDARY[structure.boundary],
            dtype=_DTYPES[image.dtype],
            threads=get_threads(),
            keep_maps=int(keep_maps),
            map_dtype=_MAP_DTYPES[structure.map_dtype],
            dilations_z=None if along_z is None else per_channel(*along_z),
            schedule=_SCHEDULES[structure.schedule],
        )

    def _memory(self, problem: abi.Problem) -> abi.Memory:
        memory = abi.Memory()
        self._check(
            self.library.functions.msd_memory_needed(ctypes.byref(problem), ctypes.byref(memory)),
            problem,
        )
        return memory

    def _workspace(self, like: Tensor, n_bytes: int, problem: abi.Problem) -> Tensor:
        """Scratch for one call; on the CPU this thread's last one is reused if it is large enough.

        There, new memory costs a page fault per 4 kB, a third of a pass over a large image.
        (On a GPU torch's own allocator keeps memory.)
        """
        if like.is_cuda or n_bytes > _MAX_KEPT_BYTES:
            return self._allocate(like, n_bytes, problem)
        kept: Tensor | None = getattr(_kept, "workspace", None)
        if kept is None or kept.numel() < n_bytes:
            _kept.workspace = None  # free the old one first
            kept = self._allocate(torch.empty(0, dtype=torch.uint8), n_bytes, problem)
            _kept.workspace = kept
        return kept

    def _allocate(self, like: Tensor, n_bytes: int, problem: abi.Problem) -> Tensor:
        try:
            return like.new_empty(math.ceil(n_bytes / like.element_size()))
        except torch.cuda.OutOfMemoryError as error:
            _raise_out_of_memory(n_bytes, problem, error)
        except RuntimeError as error:
            if "memory" not in str(error):
                raise
            _raise_out_of_memory(n_bytes, problem, error)

    def _check(self, code: int, problem: abi.Problem) -> None:
        if code == abi.OK:
            return
        text = f"{_describe(problem)}: {self.library.error_text(code)}."
        if code == abi.OUT_OF_MEMORY:
            raise OutOfMemoryError(f"Out of memory for {text}")
        if code == abi.UNSUPPORTED:
            raise UnsupportedError(f"Cannot compute {text}")
        raise CoreFailedError(f"The compiled core failed on {text}")


def _raise_out_of_memory(n_bytes: int, problem: abi.Problem, cause: BaseException) -> NoReturn:
    raise OutOfMemoryError(
        f"Out of memory: {_describe(problem)} needs {n_bytes / 2**30:.1f} GiB more; "
        f"use smaller patches or a smaller network."
    ) from cause


def _describe(problem: abi.Problem) -> str:
    sizes = " x ".join(str(size) for size in problem.sizes[3 - problem.ndim :])
    return (
        f"{problem.batch} image(s) of {sizes} pixels with {problem.in_channels} channel(s) "
        f"in a network of depth {problem.depth}, width {problem.width} and "
        f"{problem.n_classes} output(s)"
    )


def _require_one_dtype(first: Tensor, *others: Tensor) -> None:
    """Refuse tensors of several dtypes: a library is told only one, and their addresses."""
    dtypes = {tensor.dtype for tensor in (first, *others)}
    if len(dtypes) > 1 or first.dtype not in _DTYPES:
        names = ", ".join(sorted(str(dtype).removeprefix("torch.") for dtype in dtypes))
        raise SettingsError(
            f"Image and parameters must all be float32, or all float64, not {names}."
        )


def _addresses(*tensors: Tensor) -> Sequence[int]:
    return [tensor.data_ptr() for tensor in tensors]


def _stream(tensor: Tensor) -> int | None:
    return torch.cuda.current_stream(tensor.device).cuda_stream if tensor.is_cuda else None
