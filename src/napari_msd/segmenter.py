"""Train and predict from Python: the same code as behind the window, in this process."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from napari_msd.annotation.checks import TWO_CLASSES, checked_annotation
from napari_msd.axes import Stack
from napari_msd.config import Settings
from napari_msd.errors import ModelFileError, SettingsError, StrokesError
from napari_msd.inference import channels_first, tiles_of
from napari_msd.io import model_file
from napari_msd.io.model_file import ModelRecord
from napari_msd.io.model_settings import settings_of
from napari_msd.planes import PlaneKey, whole
from napari_msd.training import Trainer, cores_to_ourselves
from napari_msd.training.fitting import FitProgress, TimeBudget, learn

Array = npt.NDArray[Any]

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
        Any other field of `napari_msd.config.Settings`.

    Raises
    ------
    SettingsError
        For an unknown preset or setting, or a value outside its range.

    Attributes
    ----------
    classes_
        Class values the network knows, in the order of `predict_proba`'s first axis.
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

    @property
    def classes_(self) -> npt.NDArray[np.uint8]:
        """Class values the network knows, uint8."""
        return np.asarray([] if self._trainer is None else self._trainer.outputs, np.uint8)

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
    ) -> Self:
        """Learn from painted pixels; called again, go on from what was learned.

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
            Letters of the images' axes, see `napari_msd.axes`.

        Returns
        -------
        MSDSegmenter
            This one.

        Raises
        ------
        ImageError
            For images that are empty, constant, or of different channels.
        StrokesError
            For annotations that do not fit, or of fewer than two classes.
        """
        began = time.monotonic()
        if seconds is None and max_steps is None:
            seconds = DEFAULT_SECONDS
        for name, limit in (("seconds", seconds), ("max_steps", max_steps)):
            if limit is not None and limit <= 0:
                raise SettingsError(f"{name} must be more than 0, not {limit!r}.")
        stacks, labels = self._checked(images, annotations, axes)
        trainer = self._give(stacks, labels)
        with cores_to_ourselves(self.settings.device):
            for progress in learn(trainer, TimeBudget(began, seconds, max_steps)):
                self.history_.append(
                    {"step": progress.step, "loss": progress.loss, "score": progress.score}
                )
                if callback is not None and callback(progress):
                    break
            if trainer.measured_steps != trainer.steps:
                trainer.measure()
                self.history_[-1]["score"] = trainer.kept_scores.mean
        self._record = trainer.record()
        return self

    def _checked(
        self,
        images: Array | Sequence[Array],
        annotations: Array | Sequence[Array],
        axes: str | None,
    ) -> tuple[list[Stack], list[Array]]:
        image_list = list(images) if isinstance(images, (list, tuple)) else [images]
        label_list = list(annotations) if isinstance(annotations, (list, tuple)) else [annotations]
        if not image_list:
            raise StrokesError("There is no image to learn from; give at least one.")
        if len(image_list) != len(label_list):
            raise StrokesError(
                f"There are {len(image_list)} images but {len(label_list)} annotations; "
                "give one annotation for each image, in the same order."
            )
        stacks = [Stack.of(image, axes) for image in image_list]
        labels = [
            checked_annotation(label, stack.label_shape)
            for label, stack in zip(label_list, stacks, strict=True)
        ]
        if len(np.unique(np.concatenate([np.unique(a[a > 0]) for a in labels]))) < 2:
            known = self._trainer is not None and len(self._trainer.classes) > 0
            if not known:
                raise StrokesError(TWO_CLASSES)
        return stacks, labels

    def _give(self, stacks: list[Stack], labels: list[Array]) -> Trainer:
        """Hand images and strokes to a trainer: plane keys are (image number, plane...)."""
        if self._trainer is None:
            self._trainer = Trainer(self.settings, stacks[0].n_channels, self._record)
        trainer = self._trainer
        for key in set(trainer.planes) | trainer.strokes.planes:
            trainer.forget_plane(key)
        for number, (stack, label) in enumerate(zip(stacks, labels, strict=True)):
            painted = Stack(label, stack.label_axes)
            for key in stack.plane_keys():
                strokes = painted.plane(key)
                if strokes.any():
                    trainer.set_plane((number, *key), stack.plane(key))
                    trainer.write_strokes(
                        (number, *key), whole(stack.plane_shape), strokes.astype(np.uint8)
                    )
        return trainer

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
            Letters of the image's axes, as in `fit`.
        callback
            Called with the fraction done (0..1) after each tile.

        Returns
        -------
        ndarray
            uint8, the image's shape without channels, values of the annotation.

        Raises
        ------
        ModelFileError
            If nothing was learned yet, or from images of other channels.
        ImageError
            For an image that cannot be read.
        """
        stack = self._stack(image, axes)
        out = np.empty(stack.label_shape, np.uint8)
        target = Stack(out, stack.label_axes)
        for key, region, plane in self._tiles(stack, callback):
            labels = self._ready().predictor().labels(plane, region)
            target.plane(key)[region.slices] = labels
        return out

    def predict_proba(
        self,
        image: Array,
        *,
        axes: str | None = None,
        callback: Callable[[float], object] | None = None,
    ) -> npt.NDArray[np.float32]:
        """Probability (0..1) of each class at every pixel, float32, classes first.

        Parameters and errors as in `predict`.
        """
        stack = self._stack(image, axes)
        out = np.empty((len(self.classes_), *stack.label_shape), np.float32)
        for key, region, plane in self._tiles(stack, callback):
            probabilities = self._ready().predictor().probabilities(plane, region)
            for k, probability in enumerate(probabilities):
                Stack(out[k], stack.label_axes).plane(key)[region.slices] = probability
        return out

    def _stack(self, image: Array, axes: str | None) -> Stack:
        stack = Stack.of(image, axes)
        self._ready()
        assert self._record is not None
        self._record.require_channels(stack.n_channels)
        return stack

    def _tiles(self, stack: Stack, callback: Callable[[float], object] | None) -> Any:
        keys: list[PlaneKey] = list(stack.plane_keys())
        regions = tiles_of(whole(stack.plane_shape), TILE)
        for i, key in enumerate(keys):
            plane = channels_first(stack.plane(key))
            for j, region in enumerate(regions):
                yield key, region, plane
                if callback is not None:
                    callback((i * len(regions) + j + 1) / (len(keys) * len(regions)))

    def _ready(self) -> Trainer:
        if self._trainer is None or self._record is None:
            raise ModelFileError("Nothing was learned yet; call fit, or load a model.")
        return self._trainer

    # --- model files ---------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str], **about: Any) -> Path:
        """Write the model file (``.safetensors``).

        Parameters
        ----------
        path
            Where to.
        **about
            Fields of `napari_msd.io.model_file.ModelRecord` to fill in: classes,
            axes, pixel_size, units.

        Returns
        -------
        Path
            The file written.

        Raises
        ------
        ModelFileError
            If nothing was learned yet.
        ExportError
            If it cannot be written; a file that was there is not lost.
        """
        self._ready()
        assert self._record is not None
        return replace(self._record, **about).write(path)

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
        segmenter._record = record
        segmenter._trainer = Trainer(segmenter.settings, record.in_channels, record)
        return segmenter
