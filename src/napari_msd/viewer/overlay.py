"""The segmentation as a Labels layer, below the strokes.

Adding a layer makes it the active one in napari; here selection, active layer and mode
are restored at once. Blocks are written in place and shown a few times a second, however
many arrive: the latest wins. Only changed rectangles are redrawn, as with a brush: redrawing
all of a large plane would block the window for half a second.
"""

from __future__ import annotations

from contextlib import suppress
from math import prod
from time import perf_counter
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, ref

import numpy as np
from napari.layers import Labels
from qtpy.QtCore import QObject, Qt, QTimer, Signal

from napari_msd.document import Coverage
from napari_msd.session.view_progress import ViewProgress
from napari_msd.viewer import label_data
from napari_msd.viewer.colors import label_colormap
from napari_msd.viewer.layers import free_name, pixels, placement, spatial_shape
from napari_msd.viewer.result_layers import fits, mark, note_remark, place_between, selection_kept
from napari_msd.viewer.shown_layer import ShownLayer

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_msd.core.box import Box
    from napari_msd.document.chunked import ChunkedLabels
    from napari_msd.trainer.messages import OverlayBlock
    from napari_msd.viewer.view_watcher import ViewWatcher

_BRUSH_SLOWDOWN = 3
"""Factor by which refreshes are slower while a brush is moving."""
_PAUSE_FACTOR = 5
"""Least time between refreshes, as a multiple of the time that the last refresh took."""
_VOLUME_MS = 1000
"""Pause before napari's view of a volume is drawn again."""
_overlay_of: WeakKeyDictionary[Any, tuple[ref[Any], Coverage, int]] = WeakKeyDictionary()
"""By image: its segmentation layer, which part is predicted, and `id` of the array of pixels."""


