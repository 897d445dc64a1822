"""Finds the input files of commands, and chooses the names of output files."""

from __future__ import annotations

import glob
import re
from typing import TYPE_CHECKING

from napari_msd.core.errors import BadInputError, ExportError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np

    from napari_msd.images.image_files import ImageFile

_RESULT = re.compile(r".*_segmentation(_[0-9]+)?")
"""Stems of the file names that `targets` makes."""


def matching(paths: list[Path]) -> list[Path]:
    """Expand patterns like ``*.tif`` (and ``**`` for folders) to files.

    Shells do this, but not those of Windows. The files of a pattern are sorted; other paths are
    returned as they are, in their order.

    Raises
    ------
    BadInputError
        For a pattern that no file matches.
    """
    found: list[Path] = []
    for path in paths:
        text = str(path)
        if not glob.has_magic(text) or _is_there(path):
            found.append(path)
            continue
        names = sorted(glob.glob(text, recursive=True))  # noqa: PTH207 - Path's wants relative ones
        if not names:
            raise BadInputError(f"No file matches {text!r}; check the pattern, or name the files.")
        found += [type(path)(name) for name in names]
    return found


def images_among(paths: list[Path]) -> list[Path]:
    """Expand patterns as `matching` does, and folders to their images; no image twice.

    Subfolders, hidden files and results of `predict` (``..._segmentation.tif``) are skipped.

    Raises
    ------
    BadInputError
        For a pattern that no file matches, or a folder without images.
    """
    found: dict[Path, None] = {}
    for path in matching(paths):
        if not _is_folder(path):
            found[path] = None
            continue
        inside = _images_in(path)
        if not inside:
            raise BadInputError(f"There are no images in the folder {str(path)!r}; name others.")
        found |= dict.fromkeys(inside)
    return list(found)


def _images_in(folder: Path) -> list[Path]:
    from napari_msd.images.image_files import IMAGE_SUFFIXES

    try:
        inside = sorted(folder.iterdir())
    except OSError as error:
        from napari_msd.images.atomic import explain

        raise BadInputError(
            f"The folder {str(folder)!r} cannot be read: {explain(error)}."
        ) from error
    return [
        path
        for path in inside
        if path.suffix.lower() in IMAGE_SUFFIXES
        and not path.name.startswith(".")
        and not _RESULT.fullmatch(_stem(path))
        and path.is_file()
    ]


def model_target(model: Path) -> Path:
    """The model file to write; checks before training that it can be written.

    Raises
    ------
    ModelFileError
        For a name with another suffix.
    ExportError
        If its folder is missing or not writable, or the name is not possible.
    """
    from napari_msd.images.atomic import require_writable
    from napari_msd.images.model_file import model_path

    for path in (model, model_path(model)):
        if _is_folder(path):
            raise ExportError(f"{str(path)!r} is a folder; name a file for the model.")
    folder = model.absolute().parent
    if not _is_folder(folder):
        raise ExportError(f"There is no folder {str(folder)!r}; create it, or choose another one.")
    require_writable(path)
    return path


def common_axes(pictures: list[ImageFile], paths: list[Path]) -> str:
    """Axis letters that all images share.

    Raises
    ------
    BadInputError
        If the axes of an image differ from the first one's.
    """
    first = pictures[0].axes
    for picture, path in zip(pictures, paths, strict=True):
        if picture.axes != first:
            raise BadInputError(
                f"{str(path)!r} has the axes {picture.axes}, the first image {first}; "
                "train on images of the same kind."
            )
    return first


def save_labels(
    target: Path, labels: np.ndarray, picture: ImageFile, letters: str, names: dict[int, str]
) -> None:
    """Write the segmentation of `picture`, whose axes are `letters`, with its pixel size."""
    from napari_msd.images.export import export_labels

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
    """The label file of each image: never an image, and never the same file twice."""
    taken = {_place(path) for path in images}
    for path in images:
        target, number = folder / f"{_stem(path)}_segmentation{suffix}", 1
        while _place(target) in taken:
            number += 1
            target = folder / f"{_stem(path)}_segmentation_{number}{suffix}"
        taken.add(_place(target))
        yield target


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # an impossible name
        return False


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False


def _stem(path: Path) -> str:
    return path.name.removesuffix(path.suffix).removesuffix(".ome")


def _place(path: Path) -> str:
    """Normalise a path so that it differs from another on all file systems; some ignore case."""
    return str(path.absolute()).casefold()
