"""Notices every change of the strokes, whoever made it, without ever making the person wait.

napari tells the touched rectangle of a brush step (``labels_update``) but not of an undo,
a redo or a script's ``layer.data[...] = x``. After those, what was touched lately is
compared with the snapshot first, then the shown plane, then the rest in the background.
All comparing is done in small pieces within a few milliseconds per turn of the event loop.
"""

from __future__ import annotations

from collections import deque
from itertools import islice, product
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, QTimer, Signal

from napari_msd.core.planes import Region
from napari_msd.document import StrokeSnapshot
from napari_msd.viewer.layers import pixels, plane_shape, spatial_shape

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_msd.trainer.messages import PlaneKey, StrokeBlock
    from napari_msd.viewer.view_watcher import ViewWatcher

_BUDGET_S = 0.003
"""Time that comparing may take of one turn of the event loop."""
_BRUSH_S = 0.25
"""So long after a brush step a brush still counts as moving."""
_PRESS_S = 0.03
"""Time that it may take once, when a person starts work."""
_PIECE = 1 << 17
"""Pixels compared at once: well under a millisecond."""
_RECENT = 64
_Job = tuple["PlaneKey", Region]


class StrokeWatcher(QObject):
    """Compares one annotation layer with its snapshot; `changed` carries ``list[StrokeBlock]``."""

    changed = Signal(object)
    scanned = Signal()
    """Everything that was asked for has been compared."""
    edited = Signal()
    """The strokes changed after all that the layer held at first was reported."""

    def __init__(self, view: ViewWatcher, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._view = view
        self.layer: Any = None
        self.snapshot = StrokeSnapshot((0, 0))
        self._shape: tuple[int, ...] = ()
        self._brushed = float("-inf")
        self._touched: deque[_Job] = deque()
        self._suspected: deque[_Job] = deque()
        """Where an undo may have changed something: compared when nothing is surely touched."""
        self._recent: deque[_Job] = deque(maxlen=_RECENT)
        self._sweep: Iterator[_Job] = iter(())
        self._sweep_again = False
        self._stroke_ended = self._stroke_found = False
        self._known = False
        """Whether all that the layer held at first was reported."""
        self._step: tuple[int, ...] = ()
        self._timer = QTimer(self)
        self._timer.setInterval(8)
        self._timer.timeout.connect(self._work)

    @property
    def busy(self) -> bool:
        """Whether something is still to be compared."""
        return bool(self._timer.isActive())

    @property
    def brush_moving(self) -> bool:
        """Whether a brush is moving now: what only has to be looked at can wait."""
        return perf_counter() - self._brushed < _BRUSH_S

    def watch(self, layer: Any) -> None:
        """Follow this layer (``None``: none); all it holds already is reported too."""
        same = layer is not None and layer is self.layer and spatial_shape(layer) == self._shape
        if same:
            return  # another image below it: what is painted is known
        self.release()
        if layer is None:
            return
        self.layer = layer
        self._shape = spatial_shape(layer)
        self.snapshot = StrokeSnapshot(plane_shape(layer))
        self._step = self._view.shown_index()
        self._known = False
        events = layer.events
        events.labels_update.connect(self._on_brush)
        events.paint.connect(self._on_stroke_end)
        events.set_data.connect(self._on_refresh)
        self.rescan()

    def release(self) -> None:
        """Let go of the layer."""
        self._timer.stop()
        if self.layer is not None:
            events = self.layer.events
            events.labels_update.disconnect(self._on_brush)
            events.paint.disconnect(self._on_stroke_end)
            events.set_data.disconnect(self._on_refresh)
        self.layer = None
        self.snapshot = StrokeSnapshot((0, 0))
        self._touched.clear()
        self._suspected.clear()
        self._recent.clear()
        self._sweep = iter(())

    def rescan(self) -> None:
        """Compare everything, in the background, the shown plane first."""
        if self.layer is not None:
            self._sweep = self._everything()
            self._timer.start()

    def finish(self) -> None:
        """Compare what was touched now: work that starts must not miss the last stroke.

        Takes a few hundredths of a second at most. What is left (an undo puts all of the plane
        in doubt, and a layer that was just chosen may be large) follows in the background.
        """
        self._compare_and_tell(_PRESS_S)

    # --- what napari tells ------------------------------------------------------------------

    def _on_brush(self, event: Any) -> None:
        """A brush step, a fill or a polygon changed this part of what is displayed."""
        self._brushed = perf_counter()
        axes, index = self._view.displayed_axes(), self._view.shown_index()
        box = [(i, i + 1) for i in index]
        for axis, start, length in zip(axes, event.offset, event.data.shape, strict=False):
            box[axis] = (int(start), int(start) + int(length))
        for job in islice(_planes_of(box), 4 * _RECENT):
            self._note(job)

    def _on_stroke_end(self, event: Any) -> None:
        # a brush may reach into neighbouring planes; napari tells of the displayed one only
        if self.layer.n_edit_dimensions > 2:
            self.rescan()
        else:
            self._stroke_ended = True
            self._timer.start()

    def _on_refresh(self, event: Any) -> None:
        """Undo, redo, a script's refresh or new data; also a slider that only moved."""
        step = self._view.shown_index()
        moved, self._step = step[:-2] != self._step[:-2], step
        if spatial_shape(self.layer) != self._shape:
            return  # other data of another shape: whoever chose the layer looks at it anew
        if moved:  # with the layer hidden, an undo is only told of together with the slider
            self._suspected.extend(job for job in self._recent if job not in self._suspected)
            self._timer.start()
            return
        shown = _pieces(self._view.shown_plane(), self.snapshot.plane_shape)
        waiting = set(self._suspected)  # undo held down fires faster than pieces are compared
        self._suspected.extend(job for job in [*self._recent, *shown] if job not in waiting)
        self._sweep_again = True
        self._timer.start()

    def _note(self, job: _Job) -> None:
        plane, region = job
        if self._touched and self._touched[-1][0] == plane:
            merged = _hull(self._touched[-1][1], region)
            if merged.area <= 2 * (self._touched[-1][1].area + region.area):
                self._touched[-1] = (plane, merged)
                job = (plane, merged)
            else:
                self._touched.append(job)
        else:
            self._touched.append(job)
        if self._recent and self._recent[-1][0] == plane:
            merged = _hull(self._recent[-1][1], region)
            if merged.area <= _PIECE:
                self._recent.pop()
                job = (plane, merged)
        self._recent.append(job)
        self._timer.start()

    # --- comparing --------------------------------------------------------------------------

    def _work(self) -> None:
        if self.layer is None:
            self._timer.stop()
            return
        self._compare_and_tell(_BUDGET_S)

    def _compare_and_tell(self, seconds: float) -> None:
        blocks, all_compared = self._compare_until(perf_counter() + seconds)
        if blocks:
            self.changed.emit(blocks)
            if self._known:
                self.edited.emit()
        if all_compared and self.busy:
            self._timer.stop()
            self._known = True
            self.scanned.emit()

    def _compare_until(self, deadline: float) -> tuple[list[StrokeBlock], bool]:
        """What changed, and whether nothing is left to compare."""
        blocks: list[StrokeBlock] = []
        data = pixels(self.layer) if self.layer is not None else None
        while data is not None:
            job = self._next()
            if job is None:
                return blocks, True
            plane, region = job
            try:
                values = np.asarray(data[(*plane, *region.slices)])
            except IndexError:
                continue  # the data were replaced by fewer planes: the layer is looked at anew
            block = self.snapshot.compare(plane, region, values)
            if block is not None:
                self._stroke_found = True
                blocks.append(block)
            if perf_counter() > deadline:
                return blocks, False
        return blocks, True

    def _next(self) -> _Job | None:
        for jobs in (self._touched, self._suspected):
            if jobs:
                plane, region = jobs.popleft()
                region = region.clip(self.snapshot.plane_shape)
                if region.area > 2 * _PIECE:
                    first, *rest = _pieces(plane, self.snapshot.plane_shape, region)
                    jobs.extendleft(reversed(rest))
                    return first
                return plane, region
        if self._stroke_ended:
            # A script painted where nobody looks: napari tells the rectangle, but not the plane.
            self._sweep_again |= not self._stroke_found
            self._stroke_ended = self._stroke_found = False
        job = next(self._sweep, None)
        if job is None and self._sweep_again:
            # a script may have written anywhere; only arrays in memory are cheap to look through
            self._sweep_again = False
            if isinstance(pixels(self.layer), np.ndarray):
                self._sweep = self._everything()
                job = next(self._sweep, None)
        return job

    def _everything(self) -> Iterator[_Job]:
        leading = spatial_shape(self.layer)[:-2]
        shape = self.snapshot.plane_shape
        shown = self._view.shown_plane()
        first = [shown, *(plane for plane in self.snapshot.planes if plane != shown)]
        seen = set(first)
        for plane in first:
            yield from _pieces(plane, shape)
        for plane in product(*map(range, leading)):
            if plane not in seen:
                yield from _pieces(plane, shape)


def _pieces(plane: PlaneKey, shape: tuple[int, int], part: Region | None = None) -> list[_Job]:
    """A plane, or a part of it, in stripes of rows that are quick to compare."""
    part = part or Region(0, 0, *shape)
    rows = max(1, _PIECE // max(part.right - part.left, 1))
    return [
        (plane, Region(top, part.left, min(top + rows, part.bottom), part.right))
        for top in range(part.top, part.bottom, rows)
    ]


def _planes_of(box: list[tuple[int, int]]) -> Iterator[_Job]:
    (top, bottom), (left, right) = box[-2:]
    for plane in product(*(range(*ends) for ends in box[:-2])):
        yield plane, Region(top, left, bottom, right)


def _hull(a: Region, b: Region) -> Region:
    return Region(
        min(a.top, b.top), min(a.left, b.left), max(a.bottom, b.bottom), max(a.right, b.right)
    )
