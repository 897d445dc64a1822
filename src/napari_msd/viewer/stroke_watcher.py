"""Detects every change of the strokes, whatever made it, without blocking painting.

napari reports the modified rectangle of a brush step (``labels_update``) but not of an undo,
a redo or a script's ``layer.data[...] = x``. After those, recently edited boxes are compared
with the snapshot first, then the shown plane, then the rest in the background. Comparison
runs in small pieces and takes a few milliseconds per turn of the event loop.
"""

from __future__ import annotations

from collections import deque
from itertools import chain, product
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, QTimer, Signal

from napari_msd.core.box import Box
from napari_msd.document import AnnotationSnapshot
from napari_msd.session.ports import SOURCE
from napari_msd.viewer.layers import pixels, plane_box, spatial_shape

if TYPE_CHECKING:
    from collections.abc import Iterator

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
_PIECE_SIZE = 1 << 17
"""Pixels compared at once, in well under a millisecond."""
_MAX_RECENT = 64


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
        self._sweep: Iterator[Box] = iter(())
        self._sweep_again = False
        self._stroke_ended = self._stroke_found = False
        self._initial_reported = False
        """Whether the layer's initial content was reported."""
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
        self._step = self._view.shown_index()
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
        self.layer = None
        self.snapshot = AnnotationSnapshot((0, 0))
        self._touched.clear()
        self._suspected.clear()
        self._recent.clear()
        self._sweep = iter(())

    def rescan(self) -> None:
        """Compare everything, in the background, the shown plane first."""
        if self.layer is not None:
            self._sweep = self._all_boxes()
            self._timer.start()

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
        axes, index = self._view.displayed_axes(), self._view.shown_index()
        box = Box(SOURCE, index, tuple(i + 1 for i in index))
        for axis, start, length in zip(axes, event.offset, event.data.shape, strict=False):
            box = box.along(axis, int(start), int(start) + int(length))
        self._queue(box)

    def _on_stroke_end(self, event: Any) -> None:
        # a brush may reach into neighbouring planes; napari reports the displayed one only
        if self.layer.n_edit_dimensions > 2:
            self.rescan()
        else:
            self._stroke_ended = True
            self._timer.start()

    def _on_refresh(self, event: Any) -> None:
        """Handle undo, redo, a script's refresh or new data; also a mere move of a slider."""
        step = self._view.shown_index()
        moved, self._step = step[:-2] != self._step[:-2], step
        if spatial_shape(self.layer) != self._shape:
            return  # data of another shape: the owner of the layer checks it again
        if moved:  # while the layer is hidden, napari reports an undo only when the slider moves
            self._suspected.extend(box for box in self._recent if box not in self._suspected)
            self._timer.start()
            return
        shown = _pieces(plane_box(self.layer, self._view.shown_index()[:-2]))
        waiting = set(self._suspected)  # a held undo key is faster than comparison
        self._suspected.extend(box for box in [*self._recent, *shown] if box not in waiting)
        self._sweep_again = True
        self._timer.start()

    def _queue(self, box: Box) -> None:
        """Queue a touched part for comparison, together with what was touched just before."""
        if self._touched:
            merged = self._touched[-1].hull(box)
            if merged.size <= 2 * (self._touched[-1].size + box.size):
                self._touched.pop()
                box = merged
        self._touched.append(box)
        if self._recent:
            merged = self._recent[-1].hull(box)
            if merged.size <= _PIECE_SIZE:
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
                return blocks, True
            values = np.asarray(data[box.slices])
            if values.shape != box.shape:
                continue  # the new data have fewer planes: the layer is checked again
            block = self.snapshot.compare(box, values)
            if block is not None:
                self._stroke_found = True
                blocks.append(block)
            if perf_counter() > deadline:
                return blocks, False
        return blocks, True

    def _next(self) -> Box | None:
        for boxes in (self._touched, self._suspected):
            if boxes:
                box = boxes.popleft().clip(self._shape)
                if box.size > 2 * _PIECE_SIZE:
                    box, *rest = _pieces(box)
                    boxes.extendleft(reversed(rest))
                return box
        if self._stroke_ended:
            # A script painted on a hidden plane: napari reports the rectangle, but not the plane.
            self._sweep_again |= not self._stroke_found
            self._stroke_ended = self._stroke_found = False
        following = next(self._sweep, None)
        if following is None and self._sweep_again:
            # a script may have written anywhere; only arrays in memory are cheap to search
            self._sweep_again = False
            if isinstance(pixels(self.layer), np.ndarray):
                self._sweep = self._all_boxes()
                following = next(self._sweep, None)
        return following

    def _all_boxes(self) -> Iterator[Box]:
        """All of the layer: the visible part first, then parts with strokes, then the rest."""
        shown = self._view.shown_index()[:-2]
        painted = sorted(slab.index for slab in self.snapshot.annotation.slabs)
        first = [shown, *(index for index in painted if index != shown)]
        seen = set(first)
        rest = (i for i in product(*map(range, self._shape[:-2])) if i not in seen)
        for index in chain(first, rest):
            yield from _pieces(plane_box(self.layer, index))


def _pieces(box: Box) -> list[Box]:
    """Split a box into pieces that are quick to compare: whole rows, as many as fit."""
    size, room = [], _PIECE_SIZE
    for n in reversed(box.shape):
        size.append(max(1, min(n, room)))
        room //= max(1, n)
    return list(box.tiles(size[::-1]))
