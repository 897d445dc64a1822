"""Opens an image file of any size: nothing but its header is read until boxes are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import tifffile

from napari_msd.core.errors import ImageError
from napari_msd.images.chunk_cache import CachedArray
from napari_msd.images.free_memory import require_room
from napari_msd.images.image_files import TIFF_SUFFIXES, ImageFile, read_image, reading
from napari_msd.images.label_metadata import LabelMetadata
from napari_msd.images.mapped import MappedArray
from napari_msd.images.npy_text import read_npy_text
from napari_msd.images.ome_zarr import tells_sizes
from napari_msd.images.reduced import Pixels
from napari_msd.images.sources import AxesSource
from napari_msd.images.tiff_series import (
    axis_letters,
    channel_names,
    clean_names,
    pixel_sizes,
    require_complete,
    series_of,
)
from napari_msd.images.tiff_texts import described
from napari_msd.images.zarr_files import is_zarr, open_zarr

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from napari_msd.core.axes import AxisOrder
    from napari_msd.core.box import Box
    from napari_msd.core.space import Space

_WHOLE_PAGE = 2**22
"""Bytes of the largest page that is one chunk where it is not made of tiles."""


@dataclass(frozen=True)
class FileSource:
    """An image in a file, which stays open until `close`.

    Parameters
    ----------
    path
        The file or folder.
    inside
        Its array, with named axes.
    close
        Closes the file; boxes can no longer be read.
    """

    path: Path
    inside: AxesSource
    close: Callable[[], None]

    @property
    def space(self) -> Space:
        """See `napari_msd.core.source.Source`."""
        return self.inside.space

    @property
    def order(self) -> AxisOrder:
        """The axes as they are in the file."""
        return self.inside.order

    @property
    def axes(self) -> str:
        """Letters of the axes as they are in the file."""
        return self.order.axes

    def read(self, box: Box) -> Pixels:
        """Pixels of a box, see `napari_msd.core.source.Source`.

        Raises
        ------
        ImageError
            One sentence: the file is damaged, or is gone.
        """
        with reading(self.path):
            return self.inside.read(box)

    def choose_channels(self, numbers: Sequence[int]) -> FileSource:
        """The same image with some of its channels, in the order given, from 0 on."""
        return FileSource(self.path, self.inside.choose_channels(numbers), self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def open_source(
    path: str | os.PathLike[str], *, series: int = 0, axes: str | None = None
) -> FileSource:
    """Open an image without reading it.

    OME-Zarr and other zarr folders, TIFF and NPY are read box by box; other formats (PNG, JPEG,
    ...) are read into memory.

    Parameters
    ----------
    path
        A file, or a zarr folder.
    series
        Which image, from 0, of a TIFF or zarr folder that holds several.
    axes
        Letters of the axes where those of the file are wrong.

    Raises
    ------
    ImageError
        One sentence: missing, damaged, not an image, axes that do not fit.
    """
    path = Path(path)
    with reading(path):
        if is_zarr(path):
            return _open_zarr(path, series, axes)
        suffix = path.suffix.lower()
        if suffix in TIFF_SUFFIXES:
            return _open_tiff(path, series, axes)
        if series:
            raise ImageError(f"{str(path)!r} holds one image only; leave out its number.")
        if suffix == ".npy" and path.is_file():
            return _open_npy(path, axes)
        return _in_memory(path, read_image(path), axes)


def _open_zarr(path: Path, series: int, axes: str | None) -> FileSource:
    found, about = open_zarr(path, series)
    array = CachedArray(found)
    return _source(
        path,
        array,
        axes,
        about.axes,
        about.scale,
        about.units,
        lambda count: clean_names(about.channels, count),
        array.close,
    )


def _open_tiff(path: Path, series: int, axes: str | None) -> FileSource:
    tif = tifffile.TiffFile(path)
    try:
        try:
            found = series_of(tif, series)
        except IndexError as error:
            count = len(tif.series)
            raise ImageError(
                f"{str(path)!r} has no image {series}; its images are 0 to {count - 1}."
            ) from error
        require_room(repr(str(path)), found.keyframe.chunks, found.dtype.itemsize)
        require_complete(found, path)
        said = axis_letters(found.axes, found.shape)
        sizes = pixel_sizes(tif, series)
        about = described(tif, len(found.shape))
        scale = units = None
        if about is not None:
            said, scale, units = about.axes, about.scale, about.units
        elif sizes:
            scale = tuple(sizes[k].size if k in sizes else 1.0 for k in said)
            units = tuple(sizes[k].unit if k in sizes else "pixel" for k in said)
        array, close = _tiff_array(tif, found, path)
        return _source(
            path,
            array,
            axes,
            said,
            scale,
            units,
            lambda count: channel_names(tif, count, series),
            close,
        )
    except BaseException:
        tif.close()
        raise


def _tiff_array(
    tif: tifffile.TiffFile, series: tifffile.TiffPageSeries, path: Path
) -> tuple[Any, Callable[[], None]]:
    """The pixels, and what closes the file."""
    if series.dataoffset is not None:  # in one piece and not compressed
        mapped = MappedArray(
            np.memmap(path, tif.byteorder + series.dtype.char, "r", series.dataoffset, series.shape)
        )
        tif.filehandle.close()  # the descriptions have been read; the map has a handle of its own
        return mapped, mapped.close
    import zarr

    page = series.keyframe
    by_page = not page.is_tiled and page.nbytes <= _WHOLE_PAGE  # else by strips of a few rows
    store = series.aszarr(level=0, multiscales=False, chunkmode="page" if by_page else None)

    array = CachedArray(zarr.open_array(store, mode="r"))

    def close() -> None:
        array.close()
        store.close()
        tif.close()

    return array, close


def _open_npy(path: Path, axes: str | None) -> FileSource:
    # raises if the file is truncated
    mapped = MappedArray(np.load(path, mmap_mode="r", allow_pickle=False))
    ndim = len(mapped.shape)
    text = read_npy_text(path)
    about = LabelMetadata.from_json(text, ndim) if text else None
    if about is None:
        said = axis_letters("Q" * ndim, mapped.shape)
        return _source(path, mapped, axes, said, None, None, _no_names, mapped.close)
    return _source(
        path, mapped, axes, about.axes, about.scale, about.units, _no_names, mapped.close
    )


def _in_memory(path: Path, image: ImageFile, axes: str | None) -> FileSource:
    return _source(
        path, image.data, axes, image.axes, image.scale, image.units, _no_names, _nothing
    )


def _source(
    path: Path,
    array: Any,
    axes: str | None,
    said: str,
    scale: Sequence[float] | None,
    units: Sequence[str] | None,
    names: Callable[[int], tuple[str, ...] | None],
    close: Callable[[], None],
) -> FileSource:
    """Put together what is known of an image; letters that a person gives take precedence.

    The file's pixel sizes belong to its letters, so other letters take theirs along.
    """
    if axes is None and len(said) != len(array.shape):
        raise ImageError(
            f"{str(path)!r} has {len(array.shape)} axes; give an image of 2 (Y, X) to 5 "
            "(T, C, Z, Y, X)."
        )
    if units is not None and (scale is None or not tells_sizes(said, scale, units)):
        scale = units = None
    inside = AxesSource.of(array, axes or said, pixel_size=scale, units=units)
    found = names(inside.order.n_channels)
    if found is not None:
        inside = AxesSource.of(
            array, axes or said, pixel_size=scale, units=units, channel_names=found
        )
    return FileSource(path, inside, close)


def _no_names(_count: int) -> None:
    return None


def _nothing() -> None:
    """Nothing is open."""
