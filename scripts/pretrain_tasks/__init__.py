"""Pictures with truth to make starting weights from: synthetic ones, and crops of real images.

A synthetic picture is a layout of classes (`layouts`) with looks (`looks`), spoiled as a
microscope or a scanner would (`imaging`). Real ones come from `real`. Each gets strokes
(`strokes`) and the responses of usual filters (`responses`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pretrain_tasks.fields import SIDE, Classes, Image, Random, log_uniform
from pretrain_tasks.imaging import imaged
from pretrain_tasks.layouts import LAYOUTS, WIDE
from pretrain_tasks.looks import LOOKS
from pretrain_tasks.real import Family, crop, families
from pretrain_tasks.responses import responses
from pretrain_tasks.strokes import corrections, first_strokes

__all__ = ["LAYOUTS", "LOOKS", "SIDE", "Task", "corrections", "families", "synthetic", "task"]

FEWEST = 100
"""Pixels that a class of a synthetic picture needs to count."""


@dataclass(frozen=True)
class Task:
    """A question that can be asked again and again, each time of other patches.

    `image` is standardised, (SIDE, SIDE); `truth` its classes 1..k, 0 = not known; each of
    `strokes` paints some of them, 0 = unpainted; `responses` as of `responses.responses`.
    """

    image: Image
    truth: Classes
    strokes: tuple[Classes, ...]
    responses: npt.NDArray[np.float16]


def task(random: Random, known: list[Family], real: float = 0.35) -> Task:
    """A new task: synthetic, or with chance `real`, where there are images, a crop of one."""
    if known and random.random() < real:
        image, truth = crop(random, known)
    else:
        image, truth = synthetic(random)
    amounts = [log_uniform(random, 0.002, 0.06) for _ in range(3)]
    strokes = tuple(first_strokes(random, truth, amount) for amount in amounts)
    return Task(image, truth, strokes, responses(image))


def synthetic(
    random: Random, layout: str | None = None, look: str | None = None
) -> tuple[Image, Classes]:
    """A picture, and its classes 1..k, 2 to 6 of them.

    Parameters
    ----------
    random
        Source of chance.
    layout, look
        Keys of `LAYOUTS` and `LOOKS`; drawn as often as these say without.
    """
    drawn = look is None
    if layout is None:
        layout = str(random.choice(list(LAYOUTS), p=[share for _, _, share in LAYOUTS.values()]))
    while look is None or (drawn and look == "statistics" and layout not in WIDE):
        look = str(random.choice(list(LOOKS), p=[share for _, share in LOOKS.values()]))
    while True:
        laid = LAYOUTS[layout][0](random)
        sizes = np.bincount(laid.classes.ravel())
        if len(sizes) >= 2 and (sizes >= FEWEST).all():
            picture = LOOKS[look][0](random, laid)
            return imaged(random, picture), (laid.classes + 1).astype(np.uint8)
