"""Does steps the quickest way that gives right numbers, and falls back where one does not.

| what goes wrong | what is done |
|---|---|
| the loss is not finite, or the loss scale has become smaller than 1 | maps in float32 again |
| a step cannot be recorded, or its repetition differs | each step is launched plainly |
| blocks of a cooperative launch gave up waiting | staged launches from then on |
| a compiled core fails | it is set aside, and the step is done once more |
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_msd.core.settings import Settings
from napari_msd.native.aside import number_set_aside
from napari_msd.native.backend import choose_backend, set_aside_for
from napari_msd.native.core import CoreFailedError
from napari_msd.native.schedules import times_given_up
from napari_msd.network import MSDNet
from napari_msd.network.trial import try_core
from napari_msd.training.adam import Adam
from napari_msd.training.cuda_graph import CudaGraph
from napari_msd.training.loss_scale import LossScale
from napari_msd.training.patches import Batch
from napari_msd.training.repeated_step import Recorder, RepeatedStep
from napari_msd.training.step import Step

log = logging.getLogger(__name__)

WAY_VARIABLE = "NAPARI_MSD_TRAINING_STEP"
"""Environment variable: ``float32``, ``float16``, ``float32-graph`` or ``float16-graph`` (what is
done without it), for GPUs with the compiled core."""

LEFT_OUT = 20
"""Steps in a row that were left out, after which the log says so."""

SMALLEST_FACTOR = 1.0
"""Below it the loss scale made gradients no larger, so float16 is of no use."""


@dataclass(frozen=True)
class Way:
    """How steps are done.

    Parameters
    ----------
    sixteen_bits
        Whether maps are stored as float16.
    recorder
        Makes what records a step; None to launch each step plainly.
    """

    sixteen_bits: bool = False
    recorder: Callable[[], Recorder] | None = None


def way_of(network: MSDNet) -> Way:
    """The way for a network where it is now: 16 bits and graphs on a GPU with the compiled core."""
    device = network.weight.device
    if device.type != "cuda":
        return Way()
    backend = choose_backend(network.backend, device, network.weight.dtype, network.ndim)
    if backend.name != "cuda":
        return Way()
    dtype, _, graph = os.environ.get(WAY_VARIABLE, "float16-graph").partition("-")
    sixteen_bits = dtype == "float16" and try_core(device, torch.float16)
    return Way(sixteen_bits, partial(CudaGraph, device) if graph else None)


class Stepper:
    """The steps of one network of fixed shape.

    Parameters
    ----------
    network, average
        Trained, and its running average.
    settings
        Learning rate, label smoothing and consistency are obeyed.
    way
        How steps are done.
    earlier
        Of the network before it had more outputs: what ADAM knew is kept.
    """

    def __init__(
        self,
        network: MSDNet,
        average: MSDNet,
        settings: Settings,
        way: Way,
        earlier: Stepper | None = None,
    ) -> None:
        self.way = way
        self._network, self._average = network, average
        self._device = network.weight.device
        self._settings = settings
        self.adam = Adam(list(network.parameters()), settings.learning_rate)
        self._scale = LossScale(self._device, way.sixteen_bits)
        if earlier is not None:
            self.adam.carry(earlier.adam)
            if earlier.way.sixteen_bits == way.sixteen_bits:
                self._scale = earlier._scale
        self._left_out = 0
        self._aside = number_set_aside()
        self._made_for: tuple[torch.Size, list[int]] | None = None
        self._step: RepeatedStep | None = None
        self._newest: _Reading | None = None
        self._given_up = times_given_up(self._device)

    def learn(self, batch: Batch, active: list[int]) -> float:
        """One step; returns its loss, on a GPU that of the step before.

        So this thread prepares the next batch while the GPU learns from this one.

        Parameters
        ----------
        batch
            Its labels are indices into `active`.
        active
            Outputs that take part.
        """
        before = self.settle()
        if self._aside != number_set_aside():
            self._go_on_with_what_there_is()
        images, labels = _tensor(batch.images), _tensor(batch.labels)
        try:
            outcome = self._step_for(images.shape, active)(images, labels)
        except CoreFailedError as error:  # in the backward pass: forward, networks help themselves
            self._do_without_core(error)
            outcome = self._step_for(images.shape, active)(images, labels)
        self._newest = _Reading(outcome.report)
        if before is None or not outcome.report.is_cuda:
            before = self._newest.numbers()
        return before[0]

    def settle(self) -> tuple[float, float, float] | None:
        """Wait for the step before, and go on another way if it went wrong.

        Returns
        -------
        tuple or None
            Its report, see `Outcome`; None if there was none.
        """
        if self._newest is None:
            return None
        report = self._newest.numbers()
        self._judge(*report)
        return report

    def spare_memory(self) -> None:
        """Give back what is kept to repeat a step."""
        self._step = self._made_for = None

    def _step_for(self, shape: torch.Size, active: list[int]) -> RepeatedStep:
        if self._step is None or self._made_for != (shape, active):
            self._made_for = shape, list(active)
            step = Step(
                self._network, self._average, self.adam, self._settings, active,
                self._scale, self.way.sixteen_bits,
            )  # fmt: skip
            recorder = self.way.recorder() if self.way.recorder is not None else None
            self._step = RepeatedStep(step, recorder, self._device)
        return self._step

    def _judge(self, loss: float, factor: float, finite: float) -> None:
        """See whether a step went well: go on another way if not."""
        given_up = times_given_up(self._device)  # the device is at rest, so this costs nothing
        if given_up != self._given_up:
            self._given_up = given_up
            # That step moved no weight by more than a few learning rates, whatever its gradient,
            # but ADAM would remember a large one for a thousand steps.
            self.adam.forget()
            self._go_on(self.way)  # by the staged schedule, captured anew
            return
        self._left_out = 0 if finite else self._left_out + 1
        if not self.way.sixteen_bits and self._left_out == LEFT_OUT:
            log.warning("The last %d training steps were left out: loss %g.", LEFT_OUT, loss)
        if not self.way.sixteen_bits or (math.isfinite(loss) and factor >= SMALLEST_FACTOR):
            return
        log.warning(
            "Training goes on with maps in float32: with float16 the loss was %g and the loss "
            "scale %g.", loss, factor,
        )  # fmt: skip
        self._go_on(replace(self.way, sixteen_bits=False))

    def _do_without_core(self, error: CoreFailedError) -> None:
        """Set the compiled core aside, so that the next pass runs in plain torch."""
        backend = self._network.backend_in_use
        if self._network.backend != "auto" or backend is None:
            raise error
        set_aside_for(backend, self._device, error)
        self._go_on_with_what_there_is()

    def _go_on_with_what_there_is(self) -> None:
        """After a core was set aside, here or elsewhere: a graph would still launch it."""
        self._aside = number_set_aside()
        now, before = way_of(self._network), self.way
        recorder = now.recorder if before.recorder is not None else None
        self._go_on(Way(now.sixteen_bits and before.sixteen_bits, recorder))

    def _go_on(self, way: Way) -> None:
        if way.sixteen_bits != self.way.sixteen_bits:
            self._scale = LossScale(self._device, way.sixteen_bits)
        self.way = way
        self.spare_memory()


class _Reading:
    """Numbers on their way from the device."""

    def __init__(self, tensor: Tensor) -> None:
        self._arrived: torch.cuda.Event | None = None
        self._tensor = tensor
        if tensor.is_cuda:
            self._tensor = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
            self._tensor.copy_(tensor, non_blocking=True)
            self._arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._arrived.record(torch.cuda.current_stream(tensor.device))

    def numbers(self) -> tuple[float, float, float]:
        """They, when they have arrived."""
        if self._arrived is not None:
            self._arrived.synchronize()
        loss, factor, finite = self._tensor.tolist()
        return loss, factor, finite


def _tensor(array: npt.NDArray[np.generic]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array))
