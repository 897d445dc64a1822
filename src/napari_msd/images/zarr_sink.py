"""OME-Zarr of a result, written block by block; what a crash interrupts can be gone on with.

The blocks lie in a hidden folder beside the target, and a list says which of them are done and of
which network. `close` gives the image its name. A process that is killed leaves the folder; opening
the same result again finds what is done. At most the block being written is lost; a power failure
may cost what the system had not yet written to disk.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_msd.core.errors import BadInputError, ExportError, ModelFileError
from napari_msd.images import ome_zarr_writing
from napari_msd.images.atomic import explain
from napari_msd.images.checked_json import parse_json
from napari_msd.images.label_metadata import MAX_TEXT
from napari_msd.images.progress_file import ProgressFile
from napari_msd.images.zarr_files import is_zarr

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt
    import zarr

    from napari_msd.core.box import Box
    from napari_msd.images.result import Result

SUFFIX = ".zarr"
_CHUNK = 512
_VOLUME_CHUNK = (16, 256, 256)
_SMALLEST_LEVEL = 1024
_MAX_LEVELS = 12
_OURS = "napari-msd"
_IMAGE, _REPLACED = "image.zarr", "replaced.zarr"


class OmeZarrSink:
    """An OME-Zarr image of a result; see `napari_msd.core.source.Sink`.

    Parameters
    ----------
    path
        The folder that it will be, with the suffix ``.zarr``.
    result
        What is written. An unfinished result at the same path is gone on with if it is the same:
        image, network, classes. Else it is thrown away.

    Raises
    ------
    ExportError
        If it cannot be written, something else has this name, or another process is writing it.

    Attributes
    ----------
    resumed
        Whether some of it was there already when it was opened.
    """

    def __init__(self, path: Path, result: Result) -> None:
        self.path = Path(os.path.abspath(path))  # noqa: PTH100 - without following links
        if self.path.suffix.lower() != SUFFIX:
            raise BadInputError(f"{path.name!r} must end in .ome.zarr to hold an OME-Zarr.")
        self._result = result
        self._order = result.order()
        self._work = _work_folder(self.path)
        try:
            self._require_replaceable()
            self._work.mkdir(exist_ok=True)
            self._put_back()
            self._progress = ProgressFile(self._work, _identity(result), result.space.shape)
        except BlockingIOError as error:
            raise ExportError(
                f"Cannot write {str(self.path)!r}: it is being written already; "
                "wait until that is done, or choose another name."
            ) from error
        except OSError as error:
            raise self._refused(error) from error
        try:
            if not self._progress.known or not is_zarr(self._work / _IMAGE):
                self._begin()
            self._levels = self._open_levels()
        except OSError as error:
            self._progress.close()
            raise self._refused(error) from error
        except BaseException:
            self._progress.close()
            raise
        self.resumed = self._progress.anything

    # --- what is done ---------------------------------------------------------------------

    def is_done(self, box: Box) -> bool:
        """Whether all of a box was written, also by an earlier process."""
        return self._progress.is_done(box)

    def missing(self, boxes: Iterable[Box]) -> list[Box]:
        """Those of `boxes` that are not done."""
        return [box for box in boxes if not self._progress.is_done(box)]

    # --- writing --------------------------------------------------------------------------

    def write(self, box: Box, values: npt.NDArray[np.generic]) -> None:
        """Write the values of a box at all levels, then note that it is done."""
        own = np.asarray(self._order.from_space(values), self._result.dtype)
        slices = self._order.slices(box)
        try:
            for level, array in enumerate(self._levels):
                step = 2**level
                inside, target = _level_slices(self._order.axes, slices, step)
                part = own[inside]
                if part.size:
                    array[target] = part
            self._progress.note(box)
        except OSError as error:
            raise self._refused(error) from error

    def close(self) -> None:
        """Give it its name; what had the name is replaced."""
        try:
            if self._progress.is_done(self._result.space.whole(0)):
                self._mark_complete()
            self._require_replaceable()
            if self.path.exists():
                self.path.rename(self._work / _REPLACED)
            (self._work / _IMAGE).rename(self.path)
        except OSError as error:
            raise self._refused(error) from error
        finally:
            self._progress.close()
        shutil.rmtree(self._work, ignore_errors=True)

    def leave(self) -> None:
        """Stop writing; opening the same result again goes on from here."""
        self._progress.close()

    def discard(self) -> None:
        """Throw away what was written; an image that was there before stays."""
        self._progress.close()
        shutil.rmtree(self._work, ignore_errors=True)

    # --- inside ---------------------------------------------------------------------------

    def _require_replaceable(self) -> None:
        """Refuse to replace anything but an image in this format."""
        if self.path.exists() and not is_zarr(self.path):
            raise ExportError(
                f"Cannot write {str(self.path)!r}: there is something else of this name; "
                "choose another name."
            )

    def _mark_complete(self) -> None:
        """Say in the image what it is, for `is_complete`."""
        import zarr
        from zarr.storage import LocalStore

        group = zarr.open_group(LocalStore(self._work / _IMAGE), mode="r+")
        told = {"what": self._result.what, "network": self._result.network}
        group.attrs[_OURS] = told | {"complete": _digest(_identity(self._result))}

    def _put_back(self) -> None:
        """An image that `close` was about to replace when its process was killed is there again."""
        replaced = self._work / _REPLACED
        if replaced.exists() and not self.path.exists():
            replaced.rename(self.path)
        shutil.rmtree(replaced, ignore_errors=True)

    def _begin(self) -> None:
        """Create the image with its levels, all of it missing."""
        import zarr
        from zarr.storage import LocalStore

        self._progress.forget()
        image = self._work / _IMAGE
        shutil.rmtree(image, ignore_errors=True)
        result, order = self._result, self._order
        factors = _factors(order.axes, order.shape)
        about = result.about(order.axes)
        labels = {
            info.value: (info.name or f"class {info.value}", info.color) for info in result.classes
        }
        attributes = ome_zarr_writing.attributes(
            self.path.name.removesuffix(SUFFIX).removesuffix(".ome"),
            order.axes,
            about.scale,
            about.units,
            factors,
            channels=[
                (name, info.color)
                for name, info in zip(result.channels, result.classes, strict=False)
            ],
            classes=labels if result.what == "labels" else None,
        )
        attributes[_OURS] = {"what": result.what, "network": result.network}
        group = zarr.create_group(LocalStore(image), zarr_format=3, attributes=attributes)
        for level, smaller in enumerate(factors):
            shape = tuple(
                -(-n // smaller.get(letter, 1))
                for letter, n in zip(order.axes, order.shape, strict=True)
            )
            group.create_array(
                str(level),
                shape=shape,
                chunks=_chunks(order.axes, shape, result.space.convolved),
                dtype=result.dtype,
                fill_value=0,
                dimension_names=[letter.lower() for letter in order.axes],
            )

    def _open_levels(self) -> list[zarr.Array[Any]]:
        import zarr
        from zarr.storage import LocalStore

        group = zarr.open_group(LocalStore(self._work / _IMAGE), mode="r+")
        n_levels = len(_factors(self._order.axes, self._order.shape))
        levels = [group[str(level)] for level in range(n_levels)]
        return [level for level in levels if isinstance(level, zarr.Array)]

    def _refused(self, error: OSError) -> ExportError:
        return ExportError(f"Cannot write {str(self.path)!r}: {explain(error)}.")


def is_complete(path: Path, result: Result) -> bool:
    """Whether an image on disk holds all of this very result: of the same image and network."""
    try:
        content = parse_json((path / "zarr.json").read_bytes()[:MAX_TEXT])
        told = content["attributes"][_OURS]["complete"]
    except (OSError, ModelFileError, KeyError, TypeError):
        return False
    return bool(told == _digest(_identity(result)))


def _identity(result: Result) -> dict[str, Any]:
    """What must agree for an unfinished result to be gone on with."""
    order = result.order()
    return {
        "format": 1,
        "what": result.what,
        "network": result.network,
        "origin": result.origin,
        "axes": order.axes,
        "shape": list(order.shape),
        "convolved": result.space.convolved,
        "classes": [[info.value, info.name, info.color] for info in result.classes],
    }


def _digest(identity: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


def _work_folder(path: Path) -> Path:
    """Hidden folder beside the target; its name is always the same for one target."""
    number = zlib.crc32(path.name.encode(errors="replace"))
    return path.with_name(f".{path.name[:20]}.{number:08x}.napari-msd-unfinished")


def _factors(axes: str, shape: tuple[int, ...]) -> list[dict[str, int]]:
    """How much smaller each level is: Y and X are halved until both are small."""
    side = max(shape[axes.index("Y")], shape[axes.index("X")])
    found: list[dict[str, int]] = [{}]
    while side > _SMALLEST_LEVEL and len(found) < _MAX_LEVELS:
        side = -(-side // 2)
        step = 2 ** len(found)
        found.append({"Y": step, "X": step})
    return found


def _chunks(axes: str, shape: tuple[int, ...], convolved: int) -> tuple[int, ...]:
    sizes = dict(zip("ZYX", _VOLUME_CHUNK, strict=True)) if convolved == 3 else {}
    usual = {"Y": _CHUNK, "X": _CHUNK} | sizes
    return tuple(min(n, usual.get(letter, 1)) for letter, n in zip(axes, shape, strict=True))


def _level_slices(
    axes: str, box: tuple[slice, ...], step: int
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Which pixels of a box are on a level (every `step`-th of the image), and where they are."""
    inside, target = [], []
    for letter, part in zip(axes, box, strict=True):
        if letter not in "YX" or step == 1:
            inside.append(slice(None))
            target.append(part)
            continue
        first, last = -(-part.start // step), -(-part.stop // step)
        inside.append(slice(first * step - part.start, None, step))
        target.append(slice(first, last))
    return tuple(inside), tuple(target)
