"""Our ADAM beside torch's."""

from __future__ import annotations

import pytest
import torch

from napari_msd.training.adam import Adam

SIZES = [(5, 3), (7,), ()]


def numbers(seed: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(size, generator=generator) for size in SIZES]


def flat(tensors: list[torch.Tensor]) -> torch.Tensor:
    return torch.cat([tensor.flatten() for tensor in tensors])


def test_it_takes_the_same_steps_as_torchs():
    mine, theirs = numbers(0), numbers(0)
    adam, other = Adam(mine, 0.01), torch.optim.Adam(theirs, 0.01)
    for i in range(200):
        gradients = [scale * g for g, scale in zip(numbers(1 + i), (1, 1e-3, 1e3), strict=True)]
        adam.step(flat(gradients), torch.tensor(True))
        for parameter, gradient in zip(theirs, gradients, strict=True):
            parameter.grad = gradient
        other.step()
        # each step's own rounding adds up
        torch.testing.assert_close(flat(mine), flat(theirs), rtol=2e-7 * (i + 1), atol=1e-7)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("before", [0, 3])
def test_a_step_whose_gradients_are_not_finite_changes_nothing(bad, before):
    adam = Adam(numbers(0), 0.01)
    for i in range(before):
        adam.step(flat(numbers(1 + i)), torch.tensor(True))
    state = [tensor.clone() for tensor in adam.state]
    gradient = flat(numbers(9))
    gradient[4] = bad
    adam.step(gradient, torch.tensor(False))
    assert all(map(torch.equal, adam.state, state))


def test_a_parameter_that_became_larger_begins_anew_and_the_others_go_on():
    grown = numbers(0)
    grown[0] = torch.zeros(6, 3)
    earlier, adam = Adam(numbers(0), 0.01), Adam(grown, 0.01)
    earlier.step(flat(numbers(1)), torch.tensor(True))
    adam.carry(earlier)
    assert adam.steps.tolist() == [0, 1, 1]
    assert not adam.mean[:18].any()
    assert torch.equal(adam.mean[18:], earlier.mean[15:])
    assert torch.equal(adam.square[18:], earlier.square[15:])


def test_what_was_forgotten_changes_no_later_step():
    weights = torch.ones(3)
    fresh, other = Adam([weights.clone()], 0.01), Adam([weights.clone()], 0.01)
    other.step(torch.full((3,), 1e15), torch.tensor(True))
    assert float((other.parameters[0] - weights).abs().max()) < 0.011  # whatever the gradient
    other.forget()
    other.parameters[0].copy_(weights)
    for adam in (fresh, other):
        adam.step(torch.tensor([1.0, -2.0, 0.5]), torch.tensor(True))
    assert torch.equal(fresh.parameters[0], other.parameters[0])


def test_out_of_memory_in_the_middle_changes_nothing(monkeypatch):
    adam = Adam(numbers(0), 0.01)
    adam.step(flat(numbers(1)), torch.tensor(True))
    state = [tensor.clone() for tensor in adam.state]

    def expm1(*_: torch.Tensor) -> None:
        raise MemoryError

    monkeypatch.setattr(torch, "expm1", expm1)
    with pytest.raises(MemoryError):
        adam.step(flat(numbers(2)), torch.tensor(True))
    assert all(map(torch.equal, adam.state, state))
