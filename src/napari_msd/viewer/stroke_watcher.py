"""Detects every change of the strokes, whatever made it, without blocking painting.

napari reports the modified rectangle of a brush step (``labels_update``) but not of an undo,
a redo or a script's ``layer.data[...] = x``. After those, recently edited boxes are compared
with the snapshot first, then the shown plane, then the rest in the background. Comparison
runs in small pieces and takes a few milliseconds per turn of the event loop.

An annotation of chunks (`document.chunked`) reports every write itself, so nothing is searched.
Arrays that are read from disk or computed are read by another thread, chunk by chunk.
"""

from __future__ import annotations

from collections import deque
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, QTimer, Signal

from napari_msd.core.box import Box
from napari_msd.document import AnnotationSnapshot
from napari_msd.document.chunked import ChunkedLabels
from napari_msd.session.ports import SOURCE
from napari_msd.viewer.annotation_search import AnnotationSearch
from napari_msd.viewer.layers import pixels, spatial_shape
from napari_msd.viewer.stroke_boxes import PIECE_SIZE, pieces

if TYPE_CHECKING:
    from napari_msd.document import Painted
    from napari_msd.viewer.view_watcher import ViewWatcher

_TURN_BUDGET_S = 0.003
"""Seconds that comparison may take in one turn of the event loop."""
_BRUSH_MOVING_S = 0.25
"""Seconds after a brush step during which the brush counts as moving."""
_FINISH_BUDGET_S = 0.03
"""Seconds that comparison may take once, when the user starts work."""
_SETTLE_BUDGET_S = 0.3
"""Seconds that comparison may take once, when the layer is let go."""
_MAX_RECENT = 64
_MOST_PIECES = 64
"""What is larger than this many pieces is compared by the chunks in it."""


