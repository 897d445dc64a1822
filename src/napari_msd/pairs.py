"""Images and annotations as somebody gives them to Python, checked before anything is learned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_msd.core.axes import COLOUR_SAMPLES, Stack
from napari_msd.core.errors import ImageError, ImageWarning, StrokesError
from napari_msd.core.settings import Settings
from napari_msd.core.space import Slab
from napari_msd.document.annotation_checks import TWO_CLASSES, checked_annotation
from napari_msd.images.model_file import require_savable
from napari_msd.inference import Normalisation
from napari_msd.inference.domain_shift import FIRST_TO_LEARN, KNOWN_TO_LEARN, warnings_of
from napari_msd.training import Trainer

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Pair:
    """An image and its annotation, of the image's shape without channels."""

    image: Stack
    annotation: Array

    @property
    def classes(self) -> set[int]:
        """Class values painted in it."""
        return {int(value) for value in np.unique(self.annotation)} - {0}


def pairs_of(
    images: Array | Sequence[Array], annotations: Array | Sequence[Array], axes: str | None
) -> list[Pair]:
    """Pair images with annotations: one of each, or as many of one as of the other.

    Raises
    ------
    ImageError
        For an image that cannot be read.
    StrokesError
        For an annotation that does not fit its image, or another number of them.
    """
    image_list = list(images) if isinstance(images, list | tuple) else [images]
    label_list = list(annotations) if isinstance(annotations, list | tuple) else [annotations]
    if not image_list:
        raise StrokesError("There is no image to learn from; give at least one.")
    if len(image_list) != len(label_list):
        raise StrokesError(
            f"There are {len(image_list)} images but {len(label_list)} annotations; "
            "give one annotation for each image, in the same order."
        )
    stacks = [Stack.of(image, axes) for image in image_list]
    return [
        Pair(stack, checked_annotation(label, stack.label_shape))
        for label, stack in zip(label_list, stacks, strict=True)
    ]


def require_learnable(pairs: Sequence[Pair], settings: Settings, known: set[int]) -> None:
    """Refuse, before the training, what could not be learned or not be saved.

    Parameters
    ----------
    pairs
        What is to be learned from.
    settings
        The network's.
    known
        Classes that it knows already.

    Raises
    ------
    StrokesError
        For fewer than two classes.
    ModelFileError
        For a network too large for a model file.
    """
    painted = set[int]().union(*(pair.classes for pair in pairs))
    if len(painted) < 2 and not known:
        raise StrokesError(TWO_CLASSES)
    require_savable(
        {
            "in_channels": pairs[0].image.n_channels,
            "n_classes": len(painted | known),
            "depth": settings.depth,
            "width": settings.width,
            "ndim": 2,
        }
    )


def hand_over(pairs: Sequence[Pair], trainer: Trainer) -> None:
    """Give a trainer these images and annotations, and no others; they are sources 0, 1, ...

    Raises
    ------
    ImageError
        For an image that is constant, has no number in it, has other channels than the network, or
        values too large to compute with.
    """
    trainer.forget()
    for source, pair in enumerate(pairs):
        painted = Stack(pair.annotation, pair.image.label_axes)
        for box in pair.image.space.slabs(source):
            slab = Slab.of(box, trainer.annotation.convolved)
            labels = painted.plane(slab.index)
            if labels.any():
                trainer.set_pixels(box, pair.image.plane(slab.index))
                _require_finite(trainer, slab)
                trainer.paint(box, labels.astype(np.uint8).reshape(box.shape))


def _require_finite(trainer: Trainer, slab: Slab) -> None:
    assert trainer.normalisation is not None
    found = trainer.normalisation.for_slab(trainer.slabs[slab])
    if not np.isfinite([found.mean, found.std]).all():
        raise ImageError("The image's values are too large to compute with; divide them first.")


def training_warnings(
    pairs: Sequence[Pair], normalisation: Normalisation | None, fresh: bool
) -> Iterator[ImageWarning]:
    """What a person should know of the images before the network learns from them.

    Parameters
    ----------
    pairs
        The images.
    normalisation
        What the network does to each of them.
    fresh
        Whether the first of them has decided that.
    """
    than = FIRST_TO_LEARN if fresh else KNOWN_TO_LEARN
    for number, pair in enumerate(pairs):
        known = None if fresh and number == 0 else normalisation
        yield from warnings_of(pair.image, known, than, number)


def axes_like(image: Any, known: str | None, n_channels: int) -> str | None:
    """Axis letters of images seen before, if this image can have them.

    Parameters
    ----------
    image
        Whatever was given.
    known
        Letters of earlier images; `None` if there were none.
    n_channels
        Channels it must have.

    Returns
    -------
    str or None
        `known`, or `None` where the image is of another kind: other axes, other channels, colours
        where there were none.
    """
    shape: tuple[int, ...] = getattr(image, "shape", ())
    if known is None or len(known) != len(shape):
        return None
    channels = shape[known.index("C")] if "C" in known else 1
    coloured = shape[-1] in COLOUR_SAMPLES and not known.endswith("C")
    return known if channels == n_channels and not coloured else None
