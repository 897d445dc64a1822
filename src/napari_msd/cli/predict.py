"""Implements ``napari-msd predict``: segments images one by one, with a summary at the end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from napari_msd.cli.files import images_among, save_labels, targets
from napari_msd.cli.output import counted, image_warnings_to, named, print_message, progress, warn
from napari_msd.core.errors import ImageWarning, MSDError

if TYPE_CHECKING:
    from pathlib import Path

    from napari_msd.segmenter import MSDSegmenter


@dataclass
class _Outcome:
    """Names of images: segmented; segmented but unlike the training images; not segmented."""

    done: list[str] = field(default_factory=list)
    unlike: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def segment_images(
    model: Path, images: list[Path], output: Path, suffix: str, device: str, axes: str | None
) -> int:
    """Segment images; returns the exit code: 2 if one of them could not be.

    Raises
    ------
    BadInputError, ExportError
        For a bad model, no images, or a folder that cannot be created.
    """
    from napari_msd.images.atomic import make_folder
    from napari_msd.images.model_file import read

    paths = images_among(images)
    read(model)  # report a bad model before PyTorch is loaded
    from napari_msd.segmenter import MSDSegmenter

    segmenter = MSDSegmenter.load(model, device=device)
    folder = make_folder(output)
    outcome = _Outcome()
    for path, target in zip(paths, targets(paths, folder, suffix), strict=True):
        try:
            warnings = _segment(segmenter, path, target, axes)
        except (MSDError, MemoryError) as error:
            outcome.failed.append(path.name)
            message = str(error) or "There is too little memory for this image."
            print_message(message if str(path) in message else f"{path}: {message}")
            continue
        print(target, flush=True)
        outcome.done.append(path.name)
        for warning in warnings:
            warn(f"{path.name} {warning.remark}.")
        if any(warning.unlike for warning in warnings):
            outcome.unlike.append(path.name)
    if len(paths) > 1 or outcome.unlike:
        print_message(_summary(outcome, folder))
    return 2 if outcome.failed else 0


def _segment(
    segmenter: MSDSegmenter, path: Path, target: Path, axes: str | None
) -> list[ImageWarning]:
    from napari_msd.images.image_files import read_image

    picture = read_image(path)
    letters = (axes or picture.axes).upper()
    warnings: list[ImageWarning] = []
    with progress(path.name) as bar, image_warnings_to(warnings.append):
        labels = segmenter.predict(
            picture.data, axes=letters, callback=lambda fraction: bar(fraction, "")
        )
    save_labels(target, labels, picture, letters, segmenter.class_names_)
    return warnings


def _summary(outcome: _Outcome, folder: Path) -> str:
    total = len(outcome.done) + len(outcome.failed)
    if outcome.failed:
        text = f"{len(outcome.done)} of {counted(total, 'image')} segmented into {folder}"
        text += f"; not segmented: {named(outcome.failed)}"
    else:
        text = f"{counted(total, 'image')} segmented into {folder}"
    if outcome.unlike:
        verb = "looks" if len(outcome.unlike) == 1 else "look"
        text += f"; {len(outcome.unlike)} of them {verb} unlike the training images"
        text += f": {named(outcome.unlike)}"
    return f"{text}."