class StrokeWatcher(QObject):
    """Compares one annotation layer with its snapshot; `changed` emits ``list[Painted]``."""

    changed = Signal(object)
    scanned = Signal()
    """Everything that was requested has been compared."""
    edited = Signal()
    """The strokes changed, by the brush or after the layer's initial content was reported."""

    def __init__(self, view: ViewWatcher, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._view = view
        self.layer: Any = None
        self.snapshot = AnnotationSnapshot((0, 0))
        self._shape: tuple[int, ...] = ()
        self._brushed = float("-inf")
        self._touched: deque[Box] = deque()
        self._suspected: deque[Box] = deque()
        """Where an undo may have changed something: compared after the known edits."""
        self._recent: deque[Box] = deque(maxlen=_MAX_RECENT)
        self._all = AnnotationSearch()
        self._chunked: ChunkedLabels | None = None
        self._sweep_again = False
        self._stroke_ended = self._stroke_found = False
        self._initial_reported = False
        """Whether the layer's initial content was reported."""
        self._plane: Box | None = None
        self._timer = QTimer(self)
        self._timer.setInterval(8)
        self._timer.timeout.connect(self._work)

    @property
    def busy(self) -> bool:
        """Whether something is still to be compared."""
        return bool(self._timer.isActive())

    @property
    def brush_moving(self) -> bool:
        """Whether a brush is moving now: repaints can wait."""
        return perf_counter() - self._brushed < _BRUSH_MOVING_S

    def watch(self, layer: Any) -> None:
        """Follow this layer (``None``: none); its present content is reported too."""
        same = layer is not None and layer is self.layer and spatial_shape(layer) == self._shape
        if same:
            return  # only the image changed: the strokes are known
        self.release()
        if layer is None:
            return
        self.layer = layer
        self._shape = spatial_shape(layer)
        self.snapshot = AnnotationSnapshot(self._shape)
        self._plane = self._view.plane()
        self._initial_reported = False
        events = layer.events
        events.labels_update.connect(self._on_brush)
        events.paint.connect(self._on_stroke_end)
        events.set_data.connect(self._on_refresh)
        self.rescan()

    def release(self) -> None:
        """Release the layer."""
        self._timer.stop()
        if self.layer is not None:
            events = self.layer.events
            events.labels_update.disconnect(self._on_brush)
            events.paint.disconnect(self._on_stroke_end)
            events.set_data.disconnect(self._on_refresh)
        self._follow(None)
        self.layer = None
        self.snapshot = AnnotationSnapshot((0, 0))
        self._touched.clear()
        self._suspected.clear()
        self._recent.clear()
        self._all.stop()

    def rescan(self) -> None:
        """Compare everything, in the background, the shown plane first."""
        if self.layer is not None:
            data = pixels(self.layer)
            self._follow(data if isinstance(data, ChunkedLabels) else None)
            self._search(data)
            self._timer.start()

    def _follow(self, data: ChunkedLabels | None) -> None:
        """Hear of the writes to an array of chunks, and of no other."""
        if data is not self._chunked:
            if self._chunked is not None:
                self._chunked.unfollow(self._on_written)
            if data is not None:
                data.follow(self._on_written)
            self._chunked = data

    def _search(self, data: Any) -> None:
        """Begin to compare all of an array."""
        if spatial_shape(self.layer) == self._shape:
            self._all.begin(data, self._view.plane(), self.snapshot.annotation)
        else:
            self._all.stop()

    def finish(self) -> None:
        """Compare touched parts now, so that work that starts does not miss the last stroke.

        Takes a few hundredths of a second at most. The rest follows in the background: after an
        undo the whole plane must be compared, and a newly chosen layer may be large.
        """
        self._compare_and_report(_FINISH_BUDGET_S)

    def settle(self) -> None:
        """Report the last edits, which would be forgotten when the layer is let go.

        Only what was edited, or may have been by an undo, is compared: takes milliseconds after a
        stroke, and three tenths of a second at most after a large fill.
        """
        if self.layer is None or spatial_shape(self.layer) != self._shape:
            return
        deadline = perf_counter() + _SETTLE_BUDGET_S
        while (self._touched or self._suspected) and perf_counter() < deadline:
            self._compare_and_report(_TURN_BUDGET_S)

    # --- napari's events --------------------------------------------------------------------

    def _on_brush(self, event: Any) -> None:
        """Handle a brush step, fill or polygon that changed this part of the displayed plane."""
        self._brushed = perf_counter()
        if self._chunked is not None:
            return  # it has told so itself
        axes, index = self._view.displayed_axes(), self._view.shown_index()
        box = Box(SOURCE, index, tuple(i + 1 for i in index))
        for axis, start, length in zip(axes, event.offset, event.data.shape, strict=False):
            box = box.along(axis, int(start), int(start) + int(length))
        self._queue(box)

    def _on_stroke_end(self, event: Any) -> None:
        # a brush may reach into neighbouring planes; napari reports the displayed one only
        if self._chunked is not None:
            return
        if self.layer.n_edit_dimensions > 2:
            self.rescan()
        else:
            self._stroke_ended = True
            self._timer.start()

    def _on_refresh(self, event: Any) -> None:
        """Handle undo, redo, a script's refresh or new data; also a mere move of a slider."""
        plane = self._view.plane()
        moved, self._plane = plane != self._plane, plane
        if spatial_shape(self.layer) != self._shape:
            return  # data of another shape: the owner of the layer checks it again
        if self._chunked is not None:
            return  # it tells of every write
        if moved:  # while the layer is hidden, napari reports an undo only when the slider moves
            self._suspected.extend(box for box in self._recent if box not in self._suspected)
            self._timer.start()
            return
        in_memory = isinstance(pixels(self.layer), np.ndarray)
        shown = pieces(plane if in_memory else self._view.view())
        self._all.edited(self._recent)
        waiting = set(self._suspected)  # a held undo key is faster than comparison
        self._suspected.extend(box for box in [*self._recent, *shown] if box not in waiting)
        self._sweep_again = in_memory  # others are slow to search
        self._timer.start()

    def _on_written(self, box: Box) -> None:
        """Handle a write to an array of chunks, by the brush, an undo or a script."""
        if box.size <= _MOST_PIECES * PIECE_SIZE:
            self._queue(box)
        else:
            self.rescan()

    def _queue(self, box: Box) -> None:
        """Queue a touched part for comparison, together with what was touched just before."""
        self._all.edited([box])
        if self._touched:
            merged = self._touched[-1].hull(box)
            if merged.size <= 2 * (self._touched[-1].size + box.size):
                self._touched.pop()
                box = merged
        self._touched.append(box)
        if self._recent:
            merged = self._recent[-1].hull(box)
            if merged.size <= PIECE_SIZE:
                self._recent.pop()
                box = merged
        self._recent.append(box)
        self._timer.start()

    # --- comparison -------------------------------------------------------------------------

    def _work(self) -> None:
        if self.layer is None:
            self._timer.stop()
            return
        self._compare_and_report(_TURN_BUDGET_S)

    def _compare_and_report(self, seconds: float) -> None:
        blocks, all_compared = self._compare_until(perf_counter() + seconds)
        if blocks:
            self.changed.emit(blocks)
            if self._initial_reported or self.brush_moving:
                self.edited.emit()
        if all_compared and self.busy:
            self._timer.stop()
            self._initial_reported = True
            self.scanned.emit()

    def _compare_until(self, deadline: float) -> tuple[list[Painted], bool]:
        """The changes found, and whether nothing is left to compare."""
        blocks: list[Painted] = []
        data = pixels(self.layer) if self.layer is not None else None
        while data is not None:
            box = self._next()
            if box is None:
                return blocks, self._take_read(blocks, deadline)
            self._compare(box, np.asarray(data[box.slices]), blocks)
            if perf_counter() > deadline:
                return blocks, False
        return blocks, True

    def _compare(self, box: Box, values: Any, blocks: list[Painted]) -> None:
        if values.shape != box.shape:
            return  # the new data have fewer planes: the layer is checked again
        block = self.snapshot.compare(box, values)
        if block is not None:
            self._stroke_found = True
            blocks.append(block)

    def _next(self) -> Box | None:
        for boxes in (self._touched, self._suspected):
            if boxes:
                box = boxes.popleft().clip(self._shape)
                if box.size > 2 * PIECE_SIZE:
                    box, *rest = pieces(box)
                    boxes.extendleft(reversed(rest))
                return box
        if self._stroke_ended:
            # A script painted on a hidden plane: napari reports the rectangle, but not the plane.
            self._sweep_again |= not self._stroke_found
            self._stroke_ended = self._stroke_found = False
        following = self._all.next_box()
        if following is None and self._sweep_again:
            self._sweep_again = False  # a script may have written anywhere
            data = pixels(self.layer)
            if isinstance(data, np.ndarray):
                self._search(data)
                following = self._all.next_box()
        return following

    def _take_read(self, blocks: list[Painted], deadline: float) -> bool:
        """Compare what another thread has read; whether all was."""
        while not self._all.done:
            read = self._all.take()
            if read is None:
                return False
            self._compare(*read, blocks)
            if perf_counter() > deadline:
                return False
        return True
