"""Implements ``napari-msd train``: checks its input and output before training."""

from __future__ import annotations

import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_msd.cli.files import common_axes, matching, model_target
from napari_msd.cli.interrupt import Stop
from napari_msd.cli.output import counted, image_warnings_to, print_message, progress, warn
from napari_msd.core.errors import BadInputError, ExportError, ImageWarning

if TYPE_CHECKING:
    from napari_msd.images.image_files import ImageFile
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
    device: str,
    axes: str | None,
    seconds: float | None,
    max_steps: int | None,
) -> int:
    """Train and write a model; returns the exit code.

    Raises
    ------
    BadInputError, ExportError
        Before training, and for errors found during training.
    """
    if start is not None and not (preset is None and seed is None):
        raise BadInputError(
            "Continued training keeps the model's network and seed; "
            "leave out --preset and --seed, or --from."
        )
    images, labels = matching(images), matching(labels)
    if len(labels) != len(images):
        raise BadInputError(
            f"There are {counted(len(images), 'image')} but {counted(len(labels), 'label file')}; "
            "give --labels once for each image, in the same order."
        )
    target = model_target(model)
    with Stop() as stop:
        try:
            return _train(
                _Job(images, labels, target, axes),
                start,
                {"preset": preset or "quick", "seed": seed or 0, "device": device},
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
    """The content of the files of one training."""

    def __init__(
        self, images: list[Path], labels: list[Path], target: Path, axes: str | None
    ) -> None:
        from napari_msd.images.image_files import read_image, read_labels

        self.images, self.target = images, target
        self.pictures = [read_image(path) for path in images]
        self.annotations = [read_labels(path) for path in labels]
        self.letters = (axes or common_axes(self.pictures, images)).upper()

    @property
    def class_names(self) -> dict[int, str]:
        """Class names in the label files; the first file that names a class takes precedence."""
        names: dict[int, str] = {}
        for annotation in reversed(self.annotations):
            names.update(annotation.class_names or {})
        return names

    @property
    def pixel_size(self) -> dict[str, Any]:
        """Pixel size and units (Y, X) for the model file, if the first image has them."""
        picture: ImageFile = self.pictures[0]
        if picture.scale is None or picture.units is None:
            return {}
        plane = [self.letters.index(letter) for letter in "YX"]
        return {
            "pixel_size": tuple(picture.scale[k] for k in plane),
            "units": tuple(picture.units[k] for k in plane),
        }


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
                [picture.data for picture in job.pictures],
                [annotation.data for annotation in job.annotations],
                callback=show,
                axes=job.letters,
                class_names=job.class_names,
                **limits,
            )
        except KeyboardInterrupt:
            if stop.twice or not stop.learning:
                raise
            stop.asked = stop.asked or signal.SIGINT
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
        return segmenter.save(job.target, **job.pixel_size), None
    except ExportError as error:
        folder = Path(tempfile.mkdtemp(prefix="napari-msd-"))
        return segmenter.save(folder / job.target.name, **job.pixel_size), error


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
