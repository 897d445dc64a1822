"""Class probabilities and labels of any rectangle of a plane, exact at its seams."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_msd.core.errors import OutOfMemoryError
from napari_msd.core.planes import Region, whole
from napari_msd.inference.ensemble import Ensemble
from napari_msd.inference.normalisation import AnyNormalisation, Normalisation, Plane
from napari_msd.inference.tiles import tiles_of
from napari_msd.inference.uncertainty import uncertainty_of
from napari_msd.network import MSDNet

SMALLEST_TILE = 32


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
    """

    def __init__(
        self,
        network: MSDNet,
        normalisation: AnyNormalisation,
        classes: Sequence[int],
        active: Sequence[int] | None = None,
        ensemble: Ensemble | None = None,
    ) -> None:
        self.network = network
        self._ensemble = ensemble
        self._normalisation = normalisation
        self.classes = np.asarray(classes, np.uint8)
        wanted = self.classes if active is None else np.asarray(list(active), np.uint8)
        allowed = np.isin(self.classes, wanted)
        self.active = self.classes[allowed]
        """Values that may be predicted, in the order of the network's outputs."""
        self._silenced = torch.from_numpy(~allowed)

    def probabilities(self, plane: Plane, region: Region) -> npt.NDArray[np.float32]:
        """Softmax over the classes in `region`, float32 (k, rows, columns).

        Parameters
        ----------
        plane
            The whole plane as it is in the image, (C, Y, X); only what is needed
            of it is normalised and moved to the network's device.
        region
            Rectangle to predict. The result equals that of predicting the whole
            plane at once: a halo of the receptive radius is read around it.

        Raises
        ------
        OutOfMemoryError
            If even a small tile does not fit the device's memory.
        """
        return torch.softmax(self._logits(plane, region), dim=0).cpu().numpy()

    def labels(self, plane: Plane, region: Region) -> npt.NDArray[np.uint8]:
        """The most probable class of each pixel of `region`, uint8 annotation values.

        Parameters and errors as in `probabilities`.
        """
        winner = self._logits(plane, region).argmax(dim=0).cpu().numpy()
        labels: npt.NDArray[np.uint8] = self.classes[winner]
        return labels

    def labels_and_uncertainty(
        self, plane: Plane, region: Region, temperature: float
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
        """The labels of `region`, and how unsure they are: uint8, 0 (sure) to 255 (a guess).

        `temperature` divides the logits (see `napari_msd.inference.calibration`). Other
        parameters and errors as in `probabilities`.
        """
        logits = self._logits(plane, region)
        labels: npt.NDArray[np.uint8] = self.classes[logits.argmax(dim=0).cpu().numpy()]
        return labels, uncertainty_of(logits, temperature).cpu().numpy()

    @torch.no_grad()
    def logits_at(
        self, plane: Plane, patch: Region, pixels: npt.NDArray[np.int32]
    ) -> npt.NDArray[np.float32]:
        """Logits at single pixels, (k, n), at the price of a patch around them.

        Parameters
        ----------
        plane
            The whole plane as it is in the image, (C, Y, X).
        patch
            The network sees this much of the plane, and its mirror image beyond.
        pixels
            (n, 2), (Y, X) in the plane, all of them in the patch.
        """
        cut = plane[(slice(None), *patch.slices)]
        normalisation = self._normalisation.for_plane(plane)
        logits = self._network_logits(cut, whole(patch.shape), normalisation)
        rows, columns = (pixels - np.array([patch.top, patch.left], np.int32)).T
        at = logits[:, rows.astype(np.int64), columns.astype(np.int64)]
        if self._ensemble is None:
            return at.cpu().numpy()
        network = torch.softmax(at, dim=0).cpu().numpy()
        answers = self._ensemble.trees.at(plane, pixels)
        return self._ensemble.logits(network, answers, self.classes.tolist(), self.active.tolist())

    def _logits(self, plane: Plane, region: Region) -> Tensor:
        """(k, rows, columns); on too little memory again in quarters."""
        try:
            return self._logits_at_once(plane, region)
        except (OutOfMemoryError, torch.cuda.OutOfMemoryError) as error:
            side = max(region.shape) // 2
            if side < SMALLEST_TILE:
                raise OutOfMemoryError(
                    "The device has too little memory for this network; "
                    "choose the CPU, or a preset of smaller depth."
                ) from error
        parts = tiles_of(region, side)
        first = self._logits(plane, parts[0])
        out = first.new_empty((first.shape[0], *region.shape))
        for part in parts:
            logits = first if part is parts[0] else self._logits(plane, part)
            out[(slice(None), *part.shift(-region.top, -region.left).slices)] = logits
        return out

    @torch.no_grad()
    def _logits_at_once(self, plane: Plane, region: Region) -> Tensor:
        logits = self._network_logits(plane, region, self._normalisation.for_plane(plane))
        if self._ensemble is None:
            return logits
        network = torch.softmax(logits, dim=0).cpu().numpy()
        answers = self._ensemble.trees.probabilities(plane, region)
        mixed = self._ensemble.logits(network, answers, self.classes.tolist(), self.active.tolist())
        return torch.from_numpy(mixed)

    @torch.no_grad()
    def _network_logits(self, plane: Plane, region: Region, normalisation: Normalisation) -> Tensor:
        shape = (plane.shape[1], plane.shape[2])
        read = region.grow(self.network.receptive_radius).intersect(whole(shape))
        device = next(self.network.parameters()).device
        pixels = normalisation.apply(plane[(slice(None), *read.slices)])
        image = torch.from_numpy(pixels).to(device)
        logits: Tensor = self.network(image[None])[0]
        inner = region.shift(-read.top, -read.left)
        logits = logits[(slice(None), *inner.slices)]
        if self._silenced.any():
            logits = logits.masked_fill(self._silenced.to(device)[:, None, None], float("-inf"))
        return logits
