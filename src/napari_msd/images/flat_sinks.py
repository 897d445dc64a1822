"""TIFF and NPY files of results that are written box by box, in any order.

Their values lie in one piece and are not compressed. They are written with the file's own calls
and not through a memory map: a full disk is an error then, and not the end of the process.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Literal

import numpy as np
import tifffile

from napari_msd.core.errors import ExportError
from napari_msd.images.atomic import PendingFile, explain
from napari_msd.images.npy_text import npy_text
from napari_msd.images.tiff_flavour import tiff_flavour

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from napari_msd.core.axes import AxisOrder
    from napari_msd.core.box import Box
    from napari_msd.images.result import Result


class FlatSink:
    """Values in one piece of a file; see `napari_msd.core.source.Sink`.

    Parameters
    ----------
    pending
        The file, with its header.
    order
        Its axes.
    dtype
        Of its values, with their byte order.
    offset
        Where they begin, in bytes.
    ending
        What stands behind them.
    """

    def __init__(
        self,
        pending: PendingFile,
        order: AxisOrder,
        dtype: np.dtype[np.generic],
        offset: int,
        ending: bytes = b"",
    ) -> None:
        self._pending, self._order, self._dtype, self._offset = pending, order, dtype, offset
        self._ending = ending

    @property
    def path(self) -> Path:
        """The file that is written."""
        return self._pending.target

    def write(self, box: Box, values: npt.NDArray[np.generic]) -> None:
        """Write the values of a box, see `napari_msd.core.source.Sink`."""
        own = np.ascontiguousarray(self._order.from_space(values), self._dtype)
        starts = [
            part.indices(n)[0]
            for part, n in zip(self._order.slices(box), self._order.shape, strict=True)
        ]
        runs = _runs(own.shape, self._order.shape)
        rows = own.reshape(*own.shape[:runs], -1)
        try:
            for index in np.ndindex(*own.shape[:runs]):
                at = [s + i for s, i in zip(starts, (*index, *(0,) * own.ndim), strict=False)]
                flat = int(np.ravel_multi_index(at, self._order.shape))
                self._pending.file.seek(self._offset + flat * self._dtype.itemsize)
                self._pending.file.write(rows[index].tobytes())
        except OSError as error:
            raise self._refused(error) from error

    def close(self) -> None:
        """The file is complete, and has its name."""
        try:
            file = self._pending.file
            size = int(np.prod(self._order.shape, dtype=object)) * self._dtype.itemsize
            file.seek(0, 2)
            if file.tell() < self._offset + size:
                file.truncate(self._offset + size)
            file.seek(self._offset + size)
            file.write(self._ending)
            self._pending.publish()
        except OSError as error:
            self.discard()
            raise self._refused(error) from error

    def discard(self) -> None:
        """Remove it; a file that was there before stays."""
        self._pending.discard()

    def _refused(self, error: OSError) -> ExportError:
        return ExportError(f"Cannot write {str(self.path)!r}: {explain(error)}.")


def tiff_sink(path: Path, result: Result) -> FlatSink:
    """A TIFF to write results to: an ImageJ hyperstack if it can be one, else a BigTIFF with OME.

    Raises
    ------
    ExportError, BadInputError
        If it cannot be written, or has more than five axes.
    """
    order = result.order(channels_before="YX")
    dtype = result.dtype
    highest = max((info.value for info in result.classes), default=1)
    flavour = tiff_flavour(
        path,
        order.shape,
        dtype,
        result.about(order.axes),
        highest={"labels": highest, "uncertainty": 255}.get(result.what, 1),
        channels=result.channels,
        ours=result.what == "labels",
    )
    endian: Literal[">", "<"] = ">" if flavour.imagej else "<"
    pending = _pending(path, order, dtype)
    try:
        written = tifffile.imwrite(
            pending.file,
            shape=order.shape,
            dtype=dtype,
            byteorder=endian,
            returnoffset=True,
            **flavour.options,
        )
        assert written is not None
        return FlatSink(pending, order, dtype.newbyteorder(endian), written[0])
    except BaseException:
        pending.discard()
        raise


def npy_sink(path: Path, result: Result) -> FlatSink:
    """An NPY file to write results to; the channels of probabilities come first, as in Python.

    Raises
    ------
    ExportError, BadInputError
        As `tiff_sink`.
    """
    order = result.order(channels_before=result.space.axes)
    dtype = result.dtype
    ending = npy_text(result.about(order.axes).to_json()) if result.what == "labels" else b""
    pending = _pending(path, order, dtype)
    header = {
        "descr": np.lib.format.dtype_to_descr(dtype),
        "fortran_order": False,
        "shape": order.shape,
    }
    np.lib.format.write_array_header_1_0(pending.file, header)
    return FlatSink(pending, order, dtype, pending.file.tell(), ending)


def _pending(path: Path, order: AxisOrder, dtype: np.dtype[np.generic]) -> PendingFile:
    """A new file, if there is room for it."""
    pending = PendingFile(path)
    size = int(np.prod(order.shape, dtype=object)) * dtype.itemsize
    free = shutil.disk_usage(pending.target.parent).free
    if size > free:
        pending.discard()
        raise ExportError(
            f"Cannot write {str(path)!r}: it needs {size / 2**30:.1f} GiB, and "
            f"{free / 2**30:.1f} are free on this disk; free some space or choose another folder."
        )
    return pending


def _runs(shape: tuple[int, ...], whole: tuple[int, ...]) -> int:
    """How many first axes of a box have to be walked; the rest of it lies in one piece."""
    axes = len(shape) - 1
    while axes > 0 and shape[axes] == whole[axes]:
        axes -= 1
    return axes
