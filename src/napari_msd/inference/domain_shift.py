"""Whether an image looks like those a model was trained on, as far as grey values tell."""

from __future__ import annotations

import math

import numpy as np

from napari_msd.core.box import Box
from napari_msd.core.errors import ImageError, ImageWarning
from napari_msd.core.source import Source
from napari_msd.core.space import NetworkInput, Slab
from napari_msd.inference.normalisation import Normalisation, channels_first
from napari_msd.inference.slab_pixels import Plane

KNOWN_TO_PREDICT = "those the model was trained on; what it predicts may be wrong"
KNOWN_TO_LEARN = "those the model was trained on; what it learns here may be wrong"
FIRST_TO_LEARN = "the first one, by which all are normalised; what it learns here may be wrong"
"""What an image is compared with, and what may come of it."""

FARTHEST = 2.0
"""Means may differ by so many standard deviations of the model's images."""

WIDEST = 3.0
"""Spreads may differ by this factor, either way."""


def difference(model: Normalisation, image: Normalisation) -> str:
    """In which respect an image differs from those a model knows; empty if it does not.

    Parameters
    ----------
    model
        What the model does to every image: mean and spread of those it was trained on.
    image
        The same, measured on the new image.

    Returns
    -------
    str
        Words that complete "This image is ...", naming the channel where there are several.
    """
    found = []
    for number, (m, s, mean, std) in enumerate(
        zip(model.mean, model.std, image.mean, image.std, strict=True), start=1
    ):
        where = f" in channel {number}" if len(model.mean) > 1 else ""
        if abs(mean - m) > FARTHEST * s:
            found.append(f"much {'brighter' if mean > m else 'darker'}{where}")
        elif not 1 / WIDEST <= std / s <= WIDEST:
            found.append(f"much {'richer' if std > s else 'poorer'} in contrast{where}")
    return ", ".join(found)


def not_numbers(plane: Plane) -> str:
    """How many pixels of a plane are NaN or infinite, in words; empty if none is.

    Parameters
    ----------
    plane
        Any shape; only floating point can hold such values.

    Returns
    -------
    str
        Like "1.5% of the pixels" or "less than 0.1% of the pixels".
    """
    if plane.dtype.kind != "f":
        return ""
    share = 1 - float(np.isfinite(plane).mean())
    if share == 0:
        return ""
    amount = "less than 0.1%" if share < 0.001 else f"{share:.1%}"
    return f"{amount} of the pixels"


def warnings_of(
    image: Source, model: Normalisation | None, than: str, number: int | None = None
) -> list[ImageWarning]:
    """What a person should know of an image before the network's answer is believed.

    Parameters
    ----------
    image
        Of as many channels as the model knows. Of a large one only a part is read.
    model
        What the network does to every image, of one slice; `None` where that is decided by this
        one.
    than
        What it is compared with, in words: one of the three above.
    number
        Which image of several it is, from 0 on.
    """
    found = []
    parts = sample_of(image)
    if amount := not_numbers(parts):
        remark = f"has NaN or infinite values ({amount}); they are treated as average grey"
        found.append(ImageWarning(remark, number))
    if model is not None and (how := difference(model, measured(parts) or model)):
        found.append(ImageWarning(f"is {how} than {than}", number, unlike=True))
    return found


def of_one_slice(known: Normalisation | None, given: NetworkInput) -> Normalisation | None:
    """What is done to the channels of a slice where the network sees its neighbours, too."""
    if known is None or not given.context:
        return known
    middle = slice(given.context * given.channels, (given.context + 1) * given.channels)
    return Normalisation(known.mean[middle], known.std[middle], known.compressed)


def sample_of(image: Source) -> Plane:
    """Pixels, (C, n), that tell the grey values of an image: all of a small one."""
    space = image.space
    whole = space.whole(0)
    if whole.size <= _ALL:
        boxes = [whole]
    else:
        leading = space.shape[:-2]
        n = math.prod(leading)
        some = range(0, n, math.ceil(n / _PLANES))
        indices = [tuple(map(int, np.unravel_index(k, leading))) if leading else () for k in some]
        planes = [Slab(0, index).box((0, 0), space.shape[-2:]) for index in indices]
        boxes = [box for plane in planes for box in _spread(plane)]
    flat = [channels_first(image.read(box), box.ndim) for box in boxes]
    return np.concatenate([part.reshape(len(part), -1) for part in flat], axis=1)


def measured(parts: Plane) -> Normalisation | None:
    """Mean and spread of an image's pixels, (C, n); `None` where it has but one value."""
    try:
        return Normalisation.of(parts)
    except ImageError:
        return None


def _spread(plane: Box) -> list[Box]:
    """A few blocks spread evenly over a plane; all of it if it is small."""
    side = 3 * _BLOCK
    if max(plane.shape) <= side:
        return [plane]
    along = []
    for start, n in zip(plane.start[-2:], plane.shape[-2:], strict=True):
        size = min(_BLOCK, n)
        along.append([(at, at + size) for k in (1, 3, 5) for at in [start + k * (n - size) // 6]])
    return [
        plane.along(plane.ndim - 2, *rows).along(plane.ndim - 1, *columns)
        for rows in along[0]
        for columns in along[1]
    ]


_ALL = 2**23
"""Pixels of an image that are all looked at."""

_PLANES = 16
"""Planes of a stack that are enough to know it."""

_BLOCK = 256
"""Side of the blocks that are enough to know a large plane."""