class Overlay(ShownLayer):
    """Shows predicted blocks in a layer named "<image name> segmentation".

    Parameters
    ----------
    viewer
        The napari viewer (or its proxy).
    screen
        Knows which plane is on screen: blocks of others need no repaint.
    brush_moving
        Returns whether a brush is moving: blocks are shown less often then.
    """

    written = Signal()
    """The first block since `attach` was written to the layer."""
    flushing = Signal()
    """Blocks are about to be shown; other data that came with them can be shown too."""
    deleted = Signal()
    """The user deleted the layer."""
    flushed = Signal()
    """Blocks were shown."""
    volume_due = Signal()
    """A view of volumes has to be drawn again, at most once a second."""
    lost = Signal(str)
    """A part that was not on screen could not be kept; carries a sentence."""
    _copied = Signal(int)

    def __init__(
        self,
        viewer: Any,
        screen: ViewWatcher,
        brush_moving: Callable[[], bool],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(viewer, parent)
        self._screen = screen
        self._brush_moving = brush_moving
        self._pending: dict[Box, OverlayBlock] = {}
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._volume_timer = QTimer(self)
        self._volume_timer.setSingleShot(True)
        self._volume_timer.setInterval(_VOLUME_MS)
        self._volume_timer.timeout.connect(self._show_volume)
        self._interval = 0.1
        self._began = 0.0
        self.cost = 0.0
        """Seconds of the GUI thread that showing the last blocks took."""
        self._colors: dict[int, str] = {}
        self._timer.timeout.connect(self.flush)
        self._copied.connect(self._on_copied, Qt.ConnectionType.QueuedConnection)
        self._being_copied: set[int] = set()
        """Numbers of the snapshots that hold new blocks up."""
        self._n_snapshots = 0
        self.coverage = Coverage(0, (0, 0))
        """Which parts of the image are segmented, and by which network."""
        self.progress = ViewProgress()
        """How much of the visible part is updated."""
        self.has_content = False
        viewer.layers.events.removed.connect(self._on_removed)

    def set_rate(self, per_second: float) -> None:
        """Set how many times per second new blocks are shown, at most."""
        self._interval = 1 / max(per_second, 0.1)

    # --- the layer -----------------------------------------------------------------------

    def find(self, image: Any, colors: dict[int, str]) -> bool:
        """Reuse the segmentation that `image` has already, if it is valid."""
        if image not in _overlay_of:
            return False
        reference, coverage, array = _overlay_of[image]
        layer = reference()
        if layer is None or layer not in self._viewer.layers:
            return False
        if not label_data.is_ours(layer.data) or layer.data.shape != spatial_shape(image):
            return False
        if layer is not self.layer:
            self.detach()
            self._take(layer)
            self.coverage = coverage
            self.has_content = not coverage.empty
            if array != id(pixels(image)):  # they were replaced while not watched
                self.clear()
                _overlay_of[image] = reference, self.coverage, id(pixels(image))
        self.set_colors(colors)
        return True

    def attach(self, image: Any, annotation: Any, colors: dict[int, str]) -> None:
        """Make sure that a layer for `image` exists, directly below `annotation` if any."""
        if self.find(image, colors):
            return
        self.detach()
        shape = spatial_shape(image)
        data = label_data.new_result(shape, self._on_lost)
        taken = {layer.name for layer in self._viewer.layers}
        layer = Labels(
            data,
            multiscale=isinstance(data, list),
            name=free_name(f"{image.name} segmentation", taken),
            opacity=self.opacity,
            colormap=label_colormap(colors),
            metadata=mark(),
            **placement(image),
        )
        with selection_kept(self._viewer):
            self._viewer.layers.insert(place_between(self._viewer, image, annotation), layer)
        # strokes belong in the annotation; to edit a segmentation there is "copy"
        layer.editable = False
        self._take(layer)
        self.coverage = Coverage(prod(shape[:-2]), (shape[-2], shape[-1]))
        _overlay_of[image] = ref(layer), self.coverage, id(pixels(image))
        self._colors = dict(colors)

    def close(self) -> None:
        """Release layer and viewer."""
        self._viewer.layers.events.removed.disconnect(self._on_removed)
        self.detach()

    def detach(self) -> None:
        """Release the layer; it stays in the viewer, for the user to keep or delete."""
        self._timer.stop()
        self._volume_timer.stop()
        self._pending.clear()
        self._being_copied.clear()
        self._drop()
        self.progress.restart()
        self.coverage = Coverage(0, (0, 0))
        self._colors = {}
        self.has_content = False

    def _on_removed(self, event: Any = None) -> None:
        if self.layer is not None and not self.present:
            self.detach()
            self.deleted.emit()

    def clear(self) -> tuple[Any, Coverage] | None:
        """Empty the segmentation (Start over); returns its former content, for `restore`."""
        self._pending.clear()
        before = (self.layer.data, self.coverage) if self.present and self.has_content else None
        self.has_content = False
        if before is not None:
            # a new array costs nothing until it is written; zeroing a stack is slow
            self.layer.data = label_data.new_result(before[0].shape, self._on_lost)
            self._cover(before[1].fresh())
        return before

    def restore(self, before: tuple[Any, Coverage] | None) -> None:
        """Show what `clear` removed."""
        self._pending.clear()
        if self.present and before is not None and before[0].shape == self.layer.data.shape:
            self.layer.data = before[0]
            self.has_content = True
            self._cover(before[1])

    def _cover(self, coverage: Coverage) -> None:
        self.coverage = coverage
        for image, (layer, _, array) in list(_overlay_of.items()):
            if layer() is self.layer:
                _overlay_of[image] = layer, coverage, array
        note_remark(self.layer, coverage.completeness.sentence)

    def set_colors(self, colors: dict[int, str]) -> None:
        """Use these class colours."""
        if self.present and colors != self._colors:  # napari redraws the whole plane
            self._colors = dict(colors)
            self.layer.colormap = label_colormap(colors)

    # --- blocks --------------------------------------------------------------------------

    def put(self, block: OverlayBlock) -> None:
        """Queue a predicted block; the next flush shows it."""
        self._pending[block.box] = block
        if self._screen.shows(block.box):
            self.progress.note(block.box)
        if not self._timer.isActive():
            pause = self._interval * (_BRUSH_SLOWDOWN if self._brush_moving() else 1)
            due = self._began + max(pause, _PAUSE_FACTOR * self.cost)
            self._timer.start(max(0, round(1000 * (due - perf_counter()))))

    def has_pending_blocks(self) -> bool:
        """Whether queued blocks are not shown yet."""
        return bool(self._pending)

    def flush(self) -> None:
        """Write the queued blocks to the layer and show them; they wait for a `snapshot`."""
        if self._being_copied:
            return
        pending, self._pending = self._pending, {}
        if pending:
            self.flushing.emit()
        if not pending or not self.present:
            return
        self._began = perf_counter()
        data, shown = self.layer.data, []
        for box, block in pending.items():
            if not fits(data.shape, box):
                continue  # of the previous image
            if block.scale > 1:
                parts = label_data.write_first_answer(data, block, self.coverage.missing(box))
                if isinstance(data, np.ndarray):
                    self.coverage.write_coarsely(box)
            else:
                parts = [(box, block.labels)]
                label_data.write(data, box, block.labels)
                self.coverage.write(box, block.network)
            shown += [(part, labels) for part, labels in parts if self._screen.shows(part)]
        note_remark(self.layer, self.coverage.completeness.sentence)
        first, self.has_content = not self.has_content, True
        self._show(shown)
        QTimer.singleShot(0, self._on_shown)  # runs after the repaint
        if first:
            self.written.emit()
        self.flushed.emit()

    def snapshot(self) -> Callable[[], NDArray[np.uint8] | ChunkedLabels]:
        """Function that copies the segmentation as it is now; call it once, on any thread.

        First answers of low resolution are left out: 0 means not predicted.

        A stack takes seconds to copy, too long for the window's thread. Until the function returns,
        new blocks wait: else they would be in one part of the copy. Of a large image, a copy takes
        minutes: new blocks go on, and parts of the copy may be newer than others.

        Raises
        ------
        MemoryError
            By the function, if there is too little memory.
        """
        self.flush()
        data, copied = self.layer.data, self._copied
        if not isinstance(data, np.ndarray):
            return lambda: label_data.copied(data)
        coarse = self.coverage.coarse
        self._n_snapshots += 1
        number = self._n_snapshots
        self._being_copied.add(number)

        def copy() -> NDArray[np.uint8] | ChunkedLabels:
            try:
                labels = label_data.copied(data)
                for part in coarse:
                    labels[part.slices] = 0
                return labels
            finally:
                with suppress(RuntimeError):  # the window was closed
                    copied.emit(number)

        return copy

    def _on_copied(self, number: int) -> None:
        self._being_copied.discard(number)
        self.flush()

    def show_all(self) -> None:
        """Show everything at the end of work, also in the layer list's thumbnail."""
        self.flush()
        if self.present and self.has_content:
            self._volume_timer.stop()
            self.layer.refresh(extent=False, highlight=False)

    def _show(self, blocks: list[tuple[Box, Any]]) -> None:
        layer, n = self.layer, self.layer.ndim
        if self._viewer.dims.ndisplay == 3:
            # napari draws all of a volume again: not for each block
            if not self._volume_timer.isActive():
                self._volume_timer.start()
            return
        if not blocks or not layer.visible:
            return
        if layer.multiscale or layer.contour or self._screen.displayed_axes() != (n - 2, n - 1):
            layer.refresh(extent=False, thumbnail=False, highlight=False)
        else:
            for box, labels in blocks:
                layer.events.labels_update(
                    data=labels.reshape(box.shape[-2:]), offset=list(box.start[-2:])
                )

    def _show_volume(self) -> None:
        if self.present and self._viewer.dims.ndisplay == 3:
            self.volume_due.emit()
            self.layer.refresh(extent=False, thumbnail=False, highlight=False)

    def _on_lost(self, sentence: str) -> None:
        with suppress(RuntimeError):  # the window was closed
            self.lost.emit(sentence)

    def _on_shown(self) -> None:
        self.cost = perf_counter() - self._began
