"""The check of a core finds whatever is wrong, and nothing where all is right.

Cores are made wrong on purpose: one of their results is changed, or they compute another problem
than they were given.
"""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from napari_msd.core.errors import MSDError, OutOfMemoryError
from napari_msd.native import libraries, operator
from napari_msd.native.core import Core, Structure, UnsupportedError
from napari_msd.network import self_check
from napari_msd.network.self_check import (
    EXACT_IN_16_BITS,
    MANY,
    NOTHING_COMPARED,
    PROBLEMS,
    WIDE,
    first_error,
    solve,
)

CPU = torch.device("cpu")
RESULTS = ("logits", "image", "weight", "bias", "output weight", "output bias")


@pytest.fixture
def core() -> Core:
    library = libraries.load_library("cpu")
    if library is None:
        pytest.skip(libraries.library_status("cpu").reason)
    return Core(library)


@pytest.fixture
def check(monkeypatch):
    """Check this core in the place of the CPU's."""

    def checked(core) -> str | None:
        monkeypatch.setattr(operator, "compiled_core", lambda *_: core)
        return first_error("cpu", CPU)

    return checked


class Altered:
    """The real core, but for what a subclass changes."""

    def __init__(self, core: Core) -> None:
        self.core = core

    def forward(self, image, weight, bias, output_weight, output_bias, structure, keep_maps):
        return self.core.forward(
            image, weight, bias, output_weight, output_bias, self.other(structure), keep_maps
        )

    def backward(self, grad_logits, maps, weight, output_weight, structure, needs_input):
        return self.core.backward(
            grad_logits, maps, weight, output_weight, self.other(structure), needs_input
        )

    def other(self, structure: Structure) -> Structure:
        return structure


def test_the_real_core_passes(core, check):
    assert check(core) is None


@pytest.mark.parametrize("context", [torch.inference_mode, torch.no_grad], ids=["inference", "no"])
def test_the_callers_mode_makes_no_difference(core, check, context):
    solve.cache_clear()
    with context():
        assert check(core) is None


# --- one number of one result is wrong ---------------------------------------------------------


class OneNumberOff(Altered):
    """One element of one result, of one problem, is off by `by`."""

    def __init__(self, core: Core, result: str, by: float, problem: int, last: bool) -> None:
        super().__init__(core)
        self.result, self.by, self.wanted, self.last = result, by, PROBLEMS[problem], last

    def spoil(self, result: str, tensor: Tensor, structure: Structure) -> None:
        if result == self.result and structure.dilations == self.wanted.dilations:
            tensor.flatten()[-1 if self.last else 0] += self.by

    def forward(self, *arguments):
        logits, maps = super().forward(*arguments)
        self.spoil("logits", logits, arguments[5])
        return logits, maps

    def backward(self, *arguments):
        gradients = super().backward(*arguments)
        for name, gradient in zip(RESULTS[1:], gradients, strict=True):
            self.spoil(name, gradient, arguments[4])
        return gradients


@pytest.mark.parametrize("last", [False, True], ids=["first", "last"])
@pytest.mark.parametrize("problem", range(len(PROBLEMS)), ids=lambda i: str(PROBLEMS[i]))
@pytest.mark.parametrize("result", RESULTS)
def test_one_wrong_number_is_found(core, check, result, problem, last):
    error = check(OneNumberOff(core, result, 1.0, problem, last))
    assert error is not None
    assert str(PROBLEMS[problem]) in error
    assert ("gradient" in error) == (result != "logits")
    assert result == "logits" or result in error.replace("weights", "weight").replace(
        "biases", "bias"
    )
    assert error.endswith("is off by up to 1")


@pytest.mark.parametrize("by", [2.0**-9, float("nan"), float("inf")])
def test_a_small_error_and_no_number_at_all_are_found(core, check, by):
    assert f"is off by up to {by:g}" in check(OneNumberOff(core, "weight", by, 1, True))


class PredictsOtherwise(Altered):
    """Wrong only where no maps are kept."""

    def forward(self, *arguments):
        logits, maps = super().forward(*arguments)
        return logits + (0 if arguments[6] else 1), maps


def test_prediction_is_checked_apart_from_training(core, check):
    assert check(PredictsOtherwise(core)).startswith("the prediction for")


# --- another rule ------------------------------------------------------------------------------


