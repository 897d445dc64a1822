"""Files of the command line's commands: what is checked before, and written after, the work."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from napari_msd.config import DEVICE_CHOICES
from napari_msd.errors import BadInputError, ExportError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np

    from napari_msd.io.images import ImageFile
    from napari_msd.segmenter import MSDSegmenter


def require_device(device: str) -> None:
    """Refuse a device name nobody knows.

    Raises
    ------
    SettingsError
        With the names there are.
    """
    if device not in DEVICE_CHOICES:
        raise SettingsError(
            f"There is no device {device!r}; choose one of {', '.join(DEVICE_CHOICES)}."
        )


def require_folder(model: Path) -> None:
    """Say before the training, not after it, that the model could not be written.

    Raises
    ------
    ExportError
        When its folder is missing or may not be written to.
    """
    folder = model.absolute().parent
    if not folder.is_dir():
        raise ExportError(f"There is no folder {str(folder)!r}; make it, or choose another one.")
    if not os.access(folder, os.W_OK):
        raise ExportError(f"The folder {str(folder)!r} may not be written to; choose another one.")
    if model.is_dir():
        raise ExportError(f"{str(model)!r} is a folder; name a file for the model.")


def common_axes(pictures: list[ImageFile], paths: list[Path]) -> str:
    """Axis letters that all images share.

    Raises
    ------
    BadInputError
        When one has others than the first.
    """
    first = pictures[0].axes
    for picture, path in zip(pictures, paths, strict=True):
        if picture.axes != first:
            raise BadInputError(
                f"{str(path)!r} has the axes {picture.axes}, the first image {first}; "
                "train on images of the same kind."
            )
    return first


def save_model(
    segmenter: MSDSegmenter, path: Path, picture: ImageFile, annotations: list[ImageFile]
) -> Path:
    """Write the model with the class names and pixel size that the files told."""
    from napari_msd.io.model_file import ClassInfo
    from napari_msd.palette import class_color

    names: dict[int, str] = {}
    for annotation in reversed(annotations):
        names.update(annotation.class_names or {})
    values = [int(value) for value in segmenter.classes_]
    about: dict[str, Any] = {
        "axes": picture.axes,
        "classes": tuple(
            ClassInfo(value, names.get(value, f"class {value}"), class_color(value))
            for value in values
        ),
    }
    if picture.scale is not None and picture.units is not None:
        plane = [picture.axes.index(letter) for letter in "YX"]
        about["pixel_size"] = tuple(picture.scale[k] for k in plane)
        about["units"] = tuple(picture.units[k] for k in plane)
    return segmenter.save(path, **about)


def save_labels(
    target: Path, labels: np.ndarray, picture: ImageFile, letters: str, names: dict[int, str]
) -> None:
    """Write the segmentation of `picture`, whose axes are `letters`, with its pixel size."""
    from napari_msd.io.export import export_labels

    kept = [k for k, letter in enumerate(letters) if letter not in "CS"]
    export_labels(
        target,
        labels,
        class_names=names,
        scale=None if picture.scale is None else [picture.scale[k] for k in kept],
        units=None if picture.units is None else [picture.units[k] for k in kept],
        axes=[letters[k] for k in kept],
    )


def targets(images: list[Path], folder: Path, suffix: str) -> Iterator[Path]:
    """Where the labels of each image go; images of one name do not overwrite each other."""
    taken: set[Path] = set()
    for path in images:
        stem = path.name.removesuffix(path.suffix).removesuffix(".ome")
        target, number = folder / f"{stem}_segmentation{suffix}", 1
        while target in taken:
            number += 1
            target = folder / f"{stem}_segmentation_{number}{suffix}"
        taken.add(target)
        yield target
