"""A step that is recorded once and then repeated, where the device can do that.

Launching a step's operations one by one keeps a CPU core busy for longer than a GPU needs to do
them. A CUDA graph holds them all, and is launched at once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import torch
from torch import Tensor

from napari_msd.inference.out_of_memory import is_out_of_memory
from napari_msd.training.step import Outcome, Step

log = logging.getLogger(__name__)

WARM_UP = 3
"""Steps before the recording: what is done once only, as loading code, must not be recorded."""

TOLERANCE = 1e-3
"""How far the first repetition may be from the same step done plainly, relative. A graph runs the
same kernels, so anything but rounding is an error."""

ATTEMPTS = 3
"""To record, where memory is too little."""


class Recorder(Protocol):
    """How a device records work; `cuda_graph.CudaGraph` is the one there is."""

    def aside(self) -> AbstractContextManager[None]:
        """Work inside is done as it will be recorded; work before and after waits its turn."""

    def record(self, work: Callable[[], Outcome]) -> Outcome:
        """Record `work` without doing it; `replay` fills the tensors that are returned."""

    def replay(self) -> None:
        """Do what was recorded, on the same memory."""


class RepeatedStep:
    """A step for batches of one shape.

    Its first repetition is compared with the same step done plainly. If they differ, or recording
    fails, all steps are done plainly.

    Parameters
    ----------
    step
        What is done.
    recorder
        Unused so far; None to do each step plainly.
    device
        Of the step.
    """

    def __init__(self, step: Step, recorder: Recorder | None, device: torch.device) -> None:
        self._step = step
        self._recorder = recorder
        self._device = device
        self._warm = self._attempts = 0
        self._inputs: list[Tensor] = []
        self._recorded: Outcome | None = None
        self.refused = ""
        """Why the step is not repeated although it should be, as a clause."""

    def __call__(self, images: Tensor, labels: Tensor) -> Outcome:
        """Do the step with a batch in the host's memory; arguments as of `Step`.

        The outcome's tensors may be filled anew by the next step.
        """
        if self._recorder is None:
            return self._step(self._sent(images), self._sent(labels))
        self._put((images, labels))
        if self._recorded is not None:
            self._recorder.replay()
            return self._recorded
        with self._recorder.aside():
            before = _copies(self._step.state)
            outcome = self._step(*self._inputs)
        self._warm += 1
        # a step that was left out, see `LossScale`, would tell nothing
        if self._warm > WARM_UP and bool(outcome.finite):
            return self._record(self._recorder, before, outcome)
        return outcome

    def _record(self, recorder: Recorder, before: list[Tensor], plain: Outcome) -> Outcome:
        """Record the step, and do it again from the state `before`, where `plain` was found."""
        after = _copies(self._step.state)
        try:
            _restore(self._step.state, before)
            recorded = recorder.record(lambda: self._step(*self._inputs))
            recorder.replay()
            if _agree(recorded, plain) and _changed_alike(before, self._step.state, after):
                self._recorded = recorded
                return recorded
            self.refused = "the recorded step gave other numbers than the same step done plainly"
        except Exception as error:
            self._attempts += 1
            if is_out_of_memory(error) and self._attempts < ATTEMPTS:
                self._warm = 0  # a graph has memory of its own: later there may be enough
                _restore(self._step.state, after)
                return plain
            self.refused = f"it could not be recorded ({error})"
        self._recorder = None
        _restore(self._step.state, after)
        log.warning("Each training step is launched piece by piece: %s.", self.refused)
        return plain

    def _put(self, batch: Sequence[Tensor]) -> None:
        if not self._inputs:
            self._inputs = [torch.empty_like(tensor, device=self._device) for tensor in batch]
        for tensor, found in zip(self._inputs, batch, strict=True):
            tensor.copy_(self._pinned(found), non_blocking=True)

    def _sent(self, tensor: Tensor) -> Tensor:
        return self._pinned(tensor).to(self._device, non_blocking=True)

    def _pinned(self, tensor: Tensor) -> Tensor:
        """Where the GPU can fetch it from while this thread goes on."""
        return tensor.pin_memory() if self._device.type == "cuda" else tensor


def _copies(tensors: Sequence[Tensor]) -> list[Tensor]:
    return [tensor.detach().clone() for tensor in tensors]


@torch.no_grad()
def _restore(tensors: Sequence[Tensor], copies: Sequence[Tensor]) -> None:
    for tensor, copy in zip(tensors, copies, strict=True):
        tensor.copy_(copy)


def _agree(got: Outcome, wanted: Outcome) -> bool:
    # one by one: beside the factor the loss would be lost in a norm
    report = torch.isclose(got.report, wanted.report, rtol=TOLERANCE, atol=1e-6).all()
    off = (got.gradient - wanted.gradient).norm()
    return bool(report & (off <= TOLERANCE * wanted.gradient.norm()))


@torch.no_grad()
def _changed_alike(
    before: Sequence[Tensor], got: Sequence[Tensor], wanted: Sequence[Tensor]
) -> bool:
    """Whether a step changed a state as another did: values would hide what changes little."""
    for start, mine, theirs in zip(before, got, wanted, strict=True):
        rounding = 4 * torch.finfo(start.dtype).eps * theirs.norm()
        if not (mine - theirs).norm() <= TOLERANCE * (theirs - start).norm() + rounding:
            return False
    return True
