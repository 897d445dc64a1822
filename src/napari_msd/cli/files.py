"""Finds the input files of commands, and chooses the names of output files."""

from __future__ import annotations

import glob
import hashlib
import re
from typing import TYPE_CHECKING

from napari_msd.core.errors import BadInputError, ExportError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from napari_msd.images.open_source import FileSource
    from napari_msd.images.result import What

_ENDINGS = {
    "labels": "segmentation",
    "probabilities": "probabilities",
    "uncertainty": "uncertainty",
}
_RESULT = re.compile(rf".*_({'|'.join(_ENDINGS.values())})(_[0-9]+)?")
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

    A zarr folder is an image. Other subfolders, hidden files and results of `predict`
    (``..._segmentation.tif``) are skipped.

    Raises
    ------
    BadInputError
        For a pattern that no file matches, or a folder without images.
    """
    from napari_msd.images.zarr_files import is_zarr

    found: dict[Path, None] = {}
    for path in matching(paths):
        if not _is_folder(path) or is_zarr(path):
            found[path] = None
            continue
        inside = _images_in(path)
        if not inside:
            raise BadInputError(f"There are no images in the folder {str(path)!r}; name others.")
        found |= dict.fromkeys(inside)
    return list(found)


def _images_in(folder: Path) -> list[Path]:
    from napari_msd.images.image_files import IMAGE_SUFFIXES
    from napari_msd.images.zarr_files import is_zarr

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
        if not path.name.startswith(".")
        and not _RESULT.fullmatch(_stem(path))
        and ((path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()) or is_zarr(path))
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


def common_axes(sources: list[FileSource]) -> str:
    """Axis letters that all images share.

    Raises
    ------
    BadInputError
        If the axes of an image differ from the first one's.
    """
    first = sources[0].axes
    for source in sources:
        if source.axes != first:
            raise BadInputError(
                f"{str(source.path)!r} has the axes {source.axes}, the first image {first}; "
                "train on images of the same kind."
            )
    return first


def targets(images: list[Path], folder: Path, suffix: str, what: What = "labels") -> Iterator[Path]:
    """The result file of each image: never an image, and never the same file twice."""
    taken = {_place(path) for path in images}
    for path in images:
        stem = f"{_stem(path)}_{_ENDINGS[what]}"
        target, number = folder / f"{stem}{suffix}", 1
        while _place(target) in taken:
            number += 1
            target = folder / f"{stem}_{number}{suffix}"
        taken.add(_place(target))
        yield target


def origin_of(path: Path) -> str:
    """What tells the content of a file from that of another, without naming it."""
    about = path.stat()
    told = f"{_place(path)}|{about.st_mtime_ns}|{about.st_size}"
    return hashlib.sha256(told.encode(errors="replace")).hexdigest()


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
