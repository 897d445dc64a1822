"""Train and predict from Python: the same code as behind the window, in this process."""

from __future__ import annotations

import math
import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from numbers import Real
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from napari_msd.core.axes import Stack
from napari_msd.core.box import Box
from napari_msd.core.class_names import class_name_or_number
from napari_msd.core.errors import ModelFileError, SettingsError, shown
from napari_msd.core.settings import Settings
from napari_msd.core.space import Slab
from napari_msd.images import model_file
from napari_msd.images.model_file import ModelRecord
from napari_msd.images.model_settings import settings_of
from napari_msd.inference import SlabPixels, channels_first, tiles_of
from napari_msd.inference.domain_shift import KNOWN_TO_PREDICT, warnings_of
from napari_msd.pairs import (
    Array,
    axes_like,
    hand_over,
    pairs_of,
    require_learnable,
    training_warnings,
)
from napari_msd.training import Trainer, cores_to_ourselves
from napari_msd.training.fitting import FitProgress, TimeBudget, learn

DEFAULT_SECONDS = 30.0
TILE = 1024


class MSDSegmenter:
    """A Mixed-Scale Dense network that learns from sparse labels.

    Parameters
    ----------
    preset
        ``quick``, ``balanced`` or ``paper``.
    device
        ``auto``, ``cuda``, ``cpu``, ``mps`` or ``torch``.
    seed
        The same seed, images and number of steps give the same network on the
        same device.
    **overrides
        Any other field of `napari_msd.core.settings.Settings`.

    Raises
    ------
    SettingsError
        For an unknown preset or setting, or a value outside its range.

    Attributes
    ----------
    classes_
        Class values the network knows, in the order of `predict_proba`'s first axis.
    class_names_
        Their names, by value.
    steps_
        Training steps made, over all calls of `fit`.
    history_
        One dict per callback: step, loss, score.

    Examples
    --------
    >>> from napari_msd import MSDSegmenter
    >>> segmenter = MSDSegmenter(preset="quick")
    >>> labels = segmenter.fit(image, strokes, seconds=10).predict(image)  # doctest: +SKIP
    """

    def __init__(
        self, preset: str = "quick", device: str = "auto", seed: int = 0, **overrides: Any
    ) -> None:
        self.settings = Settings.from_preset(preset, device=device, seed=seed, **overrides)
        self.history_: list[dict[str, float | None]] = []
        self._trainer: Trainer | None = None
        self._record: ModelRecord | None = None
        self._axes: str | None = None
        self._names: dict[int, str] = {}

    def __repr__(self) -> str:
        about = f"{self.settings.preset}, depth {self.settings.depth}, {self.settings.device}"
        if self._record is None:
            return f"<MSDSegmenter ({about}), nothing learned yet>"
        names = [f"{value} {name!r}" for value, name in self.class_names_.items()]
        shown_names = ", ".join(names[:5] + ["…"] * (len(names) > 5))
        return f"<MSDSegmenter ({about}), {self._record.steps} steps, classes {shown_names}>"

    @property
    def classes_(self) -> npt.NDArray[np.uint8]:
        """Class values the network knows, uint8."""
        return np.asarray([] if self._trainer is None else self._trainer.outputs, np.uint8)

    @property
    def steps_(self) -> int:
        """Training steps over all calls of `fit`, and of the model that was loaded."""
        return 0 if self._trainer is None else self._trainer.steps

    @property
    def class_names_(self) -> dict[int, str]:
        """Name of each class the network knows, by value."""
        return {} if self._record is None else self._record.class_names

    # --- learning ------------------------------------------------------------------------

    def fit(
        self,
        images: Array | Sequence[Array],
        annotations: Array | Sequence[Array],
        seconds: float | None = None,
        max_steps: int | None = None,
        callback: Callable[[FitProgress], object] | None = None,
        *,
        axes: str | None = None,
        class_names: Mapping[int, str] | None = None,
    ) -> Self:
        """Learn from painted pixels; called again, go on from what was learned.

        Interrupted (Ctrl-C), it keeps the best network so far.

        Parameters
        ----------
        images
            One image or a list: (Y, X), (Y, X, 3 or 4), or as `axes` says.
        annotations
            One per image, of its shape without channels: 0 = unlabelled,
            1..255 = classes.
        seconds
            Wall time of the whole call. 30 if neither this nor `max_steps` is given.
        max_steps
            Training steps of this call.
        callback
            Called with a `FitProgress` several times a second; returning True stops.
        axes
            Letters of the images' axes, see `core.axes`; `predict` reads images of as many
            axes in the same way.
        class_names
            Names of classes by value, for the model file; "class 3" where there is none.

        Returns
        -------
        MSDSegmenter
            This one.

        Warns
        -----
        ImageWarning
            For an image whose grey values are unlike those of the first one (or of the model that
            is trained on), and for one with NaN or infinite values.

        Raises
        ------
        ImageError
            For images that are empty, constant, or of different channels.
        StrokesError
            For annotations that do not fit, or of fewer than two classes.
        ModelFileError
            For a network too large for a model file.
        """
        began = time.monotonic()
        if seconds is None and max_steps is None:
            seconds = DEFAULT_SECONDS
        for name, limit in (("seconds", seconds), ("max_steps", max_steps)):
            if limit is not None and not (isinstance(limit, Real) and limit > 0):
                raise SettingsError(f"{name} must be more than 0, not {shown(limit)}.")
        pairs = pairs_of(images, annotations, axes)
        require_learnable(pairs, self.settings, {int(value) for value in self.classes_})
        names = {int(value): str(name) for value, name in (class_names or {}).items()}
        fresh = self._trainer is None or self._trainer.normalisation is None
        if self._trainer is None:
            self._trainer = Trainer(self.settings, pairs[0].image.space.network_input)
        trainer = self._trainer
        hand_over(pairs, trainer)
        for warning in training_warnings(pairs, trainer.known_grey_values, fresh):
            warnings.warn(warning, stacklevel=2)
        self._axes = pairs[0].image.axes
        self._names |= {value: class_name_or_number(name, value) for value, name in names.items()}
        try:
            self._learn(trainer, TimeBudget(began, seconds, max_steps), callback)
        except BaseException:  # Ctrl-C, too little memory, the caller's own callback
            with suppress(Exception):
                self._keep(trainer)
            raise
        self._keep(trainer)
        return self

    def _learn(
        self,
        trainer: Trainer,
        budget: TimeBudget,
        callback: Callable[[FitProgress], object] | None,
    ) -> None:
        with cores_to_ourselves(self.settings.device):
            for progress in learn(trainer, budget):
                self.history_.append(
                    {"step": progress.step, "loss": progress.loss, "score": progress.score}
                )
                if callback is not None and callback(progress):
                    break
            if trainer.measured_steps != trainer.steps:
                trainer.measure()
                self.history_[-1]["score"] = trainer.kept_scores.mean

    def _keep(self, trainer: Trainer) -> None:
        """What was learned becomes the model, with all that was said of it before."""
        if not trainer.learned and trainer.steps > 0:
            trainer.measure()  # interrupted before it was looked at for the first time
        if not trainer.learned:
            return
        record, before = trainer.record(), self._record
        if before is not None:
            record = replace(
                record,
                pixel_size=before.pixel_size,
                units=before.units,
                history=before.history,
            ).with_classes(before.class_names, {info.value: info.color for info in before.classes})
        self._record = replace(record, axes=self._axes or record.axes).with_classes(self._names)

    # --- predicting ----------------------------------------------------------------------

    def predict(
        self,
        image: Array,
        *,
        axes: str | None = None,
        callback: Callable[[float], object] | None = None,
    ) -> npt.NDArray[np.uint8]:
        """The most probable class of every pixel.

        Parameters
        ----------
        image
            Like those it was trained on, of any size.
        axes
            Letters of the image's axes; by default those of the images that were learned from,
            if this one can have them.
        callback
            Called with the fraction done (0..1) after each tile.

        Returns
        -------
        ndarray
            uint8, the image's shape without channels, values of the annotation.

        Warns
        -----
        ImageWarning
            For an image whose grey values are unlike those it was trained on, and for one with
            NaN or infinite values.

        Raises
        ------
        ModelFileError
            If nothing was learned yet, or from images of other channels.
        ImageError
            For an image that cannot be read.
        """
        stack, trainer = self._stack(image, axes)
        out = np.empty(stack.label_shape, np.uint8)
        target, predictor = Stack(out, stack.label_axes), trainer.predictor()
        for index, tile, pixels in _tiles(stack, callback):
            target.plane(index)[tile.slices] = predictor.labels(pixels, tile)
        return out

    def predict_proba(
        self,
        image: Array,
        *,
        axes: str | None = None,
        callback: Callable[[float], object] | None = None,
    ) -> npt.NDArray[np.float32]:
        """Probability (0..1) of each class at every pixel, float32, classes first.

        Parameters, warnings and errors as in `predict`.
        """
        stack, trainer = self._stack(image, axes)
        out = np.empty((len(self.classes_), *stack.label_shape), np.float32)
        predictor = trainer.predictor()
        for index, tile, pixels in _tiles(stack, callback):
            for k, probability in enumerate(predictor.probabilities(pixels, tile)):
                Stack(out[k], stack.label_axes).plane(index)[tile.slices] = probability
        return out

    def _stack(self, image: Array, axes: str | None) -> tuple[Stack, Trainer]:
        """What is to be segmented, and by what; called by `predict` and `predict_proba`."""
        trainer, record = self._learned()
        stack = Stack.of(image, axes or axes_like(image, self._axes, record.in_channels))
        record.require_channels(stack.n_channels)
        for warning in warnings_of(stack, trainer.known_grey_values, KNOWN_TO_PREDICT):
            warnings.warn(warning, stacklevel=3)
        return stack, trainer

    def _learned(self) -> tuple[Trainer, ModelRecord]:
        if self._trainer is None or self._record is None:
            raise ModelFileError("Nothing was learned yet; call fit, or load a model.")
        return self._trainer, self._record

    # --- model files ---------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str], **about: Any) -> Path:
        """Write the model file.

        Parameters
        ----------
        path
            Where to; ``.safetensors`` is added to a name without suffix.
        **about
            Fields of `napari_msd.images.model_file.ModelRecord` to fill in: classes,
            axes, pixel_size, units.

        Returns
        -------
        Path
            The file written.

        Raises
        ------
        ModelFileError
            If nothing was learned yet, or for a name of another suffix.
        ExportError
            If it cannot be written; a file that was there is not lost.
        """
        _, record = self._learned()
        return replace(record, **about).write(path)

    @classmethod
    def load(cls, path: str | os.PathLike[str], device: str = "auto") -> Self:
        """Read a model file; `fit` goes on from it.

        Raises
        ------
        ModelFileError
            If it is missing, damaged, or not one of ours.
        """
        record = model_file.read(path)
        segmenter = cls()
        segmenter.settings = settings_of(record, device)
        segmenter._record, segmenter._axes = record, record.axes
        segmenter._trainer = Trainer(segmenter.settings, record.network_input, record)
        return segmenter


def _tiles(
    stack: Stack, callback: Callable[[float], object] | None
) -> Iterator[tuple[tuple[int, ...], Box, SlabPixels]]:
    """Go through all tiles of all slabs, telling the fraction done after each.

    Each comes with the slab's index, the tile along the slab's axes, and the slab's pixels.
    """
    space = stack.space
    n_slabs, done = math.prod(space.leading), 0
    tiles = tiles_of(Box.whole(0, space.spatial), TILE)
    for slab in space.slabs(0):
        index = Slab.of(slab, space.convolved).index
        pixels = SlabPixels.whole(channels_first(stack.plane(index), space.convolved))
        for tile in tiles:
            yield index, tile, pixels
            done += 1
            if callback is not None:
                callback(done / (n_slabs * len(tiles)))
