"""What there is to learn from: pixels and annotation that may change between any two steps."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import numpy as np
import numpy.typing as npt

from napari_msd.core.box import Box, SourceId
from napari_msd.core.errors import ImageError
from napari_msd.core.settings import Settings
from napari_msd.core.space import NetworkInput, Slab, Space
from napari_msd.document import Annotation, ValidationSplit
from napari_msd.document.annotation_checks import MORE_OF_EACH, TWO_CLASSES
from napari_msd.inference import (
    AnyNormalisation,
    EachPlane,
    Normalisation,
    SlabPixels,
    channels_first,
)
from napari_msd.inference.normalisation import Pixels, require_channels
from napari_msd.training.patches import Batch, PatchSampler
from napari_msd.training.reach import Reach
from napari_msd.training.validation import Question

SHARE_PATCHES = 12
"""Patches spread over the slabs that tell how common each class is."""


class TrainingData:
    """Pixels of slabs, what is painted on them, and its validation split.

    Parameters
    ----------
    settings
        Of the training: the seed, the size of patches, the share that is held out.
    given
        What the network is given of every source.
    """

    def __init__(self, settings: Settings, given: NetworkInput) -> None:
        self.given = given
        self.normalisation: AnyNormalisation | None = (
            EachPlane() if settings.normalise == "plane" else None
        )
        """What is done to pixels first; None while the first slab, which decides, is not here."""
        self.reach = Reach(settings.patch_size, given.anisotropy)
        """How much is read because of what is painted."""
        self.annotation = Annotation(given.convolved)
        self.split = ValidationSplit(self.annotation, settings.held_out_fraction, settings.seed)
        self.slabs: dict[Slab, SlabPixels] = {}
        """Pixels at hand."""
        self._shapes: dict[SourceId, tuple[int, ...]] = {}
        self._left_out: set[Box] = set()
        """Blocks that cannot be read."""
        self._complete: tuple[int, object] | None = None
        """Of which state of annotation and reach it is known that no pixels are missing."""
        self.sampler = PatchSampler(
            self.slabs,
            self.annotation,
            self.split,
            self.reach,
            np.random.default_rng(settings.seed),
        )

    # --- changes -------------------------------------------------------------------------

    def add_source(self, source: SourceId, space: Space) -> None:
        """A source has these axes; the pixels of its slabs may come in blocks."""
        self._shapes[source] = space.spatial

    def set_pixels(self, box: Box, pixels: npt.NDArray[np.generic]) -> None:
        """Take in the pixels of a slab, or of a block of it that `missing` named.

        With ``normalise="first"`` the first slab sets the normalisation for the whole session.

        Parameters
        ----------
        box
            A slab: all of the convolved axes of a source, at one index of the others; or a block.
        pixels
            Of the shape of `box`, without axes before the convolved ones, and with the channels
            behind if there are several.

        Raises
        ------
        ValueError
            If `box` and `pixels` are of different shapes, or `box` is no block.
        ImageError
            If a whole slab is empty or constant, or there is another number of channels.
        """
        convolved = self.given.convolved
        plane = channels_first(pixels, convolved)
        if plane.shape[1:] != box.shape[-convolved:] or plane[0].size != box.size:
            raise ValueError(f"pixels of shape {pixels.shape} are no slab of {box}")
        self._require_channels(len(plane))
        slab = Slab.of(box, convolved)
        shape = self._shapes.setdefault(box.source, plane.shape[1:])
        if plane.shape[1:] == shape:
            first = Normalisation.of(plane)  # refuses what is empty or constant
            if self.normalisation is None:
                self.normalisation = first
            self.slabs[slab] = SlabPixels.whole(plane)
            return
        found = self.slab(slab)
        found.put(box, plane)
        self.slabs[slab] = found
        if self.normalisation is None and not found.missing():
            self._measure(slab)

    def _measure(self, slab: Slab) -> None:
        """Let a large slab set the normalisation for the whole session."""
        try:
            self.normalisation = Normalisation.of(self.slabs[slab].sample())
        except ImageError:
            del self.slabs[slab]  # it cannot be used, and so is missing
            raise

    def _require_channels(self, values: int) -> None:
        slices = 2 * self.given.context + 1
        require_channels(values // slices, self.given.channels)
        if values != self.given.values:  # a reader that does not give whole slices
            raise ValueError(f"{values} values per pixel are not {self.given.values}")

    def leave_out(self, box: Box) -> None:
        """A block of a large slab cannot be read: do without it where strokes do not need it."""
        slab = Slab.of(box, self.given.convolved)
        pixels = self.slab(slab)
        if not pixels.in_one_block:
            pixels.leave_out(box)
            self.slabs[slab] = pixels
            self._left_out.add(box)

    def keep_only(self, boxes: Iterable[Box]) -> None:
        """Forget the pixels that neither strokes nor these boxes need; the annotation stays."""
        kept: dict[Slab, list[Box]] = {slab: [] for slab in self.annotation.slabs}
        for box in boxes:
            for slab in Slab.all_of(box, self.given.convolved):
                kept.setdefault(slab, []).append(box)
        needed = self._needed()
        for slab in set(self.slabs) - set(kept):
            del self.slabs[slab]
        for slab, pixels in self.slabs.items():
            if not pixels.in_one_block:
                pixels.keep([*kept[slab], *needed.get(slab, ())])

    def forget(self) -> None:
        """Forget all pixels and all annotation."""
        self.slabs.clear()
        self._shapes.clear()
        self._left_out.clear()
        self._complete = None
        for box, values in list(self.annotation.chunks()):
            self.annotation.write(box, np.zeros_like(values))

    # --- what there is -------------------------------------------------------------------

    def slab(self, slab: Slab) -> SlabPixels:
        """The pixels of a slab, as far as they are here; its source has been added.

        Raises
        ------
        KeyError
            If it is not.
        """
        found = self.slabs.get(slab)
        if found is None:
            shape = self._shapes[slab.source]
            # not a method of this object: it would hold itself, and stay until all are collected
            around = partial(self.reach.around, shape)
            found = SlabPixels(self.given.values, shape, around=around)
        return found

    def missing(self) -> list[Box]:
        """What has to be given to `set_pixels` before learning: blocks that strokes need."""
        state = self.annotation.revision, self.reach.reads
        if self._complete == state and self.annotation.slabs <= self.slabs.keys():
            return []
        found = [
            slab.box(block.start, block.stop)
            for slab, regions in self._needed().items()
            for block in self._missing_of(slab, regions)
        ]
        if not found:
            self._complete = state
        return found

    def _missing_of(self, slab: Slab, regions: Iterable[Box]) -> list[Box]:
        pixels = self.slab(slab)
        blocks = dict.fromkeys(pixels.missing())
        for region in regions:
            blocks.update(dict.fromkeys(pixels.missing(region)))
        return list(blocks)

    def _needed(self) -> dict[Slab, list[Box]]:
        """What strokes need of each painted slab, along its axes."""
        needed: dict[Slab, list[Box]] = {}
        for slab in sorted(self.annotation.slabs):
            pixels = self.slab(slab)
            if pixels.in_one_block:
                needed[slab] = [Box.whole(slab.source, pixels.shape[1:])]
            else:
                boxes = self.annotation.chunk_boxes(slab)
                needed[slab] = [pixels.around(box.clip(pixels.shape[1:])) for box in boxes]
        painted = {slab: self.slab(slab) for slab in needed}
        if any(not pixels.in_one_block for pixels in painted.values()):
            shapes = {slab: pixels.shape[1:] for slab, pixels in painted.items()}
            for slab, place in self.sampler.places(SHARE_PATCHES, shapes):
                patch = painted[slab].near_sample(place)
                if all(patch.intersect(block).empty for block in self._left_out):
                    needed[slab].append(patch)
        return needed

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

    def everywhere(self) -> Pixels:
        """`SHARE_PATCHES` normalised patches (C, ...) spread evenly over the slabs, stacked."""
        assert self.normalisation is not None
        return self.sampler.everywhere(SHARE_PATCHES, self.normalisation)

    @property
    def question(self) -> Question:
        """What is asked of a network to measure it: the held-out strokes."""
        return Question(self.slabs, self.annotation.classes, self.split, self.reach)
