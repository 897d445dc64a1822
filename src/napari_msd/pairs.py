"""Images and annotations as somebody gives them to Python, checked before anything is learned."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeGuard

import numpy as np
import numpy.typing as npt

from napari_msd.core.axes import COLOUR_SAMPLES, AxisOrder
from napari_msd.core.box import Box
from napari_msd.core.errors import ImageError, ImageWarning, ModelFileError, StrokesError
from napari_msd.core.settings import MAX_CLASSES, Settings
from napari_msd.core.source import Source
from napari_msd.core.space import Mode, NetworkInput, Slab, Space
from napari_msd.document.annotation_checks import (
    TWO_CLASSES,
    checked_annotation,
    shape_sentence,
    values_sentence,
)
from napari_msd.images.model_file import require_savable
from napari_msd.images.sources import AxesSource, in_mode, is_lazy
from napari_msd.inference import Normalisation
from napari_msd.inference.domain_shift import FIRST_TO_LEARN, KNOWN_TO_LEARN, warnings_of
from napari_msd.training import Trainer

ImageLike = Any
"""What NumPy makes an array of, a dask or zarr array, or a `napari_msd.core.source.Source`."""

Reader = Callable[[Box], npt.NDArray[np.generic]]

_MODE_NAMES: dict[Mode, str] = {"2d": "2-D", "2.5d": "2.5-D", "3d": "3-D"}

_LOOKED_AT = 2**24
"""Pixels of an annotation that are in memory at once where it is not in memory anyway."""


@dataclass(frozen=True)
class Pair:
    """An image and its annotation, of the image's shape without channels."""

    image: Source
    annotation: Source

    @property
    def classes(self) -> set[int]:
        """Class values painted in it."""
        return {int(value) for _, part in self.painted for value in np.unique(part)} - {0}

    @cached_property
    def painted(self) -> list[tuple[Box, npt.NDArray[np.uint8]]]:
        """Boxes around all that is painted in the annotation, and what; looked for once.

        Raises
        ------
        StrokesError
            For values that are no classes.
        """
        shape = self.image.space.shape
        rows = max(1, _LOOKED_AT // shape[-1])
        return [
            _cut_out(box, part)
            for box in Box.whole(0, shape).tiles((1,) * (len(shape) - 2) + (rows, shape[-1]))
            if (part := self.annotation.read(box)).any()
        ]


def _cut_out(box: Box, values: npt.NDArray[np.generic]) -> tuple[Box, npt.NDArray[np.uint8]]:
    """The part of a box of one plane in which anything is painted."""
    if values.dtype.kind not in "bui":
        raise StrokesError(f"The annotation must hold whole numbers, not {values.dtype}.")
    low, high = values.min(), values.max()
    if low < 0 or high > MAX_CLASSES:
        raise StrokesError(values_sentence(low, high))
    plane = values.reshape(values.shape[-2:])
    rows, columns = np.flatnonzero(plane.any(axis=1)), np.flatnonzero(plane.any(axis=0))
    ends = [(int(hit[0]), int(hit[-1]) + 1) for hit in (rows, columns)]
    for axis, (first, last) in zip((box.ndim - 2, box.ndim - 1), ends, strict=True):
        box = box.along(axis, box.start[axis] + first, box.start[axis] + last)
    inside = plane[tuple(slice(*end) for end in ends)]
    return box, inside.astype(np.uint8).reshape(box.shape)


def source_of(image: object, axes: str | None) -> Source:
    """An image as somebody gives it: a `Source` as it is, else an array with these axes.

    Raises
    ------
    ImageError
        For something that is no image.
    """
    return image if _is_source(image) else AxesSource.of(image, axes)


def _is_source(image: object) -> TypeGuard[Source]:
    return isinstance(getattr(image, "space", None), Space) and callable(
        getattr(image, "read", None)
    )


def pairs_of(
    images: ImageLike | Sequence[ImageLike],
    annotations: ImageLike | Sequence[ImageLike],
    axes: str | None,
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
    sources = [source_of(image, axes) for image in image_list]
    return [
        Pair(source, _annotation_of(label, source))
        for label, source in zip(label_list, sources, strict=True)
    ]


def image_axes(image: Source) -> str:
    """Letters of an image's axes, in its own order if it has one."""
    order = getattr(image, "order", None)
    return order.axes if isinstance(order, AxisOrder) else image.space.axes


def label_order(image: Source) -> AxisOrder:
    """Axes of an image's labels: in the order of its own, if it has one."""
    order = getattr(image, "order", None)
    if isinstance(order, AxisOrder):
        return order.labels
    return AxisOrder(image.space.axes, image.space.shape)


def _annotation_of(label: Any, image: Source) -> Source:
    """An annotation in the order of its image's axes, without its channels."""
    order = label_order(image)
    if _is_source(label):
        if (label.space.shape, label.space.n_channels) != (image.space.shape, 1):
            raise StrokesError(shape_sentence(label.space.shape, image.space.shape))
        return label
    if not is_lazy(label):
        label = checked_annotation(label, order.shape)
    elif tuple(label.shape) != order.shape:
        raise StrokesError(shape_sentence(tuple(label.shape), order.shape))
    elif np.dtype(label.dtype).kind not in "bui":
        raise StrokesError(f"The annotation must hold whole numbers, not {label.dtype}.")
    return AxesSource(label, order, order.space())


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
    given = pairs[0].image.space.in_mode(settings.mode, settings.context).network_input
    require_savable(
        {
            "in_channels": given.values,
            "n_classes": len(painted | known),
            "depth": settings.depth,
            "width": settings.width,
            "ndim": given.convolved,
        }
    )


def hand_over(pairs: Sequence[Pair], trainer: Trainer) -> None:
    """Give a trainer these images and annotations, and no others; they are sources 0, 1, ...

    Only the slabs, or blocks of large ones, that strokes need are read.

    Raises
    ------
    ImageError
        For an image that is constant, has no number in it, has other channels than the network, or
        values too large to compute with.
    ModelFileError
        For an image that cannot be seen as the network sees it.
    """
    given = trainer.data.given
    trainer.forget()
    readers: list[Reader] = []
    for number, pair in enumerate(pairs):
        read, space = seen(pair.image, given)
        readers.append(read)
        trainer.add_source(number, space)
        for box, values in pair.painted:
            trainer.paint(Box(number, box.start, box.stop), values)
    for box in trainer.missing():
        pixels = readers[box.source](box)
        inside = pixels.reshape(*box.shape[-given.convolved :], *pixels.shape[box.ndim :])
        trainer.set_pixels(box, inside)
        _require_finite(trainer, Slab.of(box, given.convolved))


def seen(image: Source, given: NetworkInput) -> tuple[Reader, Space]:
    """Reader and axes of an image as a network sees it.

    Raises
    ------
    ModelFileError
        If the image has no slices and the network sees several.
    """
    read, space = in_mode(image.read, image.space, given.mode, given.context)
    if space.mode != given.mode:
        raise ModelFileError(
            f"This network sees several slices at once ({_MODE_NAMES[given.mode]}), and this image "
            "has none; give a stack (axes with Z, Y and X), or train in 2-D."
        )
    return read, space


def _require_finite(trainer: Trainer, slab: Slab) -> None:
    if trainer.normalisation is None or trainer.slabs[slab].missing():
        return  # more of its blocks will come
    found = trainer.normalisation.for_slab(trainer.slabs[slab])
    if not np.isfinite([found.mean, found.std]).all():
        raise ImageError("The image's values are too large to compute with; divide them first.")


def training_warnings(
    pairs: Sequence[Pair],
    normalisation: Normalisation | None,
    fresh: bool,
    channels: Sequence[str] = (),
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
    channels
        Names of the network's channels, in its order; those of the first image if not given.
    """
    than = FIRST_TO_LEARN if fresh else KNOWN_TO_LEARN
    channels = channels or pairs[0].image.space.channel_names or ()
    for number, pair in enumerate(pairs):
        yield from order_warnings(pair.image, channels, number)
        known = None if fresh and number == 0 else normalisation
        yield from warnings_of(pair.image, known, than, number)


def order_warnings(
    image: Source, channels: Sequence[str], number: int | None = None
) -> Iterator[ImageWarning]:
    """Warn of an image that has a network's channels in another order.

    They are not put in order: names in files may be wrong, and somebody may have chosen so.

    Parameters
    ----------
    image
        The image.
    channels
        Names of the network's channels, in its order.
    number
        Which image of several it is, from 0 on.
    """
    here = image.space.channel_names or ()
    if here != tuple(channels) and sorted(here) == sorted(channels):
        yield ImageWarning(
            f"has its channels in another order ({', '.join(here)}) than the network "
            f"({', '.join(channels)}); they were taken as they are",
            number,
        )


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
