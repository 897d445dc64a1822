"""Whether an image looks like those a model was trained on, as far as grey values tell."""

from __future__ import annotations

from napari_msd.inference.normalisation import Normalisation

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
