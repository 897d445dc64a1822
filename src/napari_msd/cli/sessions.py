"""Lists sessions, and exports what they hold, for ``napari-msd sessions``."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_msd.cli.output import named, print_message, warn
from napari_msd.core.box import Box
from napari_msd.core.class_names import clean_class_name
from napari_msd.core.errors import BadInputError, ExportError, MSDError
from napari_msd.images import model_file
from napari_msd.images.atomic import make_folder
from napari_msd.images.export import export_labels
from napari_msd.images.free_memory import require_room
from napari_msd.images.model_file import ModelRecord
from napari_msd.storage import SUFFIX, file_stem, read, summaries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from napari_msd.document import Document, History, Version
    from napari_msd.document.operations import BindSource
    from napari_msd.storage import SavedImage, SessionContent, SessionSummary

_BYTES_PER_PIXEL = 3
"""Labels, and what writing them may copy."""

_SHORTEST_PREFIX = 4


def listing(*, as_json: bool) -> Iterator[str]:
    """Lines that list all sessions, the newest first."""
    found = summaries()
    if as_json:
        yield json.dumps([_row(summary) for summary in found], indent=2)
        return
    if not found:
        yield "There are no sessions yet."
    for summary in found:
        changed = datetime.fromtimestamp(summary.last_change).strftime("%Y-%m-%d %H:%M")
        yield f"{summary.id or '-':8}  {changed}  {_about(summary)}"


def export(identity: str, folder: Path, *, overwrite: bool) -> int:
    """Write the annotations and newest models of a session into a folder; names them on stdout.

    Parameters
    ----------
    identity
        The session's id, the beginning of it, or the path of its file.
    folder
        Made if it is missing.
    overwrite
        Whether files that are there may be replaced.

    Returns
    -------
    int
        The exit code: 2 if one of them could not be written, which does not stop the others.

    Raises
    ------
    BadInputError
        If no session, or more than one, is meant, or nothing is in it.
    SessionError
        If it cannot be read.
    ExportError
        If a file is there already, or the folder cannot be made.
    """
    path = _path_of(identity)
    content = read(path)
    for problem in content.problems:
        warn(problem)
    jobs = list(_jobs(content, folder))
    if not jobs:
        raise BadInputError(f"There is nothing to export in {str(path)!r}; choose another session.")
    for target, _ in jobs:
        if not overwrite and os.path.lexists(target):
            raise ExportError(
                f"{str(target)!r} exists already; choose another folder, or add --overwrite."
            )
    make_folder(folder)
    code = 0
    for target, write in jobs:
        try:
            write(target)
        except MSDError as error:
            print_message(error)
            code = 2
        else:
            print(target, flush=True)
    return code


def _jobs(content: SessionContent, folder: Path) -> Iterator[tuple[Path, Callable[[Path], Path]]]:
    """Each file, and what writes it."""
    layers = [
        (annotation.name, annotation.document, bound)
        for annotation in content.annotations
        for bound in annotation.document.sources.values()
    ]
    names = [(name, "annotation") for name, _, _ in layers]
    for target, (_, document, bound) in zip(_targets(folder, names, ".tif"), layers, strict=True):
        yield target, partial(_export_labels, document, bound)
    models = [
        (image.reference.name, version)
        for image in content.images
        if (version := _newest(image)) is not None
    ]
    names = [(name, "image") for name, _ in models]
    targets = _targets(folder, names, model_file.SUFFIX)
    for target, (name, version) in zip(targets, models, strict=True):
        yield target, partial(_export_model, name, version)


def _row(summary: SessionSummary) -> dict[str, object]:
    changed = datetime.fromtimestamp(summary.last_change, UTC)
    return {
        "id": summary.id,
        "path": str(summary.path),
        "last_change": changed.isoformat(timespec="seconds"),
        "images": summary.images,
        "annotations": summary.annotations,
        "painted": summary.painted,
        "strokes": summary.strokes,
        "size": summary.size,
        "in_use": summary.in_use,
        "ended_properly": summary.ended_properly,
        "problem": summary.problem,
    }


def _about(summary: SessionSummary) -> str:
    if summary.problem:
        return summary.problem
    names = [clean_class_name(name) or "?" for name in summary.images]
    text = f"{named(names) or 'no image'}, {summary.strokes} strokes"
    if summary.in_use:
        return f"{text}, open"
    return text if summary.ended_properly else f"{text}, interrupted"


def _path_of(identity: str) -> Path:
    if identity.endswith(SUFFIX):
        return Path(identity)
    known = [summary for summary in summaries() if summary.id]
    found = [summary for summary in known if summary.id == identity] or [
        summary
        for summary in known
        if len(identity) >= _SHORTEST_PREFIX and summary.id.startswith(identity)
    ]
    if not found:
        raise BadInputError(
            f"There is no session {identity!r}; see napari-msd sessions, or give a file's path."
        )
    if len(found) > 1:
        paths = ", ".join(repr(str(summary.path)) for summary in found[:3])
        raise BadInputError(f"Several sessions are called {identity!r}; give a path: {paths}.")
    return found[0].path


def _targets(folder: Path, names: Sequence[tuple[str, str]], suffix: str) -> Iterator[Path]:
    """A file in `folder` for each name, or its substitute; none twice, on any file system."""
    taken: set[str] = set()
    for name, otherwise in names:
        stem, number = file_stem(name, otherwise), 1
        target = stem
        while target.casefold() in taken:
            number += 1
            target = f"{stem}_{number}"
        taken.add(target.casefold())
        yield folder / (target + suffix)


def _newest(image: SavedImage) -> Version | None:
    def present(history: History) -> Version:
        return history.present or history.versions[-1]

    versions = [present(history) for history in image.histories.values() if history.versions]
    return max(versions, key=lambda version: version.figures.created, default=None)


def _export_labels(document: Document, bound: BindSource, target: Path) -> Path:
    space = bound.space
    require_room(repr(target.stem), space.shape, _BYTES_PER_PIXEL)
    labels = np.zeros(space.shape, np.uint8)
    whole = Box.whole(bound.source, space.shape)
    for box, values in document.annotation.chunks():
        if box.source == bound.source:
            inside = box.intersect(whole)
            labels[inside.slices] = values[inside.within(box).slices]
    return export_labels(
        target,
        labels,
        class_names={info.value: info.name for info in document.classes.values()},
        scale=space.pixel_size,
        units=space.units,
        axes=list(space.axes),
    )


def _export_model(name: str, version: Version, target: Path) -> Path:
    title = f"The newest model of {clean_class_name(name) or 'an image'}"
    return ModelRecord.from_bytes(version.model, title).write(target)