class OtherBoundary(Altered):
    """One boundary rule in the place of another, in 2-D or 3-D, forward or backward."""

    def __init__(self, core: Core, rule: str, instead: str, ndim: int, where: str) -> None:
        super().__init__(core)
        self.rule, self.instead, self.ndim, self.where = rule, instead, ndim, where

    def of(self, structure: Structure, image: Tensor) -> Structure:
        if structure.boundary != self.rule or image.ndim - 2 != self.ndim:
            return structure
        return replace(structure, boundary=self.instead)

    def forward(self, image, weight, bias, output_weight, output_bias, structure, keep_maps):
        used = self.of(structure, image) if self.where == "forward" else structure
        return self.core.forward(image, weight, bias, output_weight, output_bias, used, keep_maps)

    def backward(self, grad_logits, maps, weight, output_weight, structure, needs_input):
        used = self.of(structure, grad_logits) if self.where == "backward" else structure
        return self.core.backward(grad_logits, maps, weight, output_weight, used, needs_input)


@pytest.mark.parametrize("where", ["forward", "backward"])
@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize(
    ("rule", "instead"),
    [
        ("reflect", "symmetric"),
        ("reflect", "zeros"),
        ("symmetric", "reflect"),
        ("symmetric", "zeros"),
        ("zeros", "reflect"),
        ("zeros", "symmetric"),
    ],
)
def test_a_wrong_boundary_rule_is_found(core, check, rule, instead, ndim, where):
    error = check(OtherBoundary(core, rule, instead, ndim, where))
    assert error is not None
    assert f"boundary {rule}" in error
    assert ("gradient" in error) == (where == "backward")


class OtherDilation(Altered):
    """The last channel's dilation is one more, in the plane or along Z."""

    def __init__(self, core: Core, along_z: bool) -> None:
        super().__init__(core)
        self.along_z = along_z

    def other(self, structure: Structure) -> Structure:
        if not self.along_z:
            *others, last = structure.dilations
            return replace(structure, dilations=(*others, last + 1))
        if structure.dilations_z is None:
            return structure
        *others, last = structure.dilations_z
        return replace(structure, dilations_z=(*others, last + 1))


@pytest.mark.parametrize("along_z", [False, True], ids=["plane", "z"])
def test_a_wrong_dilation_is_found(core, check, along_z):
    error = check(OtherDilation(core, along_z))
    assert error is not None
    assert along_z == ("4 x 9 x 17" in error)


class Ignores(Altered):
    """A core that does without one of its inputs."""

    def __init__(self, core: Core, number: int) -> None:
        super().__init__(core)
        self.number = number

    def forward(self, *arguments):
        tensors = list(arguments)
        tensors[self.number] = torch.zeros_like(tensors[self.number])
        return super().forward(*tensors)


@pytest.mark.parametrize("number", [2, 4], ids=["bias", "output bias"])
def test_a_forgotten_bias_is_found(core, check, number):
    assert check(Ignores(core, number)) is not None


class WrongInOneLaunch(Altered):
    def __init__(self, core: Core, gave_up: bool) -> None:
        super().__init__(core)
        self.gave_up = gave_up

    def forward(self, *arguments):
        logits, maps = super().forward(*arguments)
        wrong = arguments[5].schedule == "cooperative" and not self.gave_up
        return logits + wrong, maps

    def check_waits(self, like):
        if self.gave_up:
            raise MSDError("blocks gave up waiting")


@pytest.mark.parametrize(
    ("gave_up", "text"), [(False, "the prediction for"), (True, "blocks gave up waiting")]
)
def test_each_schedule_is_checked(core, monkeypatch, gave_up, text):
    wrong = WrongInOneLaunch(core, gave_up)
    monkeypatch.setattr(operator, "compiled_core", lambda *_: wrong)
    assert first_error("cpu", CPU) is None
    assert text in first_error("cpu", CPU, None, "cooperative")


# --- failures ----------------------------------------------------------------------------------


class Fails(Altered):
    def __init__(self, core: Core, error: Exception, where: str) -> None:
        super().__init__(core)
        self.error, self.where = error, where

    def forward(self, *arguments):
        if self.where == "forward":
            raise self.error
        return super().forward(*arguments)

    def backward(self, *arguments):
        raise self.error


