"""Brings the layers of a saved session back into a viewer."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels

from napari_msd.core.errors import MSDError, SessionError
from napari_msd.images.free_memory import require_room
from napari_msd.images.napari_writer import CLASSES_KEY
from napari_msd.session.ports import SOURCE
from napari_msd.storage import SUFFIX
from napari_msd.viewer import layers
from napari_msd.viewer.axes import origin
from napari_msd.viewer.colors import SPARE_COLORS, label_colormap
from napari_msd.viewer.label_data import is_large, new_strokes
from napari_msd.viewer.new_annotation import new_annotation
from napari_msd.viewer.references import matching, restore_axes
from napari_msd.viewer.result_layers import is_result
from napari_msd.viewer.splitting import split_channels

if TYPE_CHECKING:
    from napari_msd.storage import JSON, ImageReference, SavedAnnotation, SessionContent

_NEVER_OPENED = (".py", ".pyc", ".pyw", ".npz", ".pkl", ".pickle", SUFFIX)
"""Programs, and files whose readers may run programs: a session file is not trusted to name one.
Two sessions that name each other would be opened in turns for ever."""


_OWN_SAMPLES = ("napari", "napari-msd")
_MAX_LAYERS = 500


def is_elsewhere(path: str) -> bool:
    """Whether a path is an address or on another computer: opening it tells others about it."""
    slashes = path.replace("\\", "/")  # Windows takes both, also mixed
    return "://" in path or slashes.startswith(("//", "/??/"))


def asks_first(reference: ImageReference) -> bool:
    """Whether the person decides if this image is opened.

    Addresses and other computers are told of it; a sample of another plugin is a program.
    """
    plugin = reference.sample[0]
    return is_elsewhere(reference.path) or plugin not in ("", *_OWN_SAMPLES)


def require_possible(content: SessionContent) -> None:
    """Refuse a session whose layers are too many, or too large together.

    Raises
    ------
    MSDError
        One sentence; nothing was added.
    """
    if max(len(content.images), len(content.annotations)) > _MAX_LAYERS:
        raise SessionError(
            f"The session has more than {_MAX_LAYERS} layers; "
            "`napari-msd sessions export` writes them as files."
        )
    documents = [annotation.document for annotation in content.annotations]
    shapes = [d.sources[SOURCE].space.shape for d in documents if SOURCE in d.sources]
    pixels = sum(prod(shape) for shape in shapes if not is_large(shape))
    require_room("The session", (pixels,), 1)


def find_image(viewer: Any, reference: ImageReference) -> Any:
    """The image layer that is open already, or ``None``."""
    present = [layer for layer in viewer.layers if not is_result(layer)]
    named = [layer for layer in present if layer.name == reference.name]
    # channels of one array are told apart by their place in it, whatever they are called by now
    parts = [layer for layer in present if reference.part and _same_path(layer, reference)]
    found = matching(reference, parts or named)
    if found is None or not _may_be_same_path(found, reference):
        return None
    if reference.part is not None:
        found.name = reference.name  # splitting has named all channels of the array
    restore_axes(reference, found)
    return found


def _same_path(layer: Any, reference: ImageReference) -> bool:
    path = origin(layer).path
    return bool(path and reference.path) and Path(path) == Path(reference.path)


def _may_be_same_path(layer: Any, reference: ImageReference) -> bool:
    return not (origin(layer).path and reference.path) or _same_path(layer, reference)


def open_image(viewer: Any, reference: ImageReference, path: str = "") -> Any:
    """Open the image of a session.

    Parameters
    ----------
    viewer
        Gets the layers.
    reference
        What the session says of it.
    path
        Where it is now; by default where it was.

    Raises
    ------
    SessionError
        If it is not there, or is another one; one sentence. No layer is added then.
    """
    before = set(viewer.layers)
    try:
        opened = _open(viewer, reference, path)
        if reference.part is not None:
            opened += _split_for(viewer, reference, opened)
        image = matching(reference, opened)
        if image is None:
            raise SessionError(
                f"{Path(path or reference.path).name} does not contain an image of "
                f"{' × '.join(map(str, reference.shape))} pixels like “{reference.name}”."
            )
    except BaseException:
        for layer in [layer for layer in viewer.layers if layer not in before]:
            viewer.layers.remove(layer)
        raise
    if reference.sample != ("", ""):  # its strokes are those of the session
        for layer in [layer for layer in opened if layers.is_labels(layer)]:
            viewer.layers.remove(layer)
    if reference.part is not None:
        image.name = reference.name
    restore_axes(reference, image)
    return image


def _split_for(viewer: Any, reference: ImageReference, opened: list[Any]) -> list[Any]:
    """Split the array that holds the image of a reference, as it was split; its channels."""
    assert reference.part is not None  # the caller has looked
    axis, index = reference.part
    for layer in opened:
        shape = layers.spatial_shape(layer) if layers.is_image(layer) else ()
        fits = shape[:axis] + shape[axis + 1 :] == reference.shape
        if fits and axis < len(shape) - 2 and index < shape[axis]:
            made = split_channels(viewer, layer, axis)
            viewer.layers.remove(layer)
            return made
    return []


def _open(viewer: Any, reference: ImageReference, path: str) -> list[Any]:
    where = path or reference.path
    try:
        if not path and reference.sample != ("", ""):
            return list(viewer.open_sample(*reference.sample))
        if not where:
            raise SessionError(f"“{reference.name}” was not opened from a file.")
        # "a.py/" and, on Windows, "a.py." and "a.py " are a.py, too
        if Path(where).name.rstrip(". ").lower().endswith(_NEVER_OPENED):
            raise SessionError(f"{Path(where).name} is not an image; choose the image file.")
        if not is_elsewhere(where):
            if not Path(where).exists():
                raise SessionError(f"{where[:200]} is not there.")
            if not (Path(where).is_file() or Path(where).is_dir()):  # a device may never end
                raise SessionError(f"{where[:200]} is not a file.")
        try:
            return list(viewer.open(where, plugin=reference.reader or "napari"))
        except (ValueError, ImportError):  # the plugin that read it is not installed here
            return list(viewer.open(where, plugin=None))
    except MSDError:
        raise
    except Exception as error:  # readers of other plugins raise anything
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise SessionError(f"“{reference.name}” cannot be opened: {reason[0][:200]}") from error


def add_annotation(viewer: Any, image: Any, saved: SavedAnnotation, hidden: JSON = None) -> Any:
    """Add the annotation layer of a session, over its image if that was found.

    `hidden` lists the values of classes that are not shown in the segmentation.

    Raises
    ------
    MSDError
        If it does not fit into memory; one sentence.
    """
    bound = saved.document.sources.get(SOURCE)
    if bound is None:
        raise SessionError(f"“{saved.name}” has no image, and nothing painted.")
    shape = bound.space.shape
    if image is not None and layers.spatial_shape(image) != shape:
        image = None
    values = new_strokes(shape)
    if isinstance(values, np.ndarray):
        require_room(f"“{saved.name}”", shape, 1)
    for chunk, painted in saved.document.annotation.chunks():
        box = chunk.clip(shape)
        values[box.slices] = painted[box.within(chunk).slices]
    name = layers.free_name(saved.name, {layer.name for layer in viewer.layers})
    if image is not None:
        layer = new_annotation(image, name, 1, values)
    else:
        layer = Labels(values, name=name, multiscale=False, axis_labels=tuple(bound.space.axes))
    layer.metadata[CLASSES_KEY] = {
        str(info.value): {"name": info.name, "color": info.color} | _visibility(info.value, hidden)
        for info in saved.document.classes.values()
    }
    # also for one that is not chosen: its strokes may be made visible beside those of another image
    colors = {info.value: info.color for info in saved.document.classes.values()}
    layer.colormap = label_colormap(colors, spare=SPARE_COLORS)
    viewer.layers.append(layer)
    return layer


def _visibility(value: int, hidden: JSON) -> dict[str, bool]:
    return {"visible": False} if isinstance(hidden, list) and value in hidden else {}
