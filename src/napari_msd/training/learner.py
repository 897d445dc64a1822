"""A network in training, the running average of its weights, and what each learns from the other.

The average is what is shown and kept: single steps jump about. It is also the teacher: on
pixels that nobody painted the network is pulled towards the average's answers (Tarvainen and
Valpola, *Mean teachers are better role models*, NeurIPS 2017), so that fitting the strokes does not
undo what the maps already knew of the borders between them.
"""

from __future__ import annotations

import copy

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_msd.core.settings import Settings
from napari_msd.inference.normalisation import Pixels
from napari_msd.network import MSDNet
from napari_msd.training.networks import with_outputs
from napari_msd.training.patches import Batch
from napari_msd.training.prior_correction import OffsetRule, log_probabilities
from napari_msd.training.ridge_head import fit_readout
from napari_msd.training.stepper import Stepper, Way, way_of


class Learner:
    """Owns the weights that change.

    Parameters
    ----------
    network
        Trained from here on, on its device.
    settings
        Learning rate, label smoothing and consistency are obeyed.
    way
        How steps are done; the quickest that is right if not given.
    """

    def __init__(self, network: MSDNet, settings: Settings, way: Way | None = None) -> None:
        self.network = network
        self._settings = settings
        self._average = _unlearning(network)
        self._stepper = Stepper(network, self._average, settings, way or way_of(network))

    def learn(self, batch: Batch, active: list[int]) -> float:
        """One step of ADAM; arguments and result as of `Stepper.learn`."""
        return self._stepper.learn(batch, active)

    def spare_memory(self) -> None:
        """Give back memory that is kept for speed."""
        self._stepper.spare_memory()

    def tensors(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Images and labels of a batch on the network's device."""
        device = self.network.weight.device
        images = torch.from_numpy(np.ascontiguousarray(batch.images)).to(device)
        return images, torch.from_numpy(np.ascontiguousarray(batch.labels)).to(device)

    @torch.no_grad()
    def answer(self, offsets: npt.NDArray[np.float32]) -> MSDNet:
        """A copy of the average, with `offsets`, one per output, added to its logits."""
        answer = copy.deepcopy(self._average)
        answer.output_bias.add_(torch.from_numpy(offsets).to(answer.output_bias.device))
        return answer

    def fit_outputs(self, batch: Batch, active: list[int], new: list[int]) -> None:
        """Give the `new` ones among the `active` outputs what suits a batch's strokes best.

        Arguments as of `learn`.
        """
        weight, bias = fit_readout(self.network, *self.tensors(batch), n_classes=len(active))
        found = [active.index(output) for output in new]
        with torch.no_grad():
            for network in (self.network, self._average):
                network.output_weight[new] = weight[found]
                network.output_bias[new] = bias[found]

    def offsets(
        self, images: Pixels, active: list[int], damping: float, rule: OffsetRule
    ) -> npt.NDArray[np.float32]:
        """What `rule` (see `class_shares`) makes of the average's answers, 0 for other outputs.

        Parameters
        ----------
        images
            (n, C, rows, columns), normalised, from all over the planes.
        active
            Outputs that take part.
        damping
            0 (nothing is looked at: no offsets) to 1.
        """
        offsets = np.zeros(self.network.n_classes, np.float32)
        if damping > 0:
            offsets[active] = rule(log_probabilities(self._average, images, active), damping)
        return offsets

    @torch.no_grad()
    def shift_outputs(self, offsets: npt.NDArray[np.float32]) -> None:
        """Add `offsets`, one per output, to all logits from here on."""
        for network in (self.network, self._average):
            network.output_bias.add_(torch.from_numpy(offsets).to(network.output_bias.device))

    def grow(self, n_outputs: int) -> None:
        """Have `n_outputs` outputs, at least as many as now; the new ones are zero."""
        earlier = self._stepper
        earlier.settle()
        self.network = with_outputs(self.network, n_outputs)
        self._average = _unlearning(with_outputs(self._average, n_outputs))
        self._stepper = Stepper(self.network, self._average, self._settings, earlier.way, earlier)


def _unlearning(network: MSDNet) -> MSDNet:
    duplicate = copy.deepcopy(network)
    for parameter in duplicate.parameters():
        parameter.requires_grad_(False)
    return duplicate
