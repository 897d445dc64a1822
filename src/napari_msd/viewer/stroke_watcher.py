"""Notices every change of the strokes, whoever made it, without ever making the person wait.

napari tells the touched rectangle of a brush step (``labels_update``) but not of an undo,
a redo or a script's ``layer.data[...] = x``. After those, what was touched lately is
compared with the snapshot first, then the shown plane, then the rest in the background.
All comparing is done in small pieces within a few milliseconds per turn of the event loop.
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

_BUDGET_S = 0.003
"""Time that comparing may take of one turn of the event loop."""
_BRUSH_S = 0.25
"""So long after a brush step a brush still counts as moving."""
_PRESS_S = 0.03
"""Time that it may take once, when a person starts work."""
_PIECE = 1 << 17
"""Pixels compared at once: well under a millisecond."""
_RECENT = 64


class StrokeWatcher(QObject):
    """Compares one annotation layer with its snapshot; `changed` carries ``list[Painted]``."""

    changed = Signal(object)
    scanned = Signal()
    """Everything that was asked for has been compared."""
    edited = Signal()
    """The strokes changed after all that the layer held at first was reported."""

    def __init__(self, view: ViewWatcher, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._view = view
        self.layer: Any = None
        self.snapshot = AnnotationSnapshot((0, 0))
        self._shape: tuple[int, ...] = ()
        self._brushed = float("-inf")
        self._touched: deque[Box] = deque()
        self._suspected: deque[Box] = deque()
        """Where an undo may have changed something: compared when nothing is surely touched."""
        self._recent: deque[Box] = deque(maxlen=_RECENT)
        self._sweep: Iterator[Box] = iter(())
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
        self.snapshot = AnnotationSnapshot(self._shape)
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
        self.snapshot = AnnotationSnapshot((0, 0))
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
        box = Box(SOURCE, index, tuple(i + 1 for i in index))
        for axis, start, length in zip(axes, event.offset, event.data.shape, strict=False):
            box = box.along(axis, int(start), int(start) + int(length))
        self._note(box)

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
            self._suspected.extend(box for box in self._recent if box not in self._suspected)
            self._timer.start()
            return
        shown = _pieces(plane_box(self.layer, self._view.shown_index()[:-2]))
        waiting = set(self._suspected)  # undo held down fires faster than pieces are compared
        self._suspected.extend(box for box in [*self._recent, *shown] if box not in waiting)
        self._sweep_again = True
        self._timer.start()

    def _note(self, box: Box) -> None:
        """Have a touched part compared, together with what was touched right before."""
        if self._touched:
            merged = self._touched[-1].hull(box)
            if merged.size <= 2 * (self._touched[-1].size + box.size):
                self._touched.pop()
                box = merged
        self._touched.append(box)
        if self._recent:
            merged = self._recent[-1].hull(box)
            if merged.size <= _PIECE:
                self._recent.pop()
                box = merged
        self._recent.append(box)
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

    def _compare_until(self, deadline: float) -> tuple[list[Painted], bool]:
        """What changed, and whether nothing is left to compare."""
        blocks: list[Painted] = []
        data = pixels(self.layer) if self.layer is not None else None
        while data is not None:
            box = self._next()
            if box is None:
                return blocks, True
            values = np.asarray(data[box.slices])
            if values.shape != box.shape:
                continue  # the data were replaced by fewer planes: the layer is looked at anew
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
                if box.size > 2 * _PIECE:
                    box, *rest = _pieces(box)
                    boxes.extendleft(reversed(rest))
                return box
        if self._stroke_ended:
            # A script painted where nobody looks: napari tells the rectangle, but not the plane.
            self._sweep_again |= not self._stroke_found
            self._stroke_ended = self._stroke_found = False
        following = next(self._sweep, None)
        if following is None and self._sweep_again:
            # a script may have written anywhere; only arrays in memory are cheap to look through
            self._sweep_again = False
            if isinstance(pixels(self.layer), np.ndarray):
                self._sweep = self._everything()
                following = next(self._sweep, None)
        return following

    def _everything(self) -> Iterator[Box]:
        """All of the layer: what is on screen first, then what has strokes, then the rest."""
        shown = self._view.shown_index()[:-2]
        painted = sorted(slab.index for slab in self.snapshot.annotation.slabs)
        first = [shown, *(index for index in painted if index != shown)]
        seen = set(first)
        rest = (i for i in product(*map(range, self._shape[:-2])) if i not in seen)
        for index in chain(first, rest):
            yield from _pieces(plane_box(self.layer, index))


def _pieces(box: Box) -> list[Box]:
    """A box in pieces that are quick to compare: whole rows, as many as fit."""
    size, room = [], _PIECE
    for n in reversed(box.shape):
        size.append(max(1, min(n, room)))
        room //= max(1, n)
    return list(box.tiles(size[::-1]))
