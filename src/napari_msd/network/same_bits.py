"""Compares the CUDA core's schedules in images with more rows than a GPU has blocks.

The problems of `self_check` are small, so that a block of threads of a cooperative launch has one
strip of rows at most. Here each has several, in every kind of pass. The right answer would take the
CPU a second; but both schedules add in the same order, so they give the same bits, and `self_check`
has found the staged one right.
"""

from __future__ import annotations

import torch
from torch import Tensor

from napari_msd.core.errors import OutOfMemoryError
from napari_msd.native import operator
from napari_msd.native.aside import LibraryKind
from napari_msd.native.backend import device_number
from napari_msd.native.core import Schedule, UnsupportedError
from napari_msd.native.operator import mixed_scale_dense
from napari_msd.network.msdnet import MSDNet

SHAPES = ((1, 1, 700, 300), (16, 1, 96, 96), (1, 2, 20, 48, 300))
"""Images, (N, C, [Z,] Y, X): 700 rows that are a strip each, 1536 short ones, 960 in 3-D. An H200
has 264 blocks of threads at a time."""

DEPTH = 20
DILATIONS = (1, 2, 4, 8, 16, 30)


@torch.inference_mode(False)  # the caller may be predicting
def difference_of_schedules(
    kind: LibraryKind, device: torch.device, map_dtype: torch.dtype | None
) -> str | None:
    """Where cooperative passes differ from staged ones; None: nowhere.

    Parameters
    ----------
    kind
        The core, usable on `device`.
    device
        Where to compute.
    map_dtype
        How maps are stored: torch.float16, or None for float32.

    Returns
    -------
    str or None
        Such as "the output for images of (16, 1, 96, 96) differs from that of staged passes", or
        the text of an exception. Images that the schedule cannot compute, or for which there is too
        little memory, are left out.
    """
    for shape in SHAPES:
        try:
            staged = _results(shape, kind, device, map_dtype, "staged")
            cooperative = _results(shape, kind, device, map_dtype, "cooperative")
            operator.compiled_core(kind, device_number(device)).check_waits(staged[0])
        except (UnsupportedError, OutOfMemoryError, torch.cuda.OutOfMemoryError):
            continue
        except Exception as failure:  # of any kind: our own, ctypes', torch's of a broken GPU
            return f"it fails on images of {shape} ({type(failure).__name__}: {failure})"
        names = ("prediction", "output", *["gradient"] * (len(staged) - 2))
        for name, a, b in zip(names, staged, cooperative, strict=True):
            if not torch.equal(a, b):
                return f"the {name} for images of {shape} differs from that of staged passes"
    return None


def _results(
    shape: tuple[int, ...],
    kind: LibraryKind,
    device: torch.device,
    map_dtype: torch.dtype | None,
    schedule: Schedule,
) -> list[Tensor]:
    """Prediction, output of a training step, gradients of the image and of all parameters."""
    generator = torch.Generator().manual_seed(0)
    net = MSDNet(shape[1], 2, DEPTH, 1, DILATIONS, ndim=len(shape) - 2, generator=generator)
    for parameter in (net.bias, net.output_weight, net.output_bias):  # they are zero in a new one
        parameter.data.normal_(generator=generator)
    image = torch.randn(shape, generator=generator, dtype=torch.float32).to(device)
    image.requires_grad_()
    net = net.to(device, torch.float32)  # whatever torch's default is
    parameters = (net.weight, net.bias, net.output_weight, net.output_bias)

    def compute() -> Tensor:
        return mixed_scale_dense(
            image,
            *parameters,
            net.dilations,
            net.width,
            net.boundary,
            kind,
            map_dtype,
            schedule=schedule,
        )

    with torch.no_grad():
        predicted = compute()
    with torch.enable_grad():
        logits = compute()
        gradients = torch.autograd.grad(logits.square().mean(), (image, *parameters))
    return [predicted, logits.detach(), *gradients]
