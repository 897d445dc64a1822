"""Schedules are compared with each other in images with more rows than blocks of threads."""

from __future__ import annotations

import pytest
import torch

from napari_msd.core.errors import OutOfMemoryError
from napari_msd.native import libraries, operator
from napari_msd.native.core import Core, CoreFailedError, UnsupportedError
from napari_msd.network import same_bits
from napari_msd.network.same_bits import SHAPES, difference_of_schedules

CPU = torch.device("cpu")


class Wrong:
    """The CPU core, whose cooperative passes are wrong in a tensor of images of a shape."""

    def __init__(self, core: Core, result: str = "", shape=()) -> None:
        self.core, self.result, self.shape = core, result, shape
        self.error, self.gave_up = None, False

    def forward(self, *arguments):
        structure, keep_maps = arguments[5:]
        logits, maps = self.core.forward(*arguments)
        if structure.schedule == "cooperative":
            if self.error is not None:
                raise self.error
            wanted = "training" if keep_maps else "prediction"
            if self.result == wanted and arguments[0].shape == self.shape:
                logits.flatten()[-1] *= 1 + 2**-20
        return logits, maps

    def backward(self, *arguments):
        gradients = self.core.backward(*arguments)
        n, _, *sizes = arguments[0].shape
        if arguments[4].schedule == "cooperative" and (n, *sizes) == (
            *self.shape[:1],
            *self.shape[2:],
        ):
            names = ("image", "weight", "bias", "output weight", "output bias")
            for name, gradient in zip(names, gradients, strict=True):
                if name == self.result:
                    gradient.flatten()[-1] += 1
        return gradients

    def check_waits(self, like):
        if self.gave_up:
            raise CoreFailedError("blocks gave up waiting")


@pytest.fixture
def wrong(monkeypatch) -> Wrong:
    library = libraries.load_library("cpu")
    if library is None:
        pytest.skip(libraries.library_status("cpu").reason)
    core = Wrong(Core(library))
    monkeypatch.setattr(operator, "compiled_core", lambda *_: core)
    smaller = tuple((min(n, 2), c, *[min(size, 20) for size in rest]) for n, c, *rest in SHAPES)
    monkeypatch.setattr(same_bits, "SHAPES", smaller)
    return core


def test_the_same_bits_are_no_difference(wrong):
    assert difference_of_schedules("cpu", CPU, None) is None


@pytest.mark.parametrize("number", range(len(SHAPES)))
@pytest.mark.parametrize(
    "result",
    ["prediction", "training", "image", "weight", "bias", "output weight", "output bias"],
)
def test_one_other_number_is_found(wrong, result, number):
    wrong.result, wrong.shape = result, same_bits.SHAPES[number]
    assert str(wrong.shape) in difference_of_schedules("cpu", CPU, None)


def test_failures_and_waits_that_gave_up_are_told(wrong):
    wrong.gave_up = True
    assert "blocks gave up waiting" in difference_of_schedules("cpu", CPU, None)
    wrong.error = RuntimeError("CUDA error: unspecified launch failure")
    assert "unspecified launch failure" in difference_of_schedules("cpu", CPU, None)


@pytest.mark.parametrize("kind", [UnsupportedError, OutOfMemoryError])
def test_what_cannot_be_computed_is_left_out(wrong, kind):
    wrong.error = kind("too large")
    assert difference_of_schedules("cpu", CPU, None) is None


@pytest.mark.gpu
@pytest.mark.parametrize("map_dtype", [None, torch.float16])
def test_on_a_gpu(map_dtype):
    if not torch.cuda.is_available() or libraries.load_library("cuda") is None:
        pytest.skip("needs a CUDA GPU and its core")
    assert difference_of_schedules("cuda", torch.device("cuda"), map_dtype) is None
