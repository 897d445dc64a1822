"""What there is to learn from: pixels and annotation that may change between any two steps."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_msd.core.box import Box
from napari_msd.core.settings import Settings
from napari_msd.core.space import Slab
from napari_msd.document import Annotation, ValidationSplit
from napari_msd.document.annotation_checks import MORE_OF_EACH, TWO_CLASSES
from napari_msd.inference import AnyNormalisation, EachPlane, Normalisation, Plane, channels_first
from napari_msd.inference.normalisation import Pixels, require_channels
from napari_msd.training.patches import Batch, PatchSampler
from napari_msd.training.validation import Question


class TrainingData:
    """Pixels of slabs, what is painted on them, and its validation split.

    Parameters
    ----------
    settings
        Of the training: the seed, the size of patches, the share that is held out.
    n_channels
        Channels of every source.
    convolved
        How many of a source's last axes the network convolves over.
    """

    def __init__(self, settings: Settings, n_channels: int, convolved: int = 2) -> None:
        self.n_channels = n_channels
        self.normalisation: AnyNormalisation | None = (
            EachPlane() if settings.normalise == "plane" else None
        )
        """What is done to pixels first; None while the first slab, which decides, is not here."""
        self.annotation = Annotation(convolved)
        self.split = ValidationSplit(self.annotation, settings.held_out_fraction, settings.seed)
        self.slabs: dict[Slab, Plane] = {}
        """Pixels at hand, (C, Y, X)."""
        self.sampler = PatchSampler(
            self.slabs,
            self.annotation,
            self.split,
            settings.patch_size,
            np.random.default_rng(settings.seed),
        )

    # --- changes -------------------------------------------------------------------------

    def set_pixels(self, box: Box, pixels: npt.NDArray[np.generic]) -> None:
        """Take in the pixels of a slab.

        With ``normalise="first"`` the first slab sets the normalisation for the whole session.

        Parameters
        ----------
        box
            A slab: all of the convolved axes of a source, at one index of the others.
        pixels
            (Y, X) or (Y, X, C).

        Raises
        ------
        ValueError
            If `box` and `pixels` are of different shapes.
        ImageError
            If it is empty, constant or of another number of channels.
        """
        convolved = self.annotation.convolved
        plane = channels_first(pixels, convolved)
        if plane.shape[1:] != box.shape[-convolved:] or plane[0].size != box.size:
            raise ValueError(f"pixels of shape {pixels.shape} are no slab of {box}")
        require_channels(plane, self.n_channels)
        first = Normalisation.of(plane)  # refuses what is empty or constant
        if self.normalisation is None:
            self.normalisation = first
        self.slabs[Slab.of(box, convolved)] = plane

    def drop_pixels(self, slab: Slab) -> None:
        """Forget a slab's pixels; its annotation stays."""
        self.slabs.pop(slab, None)

    def forget(self) -> None:
        """Forget all pixels and all annotation."""
        self.slabs.clear()
        for box, values in list(self.annotation.chunks()):
            self.annotation.write(box, np.zeros_like(values))

    # --- what there is -------------------------------------------------------------------

    def missing(self) -> set[Slab]:
        """Painted slabs whose pixels are not here yet."""
        return self.annotation.slabs - set(self.slabs)

    @property
    def classes(self) -> list[int]:
        """Class values painted anywhere that can be trained on, ascending."""
        return self.split.classes

    def needs(self) -> str:
        """What the person should do before training can start; empty if nothing."""
        if len(self.classes) > 1:
            return ""
        return TWO_CLASSES if len(self.annotation.classes) < 2 else MORE_OF_EACH

    def draw(self, n: int) -> Batch:
        """`n` patches for learning all of `classes`."""
        assert self.normalisation is not None
        return self.sampler.draw(n, self.classes, self.normalisation)

    def everywhere(self, n: int) -> Pixels:
        """`n` normalised patches (C, rows, columns) spread evenly over the slabs, stacked."""
        assert self.normalisation is not None
        return self.sampler.everywhere(n, self.normalisation)

    @property
    def question(self) -> Question:
        """What is asked of a network to measure it: the held-out strokes."""
        return Question(self.slabs, self.annotation.classes, self.split, self.sampler.side)
