"""Whether a file holds labels that this package exported, without reading any pixel."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import tifffile
from PIL import Image

from napari_msd.images.checked_json import parse_json
from napari_msd.images.label_metadata import MAX_TEXT, METADATA_KEY
from napari_msd.images.npy_text import read_npy_text
from napari_msd.images.tiff_texts import METADATA_LINE, texts_of
from napari_msd.images.zarr_files import is_zarr

if TYPE_CHECKING:
    import os


def holds_our_labels(path: str | os.PathLike[str]) -> bool:
    """Whether this package exported the labels in a file, by its header alone.

    Reads no pixels and raises nothing, whatever the file holds: one that cannot be read is not
    ours. The file's suffix decides where the mark would be.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    try:
        if is_zarr(path):
            about = parse_json((path / "zarr.json").read_bytes()[:MAX_TEXT])
            return bool(about["attributes"]["napari-msd"]["what"] == "labels")
        if suffix in (".tif", ".tiff"):
            with tifffile.TiffFile(path) as tif:
                return any(METADATA_LINE in text for text in texts_of(tif))
        if suffix == ".npy":
            return read_npy_text(path) is not None
        if suffix == ".png":
            with Image.open(path, formats=["PNG"]) as picture:
                return METADATA_KEY in picture.info  # what stands before the pixels
    except Exception:  # readers raise all kinds of errors for damaged files
        return False
    return False
