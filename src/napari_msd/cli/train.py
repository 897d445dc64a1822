"""Implements ``napari-msd train``: checks its input and output before training."""

from __future__ import annotations

import signal
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_msd.cli.channels import channels_for_model, channels_like, chosen_channels
from napari_msd.cli.files import common_axes, matching, model_target
from napari_msd.cli.interrupt import Stop
from napari_msd.cli.output import (
    counted,
    image_warnings_to,
    print_message,
    progress,
    warn,
    warn_of_cores,
)
from napari_msd.core.errors import BadInputError, ExportError, ImageWarning
from napari_msd.core.settings import Settings

if TYPE_CHECKING:
    import numpy as np

    from napari_msd.images.image_files import ImageFile
    from napari_msd.images.open_source import FileSource
    from napari_msd.segmenter import MSDSegmenter
    from napari_msd.training.fitting import FitProgress


def train_model(
    images: list[Path],
    labels: list[Path],
    model: Path,
    *,
    start: Path | None,
    preset: str | None,
    seed: int | None,
    mode: str | None,
    context: int | None,
    device: str,
    axes: str | None,
    channels: str | None,
    seconds: float | None,
    max_steps: int | None,
) -> int:
    """Train and write a model; returns the exit code.

    Raises
    ------
    BadInputError, ExportError
        Before training, and for errors found during training.
    """
    if start is not None and any(given is not None for given in (preset, seed, mode, context)):
        raise BadInputError(
            "Continued training keeps the model's network and seed; "
            "leave out --preset, --seed, --mode and --context, or --from."
        )
    how: dict[str, Any] = {"preset": preset or "quick", "seed": seed or 0, "device": device}
    if mode is not None:
        how["mode"] = mode
    if context is not None:
        how["context"] = context
    Settings.from_preset(**how)  # refuses what is wrong before PyTorch is loaded
    images, labels = matching(images), matching(labels)
    if len(labels) != len(images):
        raise BadInputError(
            f"There are {counted(len(images), 'image')} but {counted(len(labels), 'label file')}; "
            "give --labels once for each image, in the same order."
        )
    target = model_target(model)
    with Stop() as stop, ExitStack() as files:
        try:
            return _train(
                _Job(images, labels, target, axes, channels, start, files),
                start,
                how,
                {"seconds": seconds, "max_steps": max_steps},
                stop,
            )
        except KeyboardInterrupt:
            print_message(
                "Stopped at once; the training was not saved."
                if stop.learning
                else "Stopped before the first step; nothing was written."
            )
            return stop.code


class _Job:
    """The files of one training; images are read when and where strokes need them."""

    def __init__(
        self,
        images: list[Path],
        labels: list[Path],
        target: Path,
        axes: str | None,
        channels: str | None,
        start: Path | None,
        files: ExitStack,
    ) -> None:
        from napari_msd.images.image_files import read_labels, reading
        from napari_msd.images.open_source import open_source
        from napari_msd.images.zarr_files import is_zarr, open_zarr

        self.images, self.target = images, target
        opened = [files.enter_context(open_source(path, axes=axes)) for path in images]
        if axes is None:
            common_axes(opened)
        self.sources = _same_channels(opened, channels, start)
        self.class_names: dict[int, str] = {}
        """Names in the label files; the first file that names a class takes precedence."""
        self.annotations: list[Any] = []
        for path, source in zip(labels, self.sources, strict=True):
            if is_zarr(path):  # may be larger than memory
                with reading(path):
                    array, about = open_zarr(path)
                names = {value: name for value, (name, _) in (about.classes or {}).items() if name}
                self.annotations.append(array)
            else:
                file = read_labels(path)
                names = file.class_names or {}
                self.annotations.append(_in_order_of(file, source))
            self.class_names = names | self.class_names


def _same_channels(
    opened: list[FileSource], asked: str | None, start: Path | None
) -> list[FileSource]:
    """All images with the same channels in one order: the model's, or that of the first image."""
    if start is not None:
        from napari_msd.images.model_file import read

        record = read(start)
        found = [channels_for_model(source, record, asked) for source in opened]
    elif asked is not None:
        found = [(chosen_channels(source, asked), "") for source in opened]
    else:
        found = [(opened[0], ""), *(channels_like(source, opened[0]) for source in opened[1:])]
    for source, remark in found:
        if remark:
            warn(f"{source.path.name} {remark}.")
    return [source for source, _ in found]


def _in_order_of(labels: ImageFile, image: FileSource) -> np.ndarray:
    """Labels in the order of their image's axes, where the files name the same ones otherwise."""
    wanted = image.order.labels
    if labels.data.shape != wanted.shape and set(labels.axes) == set(wanted.axes):
        return labels.data.transpose([labels.axes.index(letter) for letter in wanted.axes])
    return labels.data


def _train(
    job: _Job, start: Path | None, how: dict[str, Any], limits: dict[str, Any], stop: Stop
) -> int:
    from napari_msd.segmenter import MSDSegmenter

    if start is None:
        segmenter = MSDSegmenter(**how)
    else:
        segmenter = MSDSegmenter.load(start, device=how["device"])
    before = segmenter.steps_
    with (
        progress("Training") as bar,
        image_warnings_to(lambda warning: warn(_warning_text(warning, job.images))),
    ):

        def show(at: FitProgress) -> bool:
            stop.learning = True
            text = f"step {at.step}, loss {at.loss:.3f}"
            if at.score is not None:
                text += f", IoU {at.score:.2f}"
            bar(at.fraction or 0.0, text)
            return stop.asked is not None

        try:
            segmenter.fit(
                job.sources,
                job.annotations,
                callback=show,
                class_names=job.class_names,
                **limits,
            )
        except KeyboardInterrupt:
            if stop.twice or not stop.learning:
                raise
            stop.asked = stop.asked or signal.SIGINT
    warn_of_cores()
    written, error = _save(segmenter, job)
    if error is not None:
        print_message(f"{error} The model is saved as {str(written)!r} instead.")
    if stop.asked is not None:
        print_message(
            f"Stopped after {counted(segmenter.steps_ - before, 'step')}; "
            f"the best network so far is saved as {str(written)!r}."
        )
    print(f"{written}: {_summary(written)}")
    if error is not None:
        return 2
    return 0 if stop.asked is None else stop.code


def _warning_text(warning: ImageWarning, images: list[Path]) -> str:
    return f"{images[warning.number or 0].name} {warning.remark}."


def _save(segmenter: MSDSegmenter, job: _Job) -> tuple[Path, ExportError | None]:
    """Write the model; if that fails, write it to a temporary folder, so that it is not lost."""
    try:
        return segmenter.save(job.target), None
    except ExportError as error:
        folder = Path(tempfile.mkdtemp(prefix="napari-msd-"))
        return segmenter.save(folder / job.target.name), error


def _summary(model: Path) -> str:
    from napari_msd.images.model_file import read

    record = read(model)
    text = f"{record.n_classes} classes, {counted(record.steps, 'step')}"
    if record.score is None:
        return f"{text}, no strokes held out to measure IoU"
    scores = (
        f"{name} {record.scores[v]:.3f}"
        for v, name in record.class_names.items()
        if v in record.scores
    )
    return f"{text}, IoU on held-out strokes {record.score:.3f} ({', '.join(scores)})"
