"""Train and predict from Python: the same code as behind the window, in this process."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from numbers import Real
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from napari_msd.core.axes import AxisOrder
from napari_msd.core.class_names import class_name_or_number
from napari_msd.core.errors import ModelFileError, SettingsError, shown
from napari_msd.core.settings import Settings
from napari_msd.core.source import Sink, Source
from napari_msd.core.space import NetworkInput, Space
from napari_msd.images import model_file
from napari_msd.images.model_file import ModelRecord
from napari_msd.images.model_settings import settings_of
from napari_msd.images.open_sink import ArraySink, open_sink
from napari_msd.images.result import WHATS, Result, What
from napari_msd.images.zarr_sink import is_complete
from napari_msd.inference.domain_shift import KNOWN_TO_PREDICT, of_one_slice, warnings_of
from napari_msd.pairs import (
    ImageLike,
    axes_like,
    hand_over,
    image_axes,
    label_order,
    order_warnings,
    pairs_of,
    require_learnable,
    seen,
    source_of,
    training_warnings,
)
from napari_msd.prediction import Answers, predict_into
from napari_msd.training import Trainer, cores_to_ourselves
from napari_msd.training.fitting import FitProgress, TimeBudget, learn

DEFAULT_SECONDS = 30.0


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
        Any other field of `napari_msd.core.settings.Settings`, like ``mode="2.5d"`` (slices with
        their ``context=1`` neighbours on each side) or ``mode="3d"`` for stacks.

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
        self._about: dict[str, Any] = {}
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
        images: ImageLike | Sequence[ImageLike],
        annotations: ImageLike | Sequence[ImageLike],
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
            One image or a list: (Y, X), (Y, X, 3 or 4), or as `axes` says. NumPy, dask and zarr
            arrays, or a `napari_msd.core.source.Source`; only what strokes need is read.
        annotations
            One per image, of its shape without channels: 0 = unlabelled,
            1..255 = classes. NumPy, dask or zarr arrays, or a `Source`.
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
            is trained on), for one with NaN or infinite values, and for one that has the same
            channels in another order.

        Raises
        ------
        ImageError
            For images that are empty, constant, or of different channels.
        ModelFileError
            For an image without slices where the network sees several at once.
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
        first = pairs[0].image
        if self._trainer is None:
            space = first.space.in_mode(self.settings.mode, self.settings.context)
            self._trainer = Trainer(self.settings, space.network_input)
        trainer = self._trainer
        hand_over(pairs, trainer)
        known = of_one_slice(trainer.known_grey_values, trainer.data.given)
        channels = self._record.channels if self._record is not None else ()
        for warning in training_warnings(pairs, known, fresh, channels):
            warnings.warn(warning, stacklevel=2)
        self._axes = image_axes(first)
        self._about = _about(first.space, trainer.data.given)
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
        record, before = replace(trainer.record(), **self._about), self._record
        if before is not None:
            record = replace(
                record,
                pixel_size=before.pixel_size,
                units=before.units,
                channels=before.channels,
                history=before.history,
            ).with_classes(before.class_names, {info.value: info.color for info in before.classes})
        self._record = replace(record, axes=self._axes or record.axes).with_classes(self._names)

    # --- predicting ----------------------------------------------------------------------

    def predict(
        self,
        image: ImageLike,
        *,
        axes: str | None = None,
        callback: Callable[[float], object] | None = None,
    ) -> npt.NDArray[np.uint8]:
        """The most probable class of every pixel.

        Parameters
        ----------
        image
            Like those it was trained on, of any size: an array, a dask or zarr array, or a
            `napari_msd.core.source.Source`. It is read tile by tile.
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
            For an image whose grey values are unlike those it was trained on, for one with NaN or
            infinite values, and for one that has the network's channels in another order.

        Raises
        ------
        ModelFileError
            If nothing was learned yet, or from images of other channels, or from stacks and this
            one has no slices.
        ImageError
            For an image that cannot be read.
        """
        source = self._source(image, axes)
        sink = ArraySink(label_order(source), np.uint8)
        self._predict(source, sink, "labels", callback)
        return sink.array

    def predict_proba(
        self,
        image: ImageLike,
        *,
        axes: str | None = None,
        callback: Callable[[float], object] | None = None,
    ) -> npt.NDArray[np.float32]:
        """Probability (0..1) of each class at every pixel, float32, classes first.

        Parameters, warnings and errors as in `predict`.
        """
        source = self._source(image, axes)
        labels = label_order(source)
        order = AxisOrder("C" + labels.axes, (len(self.classes_), *labels.shape))
        sink = ArraySink(order, np.float32)
        self._predict(source, sink, "probabilities", callback)
        return sink.array

    def predict_to(
        self,
        image: ImageLike,
        target: str | os.PathLike[str] | Sink,
        *,
        what: What = "labels",
        axes: str | None = None,
        origin: str = "",
        skip_complete: bool = False,
        callback: Callable[[float], object] | None = None,
    ) -> None:
        """Predict an image of any size into a file; neither is in memory as a whole.

        Interrupted (Ctrl-C, a crash), an OME-Zarr is gone on with when the same is asked again.

        Parameters
        ----------
        image, axes, callback
            As in `predict`.
        target
            A file that ends in ``.tif``, ``.npy``, ``.ome.zarr`` or (one plane) ``.png``; or a
            `napari_msd.core.source.Sink`, which is not closed.
        what
            ``labels`` and ``uncertainty`` (0 sure to 255 a guess) are uint8; ``probabilities``
            are float32, one channel for each class.
        origin
            Tells this image from others of the same name and size, so that an unfinished result
            of another one is not gone on with.
        skip_complete
            Do nothing if the target is an OME-Zarr that holds all of this very result.

        Warns
        -----
        ImageWarning
            As in `predict`.

        Raises
        ------
        ExportError
            If the file cannot be written; one that was there before is unchanged.
        ModelFileError, ImageError
            As in `predict`.
        """
        if what not in WHATS:
            raise SettingsError(f"what must be one of {', '.join(WHATS)}, not {shown(what)}.")
        source = self._source(image, axes)
        if not isinstance(target, str | os.PathLike):
            self._predict(source, target, what, callback)
            return
        result = self._result(source, what, origin)
        if skip_complete and is_complete(Path(target), result):
            return
        sink = open_sink(target, result)
        try:
            self._predict(source, sink, what, callback)
        except BaseException:
            leave = getattr(sink, "leave", sink.discard)
            leave()
            raise
        sink.close()

    def _result(self, source: Source, what: What, origin: str) -> Result:
        """What is written of an image."""
        trainer, record = self._learned()
        by_value = {info.value: info for info in record.classes}
        classes = tuple(by_value[int(value)] for value in self.classes_)
        _, space = seen(source, trainer.data.given)
        return Result(space, what, classes, trainer.network_id, origin)

    def _predict(
        self,
        source: Source,
        sink: Sink,
        what: What,
        callback: Callable[[float], object] | None,
    ) -> None:
        trainer, _ = self._learned()
        read, space = seen(source, trainer.data.given)
        temperature = trainer.temperature if what == "uncertainty" else 1.0
        answers = Answers(trainer.predictor(), what, temperature)
        predict_into(sink, answers, read, space, callback)

    def _source(self, image: ImageLike, axes: str | None) -> Source:
        """What is to be segmented; called by what a person calls."""
        trainer, record = self._learned()
        channels = record.n_image_channels
        source = source_of(image, axes or axes_like(image, self._axes, channels))
        record.require_channels(source.space.n_channels)
        seen(source, trainer.data.given)
        known = of_one_slice(trainer.known_grey_values, trainer.data.given)
        found = [*order_warnings(source, record.channels)]
        for warning in (*found, *warnings_of(source, known, KNOWN_TO_PREDICT)):
            warnings.warn(warning, stacklevel=3)
        return source

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


def _about(space: Space, given: NetworkInput) -> dict[str, Any]:
    """What a model file says of the images."""
    about: dict[str, Any] = {"channels": space.channel_names or ()}
    if space.pixel_size is not None and space.units is not None:
        about["pixel_size"] = space.pixel_size[-given.convolved :]
        about["units"] = space.units[-given.convolved :]
    return about
