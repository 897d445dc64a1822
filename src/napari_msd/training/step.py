"""One step of learning, from a batch on the device to changed weights.

Nothing in it waits for the device, and all shapes follow from the batch's: so a CUDA graph can
hold it (`repeated_step`).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from napari_msd.core.settings import Settings
from napari_msd.network import MSDNet
from napari_msd.training.adam import Adam
from napari_msd.training.loss import cross_entropy, stroke_target, teacher_target
from napari_msd.training.loss_scale import LossScale
from napari_msd.training.patches import UNPAINTED

AVERAGING = 0.98
"""Share of the average that a step leaves as it is: a memory of about 50 steps."""


class Outcome(NamedTuple):
    """What a step found, on the device.

    Parameters
    ----------
    report
        (3,): the loss, the factor that losses are multiplied with from here on, and `finite`.
    gradient
        (n,): of all parameters, one after another, as they were before the step.
    finite
        Boolean scalar: if not, nothing was changed but the factor.
    """

    report: Tensor
    gradient: Tensor
    finite: Tensor


class Step:
    """Changes a network and its average.

    Parameters
    ----------
    network, average
        Of one shape, on one device. Only their parameters change, in place.
    adam
        Of the network's parameters.
    settings
        Label smoothing and consistency are obeyed.
    active
        Outputs that take part.
    scale
        Of the loss.
    sixteen_bits
        Whether maps are stored as float16, where the network's backend can: see `MSDNet.forward`.
    """

    def __init__(
        self,
        network: MSDNet,
        average: MSDNet,
        adam: Adam,
        settings: Settings,
        active: list[int],
        scale: LossScale,
        sixteen_bits: bool,
    ) -> None:
        self._network, self._average = network, average
        self._adam, self._scale = adam, scale
        self._settings = settings
        self._device = network.weight.device
        self._sixteen_bits = sixteen_bits
        everything = active == list(range(network.n_classes))
        # made once: in a graph no list can become a tensor
        self._active = None if everything else torch.tensor(active, device=self._device)

    def __call__(self, images: Tensor, labels: Tensor) -> Outcome:
        """Learn from one batch.

        Parameters
        ----------
        images
            (n, C, [planes,] rows, columns), float32.
        labels
            (n, ...), int64: places in the list of active outputs, or `UNPAINTED`.
        """
        self._network.train()
        loss = self._loss(images, labels)
        scaled = torch.autograd.grad(loss * self._scale.factor, self._adam.parameters)
        loss = loss.detach()
        gradient = torch.cat([part.flatten() for part in scaled]) / self._scale.factor
        finite = gradient.isfinite().all() & loss.isfinite()
        self._adam.step(gradient, finite)
        self._scale.update(finite)
        with torch.no_grad():
            share = (1 - AVERAGING) * finite
            pairs = zip(self._average.parameters(), self._network.parameters(), strict=True)
            for mean, now in pairs:
                mean.lerp_(now, share)
        return Outcome(
            torch.stack([loss, self._scale.factor, finite.to(loss.dtype)]), gradient, finite
        )

    @property
    def state(self) -> list[Tensor]:
        """All that a step changes."""
        return [*self._average.parameters(), *self._adam.state, *self._scale.state]

    def _loss(self, images: Tensor, labels: Tensor) -> Tensor:
        logits = self._logits(self._network, images)
        target = stroke_target(logits, labels, self._settings.label_smoothing)
        if self._settings.consistency > 0:
            with torch.no_grad():
                taught = self._logits(self._average, images)
            target += self._settings.consistency * teacher_target(taught, labels == UNPAINTED)
        else:  # a NaN where nothing counts would count, multiplied by 0
            logits = logits.masked_fill((labels == UNPAINTED).unsqueeze(1), 0)
        return cross_entropy(logits, target)

    def _logits(self, network: MSDNet, images: Tensor) -> Tensor:
        """The logits of the active outputs, without a copy where that is all of them."""
        with torch.autocast(
            self._device.type, torch.float16, enabled=self._sixteen_bits, cache_enabled=False
        ):
            logits: Tensor = network(images)
        return logits if self._active is None else logits.index_select(1, self._active)
