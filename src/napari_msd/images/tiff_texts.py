"""The texts of a TIFF: this package's metadata among them, and OME-XML."""

from __future__ import annotations

from typing import Any

import tifffile

from napari_msd.images.label_metadata import METADATA_KEY, LabelMetadata

METADATA_LINE = f"{METADATA_KEY}="
"""What a line with this package's metadata begins with."""


def described(tif: tifffile.TiffFile, ndim: int) -> LabelMetadata | None:
    """Find this package's metadata among a TIFF's texts."""
    for text in texts_of(tif):
        for line in text.splitlines():
            if line.startswith(METADATA_LINE):
                return LabelMetadata.from_json(line.partition("=")[2], ndim)
    return None


def texts_of(tif: tifffile.TiffFile) -> list[str]:
    """The texts of a TIFF that may hold this package's metadata, as other programs show them."""
    texts = [str((tif.imagej_metadata or {}).get("Info", ""))]
    if tif.ome_metadata:
        image = ome_image(tif.ome_metadata)
        texts.append(str(image.get("Description", "")))
    return texts


def ome_image(text: str, number: int = 0) -> dict[str, Any]:
    """One image of an OME-XML; empty if there is none."""
    images = first_element(tifffile.xml2dict(text).get("OME")).get("Image")
    if isinstance(images, list):
        images = images[number] if number < len(images) else None
    return first_element(images)


def first_element(element: object) -> dict[str, Any]:
    """An XML element as `xml2dict` returns it; the first one of several."""
    first = element[0] if isinstance(element, list) and element else element
    return first if isinstance(first, dict) else {}
