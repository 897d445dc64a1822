"""What is worth saying of a slab's pixels when they arrive."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from napari_msd.core.errors import ImageError
from napari_msd.core.space import Slab
from napari_msd.inference import Normalisation, Plane
from napari_msd.inference.domain_shift import difference, not_numbers
from napari_msd.trainer.events import Notice


class PixelChecks:
    """Looks at the slabs of one session; each remark is made once.

    Parameters
    ----------
    model
        What the model that was opened does to an image; `None` for a new network.
    """

    def __init__(self, model: Normalisation | None) -> None:
        self._model = model
        self._with_holes: set[Slab] = set()

    def remarks(self, slab: Slab, plane: Plane, sample: Plane | None) -> Iterator[Notice]:
        """Warnings for the person.

        Parameters
        ----------
        slab
            Which pixels came of.
        plane
            What came: all of the slab or a block of it, (C, [Z,] Y, X).
        sample
            Pixels that tell the slab's grey values, (C, ...), as soon as they are here: a block
            may hold nothing but background.
        """
        if slab not in self._with_holes and (amount := not_numbers(plane)):
            self._with_holes.add(slab)
            what = "plane" if plane.ndim == 3 else "volume"
            yield Notice(
                "warning",
                f"This {what} has NaN or infinite values ({amount}); "
                "they are treated as average grey.",
            )
        if self._model is None or sample is None:
            return
        model, self._model = self._model, None
        with suppress(ImageError):  # a plane of a single value tells nothing
            if how := difference(model, Normalisation.of(sample)):
                yield Notice(
                    "warning",
                    f"This image is {how} than those the model was trained on: what it "
                    "predicts may be wrong. Paint some strokes here, or Start over.",
                )
