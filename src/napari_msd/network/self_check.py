"""Compares a compiled core with the reference on a few small networks in which no sum rounds.

Image, weights and gradient are small integers, so every order of summation gives the same bits and
there is one right answer, also with maps of float16 (`EXACT_IN_16_BITS`). Whatever differs is an
error, never rounding; no tolerance hides a wrong pixel. `napari_msd.network.trial` says when this
is done.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from napari_msd.core.errors import OutOfMemoryError
from napari_msd.core.settings import Boundary
from napari_msd.native import operator
from napari_msd.native.aside import LibraryKind
from napari_msd.native.backend import device_number
from napari_msd.native.core import Schedule, UnsupportedError
from napari_msd.native.operator import mixed_scale_dense
from napari_msd.network.reference import mixed_scale_dense_reference

EXACT_IN_16_BITS = 2**11
"""Up to here float16 has all integers; maps of these networks, and gradients of maps, stay below.
(Sums of weights' gradients are float32, exact up to 2**24.)"""

NAMES = (
    "the image",
    "the weights",
    "the biases",
    "the output weights",
    "the output biases",
)
"""What gradients are of, in the order of the operator's tensors."""


@dataclass(frozen=True)
class Problem:
    """A network and the images that it is given.

    Parameters
    ----------
    sizes
        Of the images in pixels, ([Z,] Y, X).
    boundary, width, dilations
        As in `MSDNet`; one dilation per hidden channel.
    dilations_z
        In 3-D, one per hidden channel, or None.
    batch, in_channels, n_classes
        Images, their different channels, outputs.
    copies
        How often the channels come, one set after another: many maps for the core, few for the
        reference, which computes with the sum of the weights of a channel's copies.
    """

    sizes: tuple[int, ...]
    boundary: Boundary
    width: int
    dilations: tuple[int, ...]
    dilations_z: tuple[int, ...] | None = None
    batch: int = 1
    in_channels: int = 1
    n_classes: int = 2
    copies: int = 1

    def __str__(self) -> str:
        sizes = " x ".join(map(str, self.sizes))
        channels = f" and {self.in_channels * self.copies} channels" if self.copies > 1 else ""
        return (
            f"{self.batch} image(s) of {sizes} pixels{channels} in a network of depth "
            f"{len(self.dilations) // self.width}, width {self.width}, boundary {self.boundary}"
        )


PROBLEMS = (
    # Each boundary, dilations below and above the size, odd rows; more hidden channels than a core
    # takes in one block (8), some of them in wide layers. The first has rows enough for several
    # threads, and for the CUDA kernels of rows longer than 64 pixels; the others are shorter.
    Problem((65, 97), "reflect", 1, (1, 2, 7, 70, 3, 1, 4, 2, 1)),
    Problem((18, 23), "symmetric", 3, (1, 25, 3, 2, 9, 50, 1, 4, 2), None, 2, 2, 3),
    Problem((21, 35), "zeros", 2, (1, 2, 9, 30, 4, 1), None, 3),
    Problem((4, 9, 17), "reflect", 2, (1, 2, 7, 1), (1, 1, 3, 5), 2),
    Problem((3, 5, 70), "symmetric", 1, (1, 2, 3) * 3),
    Problem((5, 6, 11), "zeros", 1, (1, 2, 7), (1, 4, 1), 1, 2),
)
WIDE = Problem((2, 601), "symmetric", 1, (1, 2, 5) * 3)
"""Rows that the CUDA core computes in pieces with a halo."""
MANY = Problem((64, 80), "reflect", 1, (2, 30, 1, 7), in_channels=4, copies=110)
"""More maps than the CPU core keeps in the cache, and than it takes layer by layer (8 MiB, 32)."""

NOTHING_COMPARED = "nothing could be compared"
"""What `first_error` says where every problem was left out."""


@dataclass(frozen=True)
class Solved:
    """A problem's numbers, and what is right.

    Parameters
    ----------
    tensors
        Image (each channel once), weight, bias, output weight, output bias: float32, as the
        operator takes them.
    gradient
        Of the logits.
    logits, gradients
        What is right, float32; gradients in the order of `tensors`.
    """

    tensors: tuple[Tensor, ...]
    gradient: Tensor
    logits: Tensor
    gradients: tuple[Tensor, ...]


def first_error(
    kind: LibraryKind,
    device: torch.device,
    map_dtype: torch.dtype | None = None,
    schedule: Schedule = "staged",
) -> str | None:
    """What a core computes wrongly on a device: the first difference found, else None.

    Parameters
    ----------
    kind
        The core, which must be usable on `device`.
    device
        Where images and weights are.
    map_dtype
        How maps are stored: torch.float16, or None for float32.
    schedule
        How the CUDA core divides a pass into launches.

    Returns
    -------
    str or None
        Such as "the gradient of the biases for 1 image(s) of ... is off by up to 2"; the text of an
        exception if the core fails. Problems that it does not support, or for which there is too
        little memory, are left out; `NOTHING_COMPARED` if that is all of them.
    """
    compared = 0
    for problem in (*PROBLEMS, WIDE if kind == "cuda" else MANY):
        try:
            solved = solve(problem)
        except (MemoryError, RuntimeError):  # not the core's fault
            continue
        try:
            error = _error(problem, solved, kind, device, map_dtype, schedule)
        except (UnsupportedError, OutOfMemoryError, torch.cuda.OutOfMemoryError):
            continue
        except Exception as failure:  # of any kind: our own, ctypes', torch's of a broken GPU
            return f"it fails on {problem} ({type(failure).__name__}: {failure})"
        if error is not None:
            return error
        compared += 1
    return None if compared else NOTHING_COMPARED


# The caller may be predicting, or under autocast: neither must change what is compared.
@torch.inference_mode(False)
@torch.enable_grad()
def _error(
    problem: Problem,
    solved: Solved,
    kind: LibraryKind,
    device: torch.device,
    map_dtype: torch.dtype | None,
    schedule: Schedule,
) -> str | None:
    tensors = [tensor.to(device).requires_grad_() for tensor in solved.tensors]
    logits = _logits(problem, tensors, kind, map_dtype, schedule)
    gradients = _gradients(logits, tensors, solved.gradient.to(device))
    with torch.no_grad():  # keeps no maps, so that memory is laid out differently
        predicted = _logits(problem, tensors, kind, map_dtype, schedule)
    found = {
        "the prediction": (predicted, solved.logits),
        "the output of a training step": (logits, solved.logits),
    }
    for name, *pair in zip(NAMES, gradients, solved.gradients, strict=True):
        found[f"the gradient of {name}"] = (pair[0], pair[1])
    if schedule == "cooperative":
        operator.compiled_core(kind, device_number(device)).check_waits(logits)
    for what, (got, right) in found.items():
        got = got.detach().cpu()
        if not torch.equal(got, right):
            off = float((got - right).abs().amax())
            return f"{what} for {problem} is off by up to {off:g}"
    return None


def _logits(
    problem: Problem,
    tensors: list[Tensor],
    kind: LibraryKind,
    map_dtype: torch.dtype | None,
    schedule: Schedule,
) -> Tensor:
    image, weight, bias, output_weight, output_bias = tensors
    return mixed_scale_dense(
        image.repeat(1, problem.copies, *(1,) * len(problem.sizes)),
        weight,
        bias,
        output_weight,
        output_bias,
        problem.dilations,
        problem.width,
        problem.boundary,
        kind,
        map_dtype,
        problem.dilations_z,
        schedule,
    )


@cache
@torch.inference_mode(False)
@torch.enable_grad()
def solve(problem: Problem) -> Solved:
    """Make a problem's numbers, and compute on the CPU in float64 what is right.

    That is exact on any machine, and needs no other library: cuDNN may choose convolutions that
    round, and takes a second to load.
    """
    generator = torch.Generator().manual_seed(0)
    tensors = _integers(problem, generator)
    size = (problem.batch, problem.n_classes, *problem.sizes)
    gradient = torch.randint(-1, 2, size, generator=generator).float()
    exact = [tensor.double().requires_grad_() for tensor in tensors]
    with torch.autocast("cpu", enabled=False):
        logits = _reference(problem, exact)
        gradients = _gradients(logits, exact, gradient.double())
    return Solved(
        tensors, gradient, logits.detach().float(), tuple(value.float() for value in gradients)
    )


def _gradients(logits: Tensor, tensors: list[Tensor], gradient: Tensor) -> tuple[Tensor, ...]:
    # By way of a single number: given the gradient of the logits, torch loads sympy.
    return torch.autograd.grad((logits * gradient).sum(), tensors)


def _reference(problem: Problem, tensors: list[Tensor]) -> Tensor:
    """Logits by the reference, from packed parameters."""
    image, weight, bias, output_weight, output_bias = tensors
    ndim, width = len(problem.sizes), problem.width
    shapes = _filter_shapes(problem)
    filters = torch.split(weight, [math.prod(shape) for shape in shapes])
    return mixed_scale_dense_reference(
        image,
        [
            _summed(values.view(shape), problem)
            for values, shape in zip(filters, shapes, strict=True)
        ],
        torch.split(bias, width),
        _summed(output_weight.view(*output_weight.shape, *(1,) * ndim), problem),
        output_bias,
        problem.dilations,
        problem.boundary,
        problem.dilations_z,
    )


def _summed(weight: Tensor, problem: Problem) -> Tensor:
    """Weights (rows, maps, ...) with those of each channel's copies added up."""
    n_channels = problem.in_channels * problem.copies
    copies = torch.split(weight[:, :n_channels], problem.in_channels, dim=1)
    return torch.cat([torch.stack(copies).sum(0), weight[:, n_channels:]], dim=1)


def _filter_shapes(problem: Problem) -> list[tuple[int, ...]]:
    width, taps = problem.width, (3,) * len(problem.sizes)
    depth = len(problem.dilations) // width
    n_channels = problem.in_channels * problem.copies
    return [(width, n_channels + i * width, *taps) for i in range(depth)]


def _integers(problem: Problem, generator: torch.Generator) -> tuple[Tensor, ...]:
    """Image and packed parameters: small integers, few in each filter."""
    shape = (problem.batch, problem.in_channels, *problem.sizes)
    n_channels, n_hidden = problem.in_channels * problem.copies, len(problem.dilations)
    filters = [
        _sparse(shape, n_channels, 2 if problem.copies > 1 else 3, generator)
        for shape in _filter_shapes(problem)
    ]
    return (
        torch.randint(-2, 3, shape, generator=generator).float(),
        torch.cat([values.flatten() for values in filters]),
        torch.randint(0, 2, (n_hidden,), generator=generator).float(),
        _sparse((problem.n_classes, n_channels + n_hidden), n_channels, 5, generator),
        torch.randint(-1, 2, (problem.n_classes,), generator=generator).float(),
    )


def _sparse(
    shape: tuple[int, ...], n_channels: int, number: int, generator: torch.Generator
) -> Tensor:
    """Zeros but for up to `number` places in each row, which hold 1 or -1.

    Of many channels and few hidden maps both get as many places: layers would not follow one
    another otherwise.
    """
    if n_channels > 100 and shape[1] > n_channels:
        parts = [(shape[0], maps, *shape[2:]) for maps in (n_channels, shape[1] - n_channels)]
        return torch.cat([_sparse(part, 0, number, generator) for part in parts], dim=1)
    values = torch.zeros(shape[0], math.prod(shape[1:]), dtype=torch.float32)
    for row in values:
        places = torch.randperm(len(row), generator=generator)[:number]
        row[places] = torch.randint(0, 2, places.shape, generator=generator).float() * 2 - 1
    return values.view(shape)
