"""Zarr arrays and OME-Zarr images on this machine's disks, of unknown origin."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_msd.core.errors import ImageError
from napari_msd.images import ome_zarr
from napari_msd.images.free_memory import require_room
from napari_msd.images.ome_zarr import Multiscale
from napari_msd.images.tiff_series import axis_letters

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import zarr

_MARKS = ("zarr.json", ".zgroup", ".zarray")
_MAX_JSON = 2**26
"""Bytes of metadata; zarr reads all of them at once."""

_CODECS = {
    *("blosc", "zstd", "gzip", "zlib", "lz4", "bz2", "lzma", "bytes", "transpose", "crc32c"),
    *("crc32", "adler32", "fletcher32", "shuffle", "delta", "fixedscaleoffset", "packbits"),
    *("bitround", "quantize", "astype", "zfpy", "pcodec", "sharding_indexed"),
}
"""What may decode chunks. Others, like zarr's pickle, run code that the file holds."""


def is_zarr(path: Path) -> bool:
    """Whether a folder is a zarr array or group."""
    try:
        return any((path / mark).is_file() for mark in _MARKS)
    except OSError:
        return False


def open_zarr(path: Path, series: int = 0) -> tuple[zarr.Array[Any], Multiscale]:
    """Open an array for reading, and what is said of it.

    Parameters
    ----------
    path
        Folder of an OME-Zarr image, or of an array.
    series
        Which image, where a folder holds several (as bioformats2raw writes them).

    Raises
    ------
    ImageError
        Half a sentence; zarr raises many other errors for damaged folders.
    """
    import zarr
    from zarr.storage import LocalStore

    _require_small_metadata(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of metadata that zarr does not know
        found = zarr.open(LocalStore(path, read_only=True), mode="r")
        if isinstance(found, zarr.Group):
            found, about = _of_group(found, path, series)
        elif series:
            raise ImageError("it holds one image only")
        else:
            about = _of_array(found)
    _require_harmless(found)
    require_room(repr(str(path)), found.chunks, found.dtype.itemsize)
    return found, about


def open_levels(path: Path) -> list[zarr.Array[Any]]:
    """The levels of an OME-Zarr that this package wrote, the largest first.

    Raises
    ------
    ImageError
        Half a sentence.
    """
    import zarr
    from zarr.storage import LocalStore

    first, about = open_zarr(path)
    group = zarr.open_group(LocalStore(path, read_only=True), mode="r")
    levels = [first]
    while isinstance(level := group.get(str(len(levels))), zarr.Array) and about.path == "0":
        _require_harmless(level)
        levels.append(level)
    return levels


def _of_group(group: zarr.Group, path: Path, series: int) -> tuple[zarr.Array[Any], Multiscale]:
    import zarr

    attributes = dict(group.attrs)
    content = attributes.get("ome", attributes)
    content = content if isinstance(content, dict) else {}
    if "plate" in content or "well" in content:
        raise ImageError("it is a plate of many images; name one of them, like plate.zarr/A/1/0")
    if "multiscales" not in content and (
        "bioformats2raw.layout" in content or isinstance(group.get(str(series)), zarr.Group)
    ):
        inside = path / str(series)
        if not is_zarr(inside):
            raise ImageError(f"it has no image {series}")
        return open_zarr(inside)
    if series:
        raise ImageError("it holds one image only")
    if "multiscales" not in content:
        raise ImageError("it holds no OME-Zarr image; name the folder of one of its arrays")

    def shape_of(name: str) -> tuple[int, ...] | None:
        inside = group.get(name)
        return inside.shape if isinstance(inside, zarr.Array) else None

    about = ome_zarr.described(attributes, shape_of)
    found = group[about.path]
    assert isinstance(found, zarr.Array)
    return found, about


def _of_array(array: zarr.Array[Any]) -> Multiscale:
    """Axes of an array that is no OME-Zarr: zarr's own names, or those that xarray writes."""
    names: object = getattr(array.metadata, "dimension_names", None)
    names = names or array.attrs.get("_ARRAY_DIMENSIONS")
    letters = "Q" * array.ndim
    if isinstance(names, list | tuple) and len(names) == array.ndim:
        letters = "".join(_letter(name) for name in names)
    return Multiscale("", axis_letters(letters, array.shape), None, None, (), None)


def _letter(name: object) -> str:
    text = str(name).upper()
    known = {"TIME": "T", "CHANNEL": "C", "CHANNELS": "C", "FRAME": "T", "SLICE": "Z"}
    return known.get(text, text if text in {"T", "C", "Z", "Y", "X", "S"} else "Q")


def _require_small_metadata(path: Path) -> None:
    for name in (*_MARKS, ".zattrs", ".zmetadata"):
        file = path / name
        if file.is_file() and file.stat().st_size > _MAX_JSON:
            raise ImageError("its metadata are too large")


def _require_harmless(array: zarr.Array[Any]) -> None:
    """Refuse chunks that anything but a known codec would decode."""
    for name in _codecs(array.metadata.to_dict()):
        if name.lower().removeprefix("numcodecs.") not in _CODECS:
            raise ImageError(f"its chunks need {name[:40]!r}, which this program does not run")


def _codecs(metadata: Any) -> Iterator[str]:
    """Names of all codecs in an array's metadata: filters, compressors, codecs inside shards."""
    entries: list[Any] = [metadata.get("compressor"), *(metadata.get("filters") or ())]
    entries += metadata.get("codecs") or ()
    for entry in entries:
        if entry is None:
            continue
        described = entry if isinstance(entry, dict) else _config(entry)
        yield str(described.get("name", described.get("id", "")))
        inside = described.get("configuration")
        if isinstance(inside, dict):
            yield from _codecs({"codecs": _inner(inside)})


def _config(codec: Any) -> dict[str, Any]:
    """What a codec says of itself, in zarr's formats 2 and 3."""
    told: dict[str, Any] = codec.get_config() if hasattr(codec, "get_config") else codec.to_dict()
    return told


def _inner(configuration: dict[str, Any]) -> Iterable[Any]:
    return [*(configuration.get("codecs") or ()), *(configuration.get("index_codecs") or ())]
