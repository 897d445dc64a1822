"""Class probabilities and labels of any box, exact at its seams."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_msd.core.box import Box
from napari_msd.core.errors import OutOfMemoryError
from napari_msd.inference.ensemble import Ensemble
from napari_msd.inference.normalisation import AnyNormalisation
from napari_msd.inference.out_of_memory import TileLimit, is_out_of_memory
from napari_msd.inference.slab_pixels import SlabPixels
from napari_msd.inference.tiles import tiles_of
from napari_msd.inference.uncertainty import uncertainty_of
from napari_msd.network import MSDNet

CONFIDENCE_EVERY = 31
"""Of so many pixels one tells how sure the network is of a tile; no divisor of usual sides."""


class Predictor:
    """A network with the meaning of its outputs, and trees beside it where there are some.

    Parameters
    ----------
    network
        Output k stands for class ``classes[k]``.
    normalisation
        What the network expects to be done to an image's pixels.
    classes
        Annotation values, 1..255.
    active
        The classes that may be predicted; the others' outputs are ignored
        (classes whose strokes were all erased). All of them if not given.
    ensemble
        Trees whose answers are mixed with the network's.
    tiles
        Remembers for all predictors that share it what does not fit the memory.
    """

    def __init__(
        self,
        network: MSDNet,
        normalisation: AnyNormalisation,
        classes: Sequence[int],
        active: Sequence[int] | None = None,
        ensemble: Ensemble | None = None,
        tiles: TileLimit | None = None,
    ) -> None:
        self.network = network
        self._ensemble = ensemble
        self._tiles = TileLimit() if tiles is None else tiles
        self._normalisation = normalisation
        self.classes = np.asarray(classes, np.uint8)
        wanted = self.classes if active is None else np.asarray(list(active), np.uint8)
        allowed = np.isin(self.classes, wanted)
        self.active = self.classes[allowed]
        """Values that may be predicted, in the order of the network's outputs."""
        self._silenced = torch.from_numpy(~allowed)

    def reads(self, slab: SlabPixels, box: Box) -> Box:
        """The part of a slab, along its axes, whose pixels are needed to predict `box`."""
        box = box.last(slab.ndim - 1)
        read = self._with_halo(slab, box)
        if self._ensemble is not None:
            read = read.hull(self._ensemble.trees.features.reads(slab.shape[1:], box))
        return read

    def probabilities(self, slab: SlabPixels, box: Box) -> npt.NDArray[np.float32]:
        """Softmax over the classes in `box`, float32 (k, [planes,] rows, columns).

        Parameters
        ----------
        slab
            Its pixels as they are in the image; those that `reads` names are here. Only what is
            needed is normalised and moved to the network's device.
        box
            What to predict, along the slab's axes; leading axes of length 1, which say where the
            slab lies in its source, are not looked at. The result equals that of predicting the
            whole slab at once: a halo of the receptive radius is read around it.

        Raises
        ------
        OutOfMemoryError
            If even a small tile does not fit the device's memory.
        """
        return torch.softmax(self._logits(slab, box), dim=0).cpu().numpy()

    def labels(self, slab: SlabPixels, box: Box) -> npt.NDArray[np.uint8]:
        """The most probable class of each pixel of `box`, uint8 annotation values.

        Parameters and errors as in `probabilities`.
        """
        winner = self._logits(slab, box).argmax(dim=0).cpu().numpy()
        labels: npt.NDArray[np.uint8] = self.classes[winner]
        return labels

    def labels_and_confidence(
        self, slab: SlabPixels, box: Box
    ) -> tuple[npt.NDArray[np.uint8], float]:
        """The labels of `box`, and the mean probability (0..1) of what was predicted.

        The mean is that of a few pixels, evenly chosen. Parameters and errors as in
        `probabilities`.
        """
        logits = self._logits(slab, box)
        labels: npt.NDArray[np.uint8] = self.classes[logits.argmax(dim=0).cpu().numpy()]
        some = logits.flatten(1)[:, ::CONFIDENCE_EVERY]
        return labels, float(torch.softmax(some, dim=0).amax(dim=0).mean())

    def labels_and_uncertainty(
        self, slab: SlabPixels, box: Box, temperature: float
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
        """The labels of `box`, and how unsure they are: uint8, 0 (sure) to 255 (a guess).

        `temperature` divides the logits (see `napari_msd.inference.calibration`). Other
        parameters and errors as in `probabilities`.
        """
        logits = self._logits(slab, box)
        labels: npt.NDArray[np.uint8] = self.classes[logits.argmax(dim=0).cpu().numpy()]
        return labels, uncertainty_of(logits, temperature).cpu().numpy()

    @torch.no_grad()
    def logits_at(
        self, slab: SlabPixels, patch: Box, pixels: npt.NDArray[np.int32]
    ) -> npt.NDArray[np.float32]:
        """Logits at single pixels, (k, n), at the price of a patch around them.

        Parameters
        ----------
        slab
            Its pixels; those of the patch are here, and what its trees read.
        patch
            The network sees this much of it, and its mirror image beyond; as `box` above.
        pixels
            (n, 2 or 3), positions in the slab, all of them in the patch.
        """
        patch = patch.last(slab.ndim - 1)
        logits = self._network_logits(slab, patch, patch)
        inside = (pixels - np.array(patch.start, np.int32)).T.astype(np.int64)
        at = logits[(slice(None), *inside)]
        if self._ensemble is None:
            return at.cpu().numpy()
        network = torch.softmax(at, dim=0).cpu().numpy()
        answers = self._ensemble.trees.at(slab, pixels)
        return self._ensemble.logits(network, answers, self.classes.tolist(), self.active.tolist())

    def spare_memory(self) -> None:
        """Give back what is only kept for speed, and keep less from now on."""
        if self._ensemble is not None:
            self._ensemble.trees.spare_memory()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _logits(self, slab: SlabPixels, box: Box) -> Tensor:
        """(k, [planes,] rows, columns); on too little memory again in smaller tiles."""
        box = box.last(slab.ndim - 1)
        side = max(box.shape)
        if self._tiles.side is None or side <= self._tiles.side:
            try:
                return self._logits_at_once(slab, box)
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                if not self._tiles.halve(side):
                    raise OutOfMemoryError(
                        "The device has too little memory for this network; "
                        "choose the CPU, or a preset of smaller depth."
                    ) from error
            self.spare_memory()
        assert self._tiles.side is not None
        parts = tiles_of(box, self._tiles.side)
        first = self._logits(slab, parts[0])
        out = first.new_empty((first.shape[0], *box.shape))
        for part in parts:
            logits = first if part is parts[0] else self._logits(slab, part)
            out[(slice(None), *part.within(box).slices)] = logits
        return out

    @torch.no_grad()
    def _logits_at_once(self, slab: SlabPixels, box: Box) -> Tensor:
        logits = self._network_logits(slab, box, self._with_halo(slab, box))
        if self._ensemble is None:
            return logits
        network = torch.softmax(logits, dim=0).cpu().numpy()
        answers = self._ensemble.trees.probabilities(slab, box)
        mixed = self._ensemble.logits(network, answers, self.classes.tolist(), self.active.tolist())
        return torch.from_numpy(mixed)

    @torch.no_grad()
    def _network_logits(self, slab: SlabPixels, box: Box, read: Box) -> Tensor:
        """Logits of `box` where the network sees no more than `read`, and its mirror image."""
        device = self.network.weight.device
        pixels = self._normalisation.for_slab(slab).apply(slab.read(read))
        image = torch.from_numpy(pixels).to(device)
        logits: Tensor = self.network(image[None])[0]
        logits = logits[(slice(None), *box.within(read).slices)]
        if self._silenced.any():
            silenced = self._silenced.to(device).reshape(-1, *(1,) * box.ndim)
            logits = logits.masked_fill(silenced, float("-inf"))
        return logits

    def _with_halo(self, slab: SlabPixels, box: Box) -> Box:
        """The box with all that its logits depend on, inside the slab."""
        return box.grow(self.network.receptive_radii).clip(slab.shape[1:])