@pytest.mark.parametrize("where", ["forward", "backward"])
@pytest.mark.parametrize(
    "error",
    [
        MSDError("The GPU reported a failure (cudaErrorLaunchFailure)."),
        RuntimeError("CUDA error: an illegal memory access was encountered"),
        OSError("access violation reading 0x0"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_core_that_fails_is_told_with_the_errors_own_words(core, check, error, where):
    found = check(Fails(core, error, where))
    assert found.startswith(f"it fails on {PROBLEMS[0]}")
    assert str(error) in found


@pytest.mark.parametrize("kind", [UnsupportedError, OutOfMemoryError, torch.cuda.OutOfMemoryError])
def test_what_says_nothing_of_the_core_is_left_out(core, check, kind):
    assert check(Fails(core, kind("no"), "forward")) == NOTHING_COMPARED


def test_some_problems_are_enough(core, check):
    class TooLargeOnce(Altered):
        calls = 0

        def forward(self, *arguments):
            self.calls += 1
            if self.calls == 1:
                raise OutOfMemoryError("no")
            return super().forward(*arguments)

    assert check(TooLargeOnce(core)) is None


def test_a_reference_that_fails_is_no_fault_of_the_core(core, check, monkeypatch):
    def fail(_problem):
        raise RuntimeError("no memory for the reference")

    monkeypatch.setattr(self_check, "solve", fail)
    assert check(core) == NOTHING_COMPARED


def test_torchs_default_type_makes_no_difference(core, check):
    solve.cache_clear()
    torch.set_default_dtype(torch.float16)
    try:
        assert check(core) is None
    finally:
        torch.set_default_dtype(torch.float32)
        solve.cache_clear()


# --- the problems themselves -------------------------------------------------------------------


@pytest.mark.parametrize("problem", [*PROBLEMS, WIDE, MANY], ids=str)
def test_no_sum_of_a_problem_rounds(problem):
    """The same network with all numbers positive bounds every partial sum, in any order."""
    solved = solve(problem)
    exact = [tensor.abs().double().requires_grad_() for tensor in solved.tensors]
    *maps, logits = _maps_and_logits(problem, exact)
    gradients = torch.autograd.grad(logits, [*maps, *exact], solved.gradient.abs().double())
    of_maps, of_tensors = gradients[: len(maps)], gradients[len(maps) :]
    kept = [values.detach() for values in maps]
    assert max(float(value.max()) for value in (*kept, *of_maps)) <= EXACT_IN_16_BITS
    assert max(float(value.max()) for value in (logits.detach(), *of_tensors)) < 2**24


def _maps_and_logits(problem, exact):
    """Every map of the network with these positive numbers, and its logits."""
    image, weight, bias, output_weight, output_bias = exact
    kept = [image]
    relu = torch.relu

    def keep(values):
        kept.append(relu(values))
        return kept[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "relu", keep)
        logits = self_check._reference(problem, [image, weight, bias, output_weight, output_bias])
    return [*kept, logits]


@pytest.mark.parametrize("problem", [*PROBLEMS, WIDE, MANY], ids=str)
def test_a_problem_is_not_of_zeros(problem):
    solved = solve(problem)
    for values in (solved.logits, *solved.gradients):
        assert float((values != 0).float().mean()) > 0.5


def test_problems_cover_what_networks_can_be():
    assert {(p.boundary, len(p.sizes)) for p in PROBLEMS} == {
        (boundary, ndim) for boundary in ("reflect", "symmetric", "zeros") for ndim in (2, 3)
    }
    assert {p.width for p in PROBLEMS} == {1, 2, 3}
    assert any(p.batch > 1 for p in PROBLEMS)
    assert any(p.dilations_z for p in PROBLEMS)
    assert {p.boundary for p in PROBLEMS if max(p.dilations) > min(p.sizes[-2:])} == {
        "reflect", "symmetric", "zeros",
    }  # fmt: skip
    assert sum(len(p.dilations) > 8 for p in PROBLEMS) >= 2  # of more than one block of a core
    assert any(size % 2 for p in PROBLEMS for size in p.sizes[-2:])


def test_solving_leaves_the_random_state_alone():
    solve.cache_clear()
    torch.manual_seed(3)
    before = copy.copy(torch.get_rng_state())
    solve(PROBLEMS[0])
    assert torch.equal(torch.get_rng_state(), before)
