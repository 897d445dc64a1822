"""Whether an image looks like those a model was trained on, as far as grey values tell."""

from __future__ import annotations

import math

import numpy as np

from napari_msd.core.axes import Stack
from napari_msd.core.errors import ImageError, ImageWarning
from napari_msd.inference.normalisation import MEASURED, Normalisation, channels_first
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
    stack: Stack, model: Normalisation | None, than: str, number: int | None = None
) -> list[ImageWarning]:
    """What a person should know of an image before the network's answer is believed.

    Parameters
    ----------
    stack
        The image, of as many channels as the model knows.
    model
        What the network does to every image; `None` where that is decided by this one.
    than
        What it is compared with, in words: one of the three above.
    number
        Which image of several it is, from 0 on.
    """
    found = []
    if amount := not_numbers(stack.data):
        remark = f"has NaN or infinite values ({amount}); they are treated as average grey"
        found.append(ImageWarning(remark, number))
    if model is not None and (how := difference(model, measured(stack) or model)):
        found.append(ImageWarning(f"is {how} than {than}", number, unlike=True))
    return found


def measured(stack: Stack) -> Normalisation | None:
    """Mean and spread of a whole image; `None` where it has but one value.

    Of a large image an even sample of its planes' pixels is looked at.
    """
    keys = list(stack.plane_keys())
    some = keys[:: math.ceil(len(keys) / _PLANES)]
    rows, columns = stack.plane_shape
    every = math.ceil(math.sqrt(max(1.0, rows * columns * len(some) / MEASURED)))
    parts = [channels_first(stack.plane(key))[:, ::every, ::every] for key in some]
    flat = [part.reshape(len(part), 1, -1) for part in parts]
    try:
        return Normalisation.of(np.concatenate(flat, axis=2))
    except ImageError:
        return None


_PLANES = 16
"""Planes of a stack that are enough to know it."""
