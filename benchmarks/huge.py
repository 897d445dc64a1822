"""Images larger than memory: how much memory, how long until the first answer, how quick the brush.

Three images: 200 x 16000 x 16000 of uint16 (102 GB) computed when it is read; the same as zarr
arrays with levels on disk, of which few chunks are written; and 20 x 8000 x 8000 without levels.
Each is opened in napari, painted on in the middle, and learned live.

Memory is that of both processes, the most of samples taken 10 times a second. *First answer* is the
time from pressing Live to a segmentation on screen, with an untrained network and the trainer up.
*Brush*: time from a mouse event to the end of the draw that shows it, while it trains.
*Gap*: the longest time between two turns of the window's event loop.

Run: ``xvfb-run -a -s "-screen 0 1400x900x24" python benchmarks/huge.py [--case zarr]``
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import dask.array as da
import numpy as np
import psutil
import zarr
from _gui import Session, machine
from qtpy.QtCore import QTimer
from ui_gap import Watch

_CHUNK = 512


class Texture:
    """Two textures in blobs, computed where they are read.

    Parameters
    ----------
    shape
        (slices, rows, columns).
    step
        Of a coarser level: every how many pixels.
    """

    dtype = np.dtype(np.uint16)

    def __init__(self, shape: tuple[int, int, int], step: int = 1) -> None:
        self.shape = (shape[0], -(-shape[1] // step), -(-shape[2] // step))
        self.ndim, self.size = 3, int(np.prod(self.shape))
        self.chunks = (1, _CHUNK, _CHUNK)
        self._step = step

    def __getitem__(self, key: tuple[int | slice, ...]) -> np.ndarray:
        keys = (*key, *(slice(None),) * (3 - len(key))) if isinstance(key, tuple) else (key,)
        keys = (*keys, *(slice(None),) * (3 - len(keys)))
        axes = [np.arange(n)[k] for k, n in zip(keys, self.shape, strict=True)]
        z, y, x = np.ix_(*(np.atleast_1d(axis) for axis in axes))
        y, x = y * self._step, x * self._step
        values = 20000 + 8000 * np.sin(y / 40 + z) * np.sin(x / 55)
        bright = np.sin(y / 170) + np.sin(x / 230 + z / 3) > 0
        values = (values + bright * 15000 + (y * 7919 + x * 104729) % 3000).astype(np.uint16)
        return values[tuple(0 if np.ndim(axis) == 0 else slice(None) for axis in axes)]


Levels = list[da.Array] | list[zarr.Array]
"""Finest first. Several are of dask, as readers of OME-Zarr give them: of zarr arrays with levels
napari reads all slices to show one.
"""


def lazy(shape: tuple[int, int, int]) -> Levels:
    """All levels, computed."""
    textures = [Texture(shape, 1 << level) for level in range(5)]
    return [da.from_array(t, chunks=t.chunks, meta=np.zeros((), t.dtype)) for t in textures]


def on_disk(shape: tuple[int, int, int], folder: Path, levels: int, reach: int) -> Levels:
    """Zarr arrays, written within `reach` pixels of the middle of the middle slice."""
    arrays = []
    for level in range(levels):
        texture = Texture(shape, 1 << level)
        array = zarr.create_array(
            str(folder / str(level)), shape=texture.shape, chunks=texture.chunks, dtype="uint16"
        )
        middle = [texture.shape[1] // 2, texture.shape[2] // 2]
        near = tuple(slice(max(0, m - reach), m + reach) for m in middle)
        array[(shape[0] // 2, *near)] = texture[(shape[0] // 2, *near)]
        arrays.append(array)
    return arrays if levels == 1 else [da.from_zarr(array) for array in arrays]


class HugeSession(Session):
    """The same as `Session`, on an image larger than memory."""

    def __init__(self, levels: Levels) -> None:
        self._levels = levels
        self.opened_s = 0.0
        super().__init__(0)

    def _open(self, size: int) -> None:
        began = perf_counter()
        data = self._levels if len(self._levels) > 1 else self._levels[0]
        self.image = self.viewer.add_image(
            data, multiscale=len(self._levels) > 1, contrast_limits=(0, 50000), name="image"
        )
        self.spin(0.1)
        self.opened_s = perf_counter() - began

    def _paint(self, size: int) -> None:
        shape = self._levels[0].shape
        self.z, self.middle = shape[0] // 2, (shape[1] // 2, shape[2] // 2)
        self.viewer.dims.set_current_step(0, self.z)
        self.viewer.scene.camera.center = (0.0, *map(float, self.middle))
        self.viewer.scene.camera.zoom = 1.0
        self.spin(1.0)
        self.layer.brush_size = 8
        bright = Texture(shape)[self.z, self.middle[0] - 300 : self.middle[0] + 300, :]
        for value, wanted in ((1, False), (2, True)):
            found = np.argwhere((bright > 30000) == wanted)
            found = found[np.abs(found[:, 1] - self.middle[1]) < 300]
            for row, column in found[:: max(1, len(found) // 30)]:
                self.layer.paint((self.z, int(row) + self.middle[0] - 300, int(column)), value)


class HugeWatch(Watch):
    """Paints along a circle around the middle."""

    def _pixel(self) -> tuple[float, float]:
        session = self._session
        return (
            session.middle[0] + 150 * np.sin(self._angle),
            session.middle[1] + 150 * np.cos(self._angle),
        )


class Memory:
    """The most memory of this process and its trainer together, in MiB."""

    def __init__(self) -> None:
        self.most = self.here = self.trainer = 0.0
        self._timer = QTimer(interval=100)
        self._timer.timeout.connect(self._sample)
        self._timer.start()

    def _sample(self) -> None:
        own = psutil.Process(os.getpid())
        here = own.memory_info().rss / 2**20
        trainer = sum(child.memory_info().rss for child in own.children(recursive=True)) / 2**20
        if here + trainer > self.most:
            self.most, self.here, self.trainer = here + trainer, here, trainer


def measure(name: str, levels: Callable[[], Levels], seconds: float) -> None:
    """One image."""
    began = perf_counter()
    session = HugeSession(levels())
    memory = Memory()
    print(
        f"{name}: open, add strokes {perf_counter() - began:.1f} s (image {session.opened_s:.1f} s)"
    )
    session.wait_for(lambda: session.controller.ready is not None)
    session.spin(1.0)
    print(f"  memory before Live {memory.here:.0f} + {memory.trainer:.0f} MiB")
    began = perf_counter()
    session.live(True)
    session.wait_for(lambda: session.overlay.has_content, 120)
    session.viewer.screenshot(canvas_only=True, flash=False)
    print(f"  first answer in view {perf_counter() - began:.2f} s")
    watch = HugeWatch(session)
    watch.run(seconds)
    delays, gaps = (1000 * np.asarray(x) for x in (watch.delays, watch.gaps))
    print(
        f"  brush while training p50 {np.percentile(delays, 50):.0f}, "
        f"p99 {np.percentile(delays, 99):.0f} ms; longest gap {gaps.max():.0f} ms"
    )
    steps = []
    for step in (1, 2, 3, 2, 1):
        began = perf_counter()
        session.viewer.dims.set_current_step(0, session.z + step)
        session.viewer.screenshot(canvas_only=True, flash=False)
        steps.append(perf_counter() - began)
        session.spin(0.3)
    print(f"  another slice {np.median(steps):.2f} s, slowest {max(steps):.2f} s")
    session.viewer.dims.set_current_step(0, session.z)
    began = perf_counter()
    session.viewer.reset_view()
    session.viewer.screenshot(canvas_only=True, flash=False)
    print(f"  zoomed out to all of the slice {perf_counter() - began:.2f} s")
    session.spin(5)
    parts = f"window {memory.here:.0f}, trainer {memory.trainer:.0f}"
    print(f"  most memory {memory.most:.0f} MiB: {parts}")
    session.close()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--case", choices=("lazy", "zarr", "flat"))
    parser.add_argument("--seconds", type=float, default=10.0)
    arguments = parser.parse_args()
    print(machine())
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        huge, flat = (200, 16000, 16000), (20, 8000, 8000)
        cases = {
            "lazy": lambda: lazy(huge),
            "zarr": lambda: on_disk(huge, Path(folder) / "huge", 5, 1024),
            "flat": lambda: on_disk(flat, Path(folder) / "flat", 1, 1024),
        }
        for name, levels in cases.items():
            if arguments.case in (None, name):
                measure(name, levels, arguments.seconds)


if __name__ == "__main__":
    main()
