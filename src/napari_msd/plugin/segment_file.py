"""Segments all of an image into a file, however large it is."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal

from napari_msd.core.box import Box
from napari_msd.core.checkpoint import ClassInfo
from napari_msd.core.errors import MSDError
from napari_msd.document.chunked import ChunkedLabels
from napari_msd.images.result import Result
from napari_msd.plugin import texts
from napari_msd.session.ports import SOURCE
from napari_msd.session.result_file import Ended, ResultFile
from napari_msd.trainer.messages import Event, OverlayBlock
from napari_msd.trainer.overlay_credit import MOST_ON_THE_WAY

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from napari_msd.core.source import Sink
    from napari_msd.core.space import Space
    from napari_msd.document import Kind
    from napari_msd.session.connection import CallSoon
    from napari_msd.session.controller import Controller

_TILE = {2: (1024, 1024), 3: (64, 256, 256)}
"""What is asked for again as a whole if any of it is missing, by the number of convolved axes."""


class SegmentToFile(QObject):
    """Predict all, with every block going to a file too.

    Parameters
    ----------
    controller
        The session.
    call_soon
        Calls a function on the Qt thread.
    """

    changed = Signal()
    """A file was begun, or is done with."""

    def __init__(
        self, controller: Controller, call_soon: CallSoon, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._controller, self._call_soon = controller, call_soon
        self._file: ResultFile | None = None
        self._name, self._network = "", ""
        self._early: list[OverlayBlock] = []
        """The first blocks: until the network is known."""
        controller.heard.connect(self._on_event)
        controller.work_ended.connect(self._on_work_ended)

    @property
    def busy(self) -> bool:
        """Whether a file is being written."""
        return self._file is not None

    def start(self, path: Path) -> None:
        """Segment all of the image into a file; the status label reports the outcome."""
        self._controller.attempt(lambda: self._start(path))

    def _start(self, path: Path) -> None:
        controller = self._controller
        if self.busy:
            raise MSDError(texts.EXPORT_RUNNING)
        kept = controller.network.kept
        problem = controller.chosen.problem(need_annotation=False)
        if problem is not None:
            raise problem
        if kept is None:
            raise MSDError(texts.NO_NETWORK_TO_SEGMENT_WITH)
        space = controller.network.seen(controller.chosen.data.space)
        result = result_of(controller, space, hashlib.sha256(kept.model).hexdigest()[:16])
        self._name, self._network, self._early = path.name, "", []
        kind = controller.network.kind
        slabs = list(space.slabs(SOURCE))
        tiles = [tile for slab in slabs for tile in slab.tiles(tile_shape(space))]
        self._file = ResultFile(
            lambda: sink_of(path, result),
            tiles,
            lambda missing: self._on_ready(slabs, space, kind, missing),
            self._on_ended,
            self._call_soon,
        )
        self.changed.emit()

    def close(self) -> None:
        """The window closes: what has come is written; an OME-Zarr can be gone on with."""
        if self._file is not None:
            self._file.finish(complete=False)

    # --- as it goes ------------------------------------------------------------------------

    def _on_ready(self, slabs: list[Box], space: Space, kind: Kind, missing: list[Box]) -> None:
        controller, file = self._controller, self._file
        if file is None:
            return
        if not self._is_chosen(space, kind):  # another image by now: its blocks are not for this
            file.finish(complete=False)
            return
        if not missing:
            file.finish(complete=True)
            return
        shown = space.slab_of(controller.screen.view())
        boxes = sorted(whole_slabs(slabs, space, missing), key=lambda box: not shown.contains(box))
        controller.predict_boxes(boxes)
        if controller.work != "predict":  # it cannot begin, and has said why
            file.finish(complete=False)

    def _on_event(self, event: Event) -> None:
        file = self._file
        if file is None or self._controller.work != "predict":
            return
        if not isinstance(event, OverlayBlock) or event.scale > 1:
            return
        if self._network:
            self._write(event)
            return
        self._early.append(event)
        if len(self._early) > MOST_ON_THE_WAY:
            self._write_early()

    def _write_early(self) -> None:
        """Write the first blocks that are of the network in use.

        Those that were on their way when the work began may be of the one before it.
        """
        early, self._early = self._early, []
        if early:
            self._network = early[-1].network
        for block in early:
            self._write(block)

    def _write(self, block: OverlayBlock) -> None:
        if self._file is not None and block.network == self._network:
            self._file.put(block.box, block.labels)

    def _on_work_ended(self, work: str, finished: bool) -> None:
        if self._file is not None and work == "predict":
            if finished:
                self._write_early()
            self._file.finish(complete=finished)

    def _is_chosen(self, space: Space, kind: Kind) -> bool:
        """Whether the image and network are still those that the file was begun for."""
        chosen, network = self._controller.chosen, self._controller.network
        if chosen.problem(need_annotation=False) is not None:
            return False
        return network.kind == kind and network.seen(chosen.data.space) == space

    def _on_ended(self, how: Ended) -> None:
        self._file = None
        if how.error and self._controller.work == "predict":
            self._controller.stop()  # nothing takes the rest of it
        level, text = texts.segmented_to_file(self._name, how)
        self._controller.notices.notice.emit(level, text)
        self.changed.emit()


def result_of(controller: Controller, space: Space, network: str) -> Result:
    """The segmentation of the chosen image as something to be written."""
    references = [channel.reference for channel in controller.chosen.channels]
    classes = [ClassInfo(info.value, info.name, info.color) for info in controller.classes]
    origin = " ".join(f"{reference.path} {reference.name}" for reference in references)
    return Result(space, "labels", tuple(classes), network, origin)


def sink_of(path: Path, result: Result) -> Sink:
    """Open a file for a result, see `napari_msd.images.open_sink.open_sink`."""
    from napari_msd.images.open_sink import open_sink  # formats take long to import

    return open_sink(path, result)


def tile_shape(space: Space) -> tuple[int, ...]:
    """Shape of a tile."""
    return (1,) * len(space.leading) + _TILE[space.convolved]


def whole_slabs(slabs: list[Box], space: Space, missing: list[Box]) -> list[Box]:
    """The missing tiles, with one box for every slab of which nothing is there."""
    left = set(missing)
    boxes = []
    for slab in slabs:
        tiles = list(slab.tiles(tile_shape(space)))
        of_slab = [tile for tile in tiles if tile in left]
        boxes += [slab] if len(of_slab) == len(tiles) else of_slab
    return boxes


def write_labels(sink: Sink, labels: NDArray[np.uint8] | ChunkedLabels) -> None:
    """Write a segmentation part by part; where a large one is empty, the file is 0 as it is.

    Raises
    ------
    ExportError
        If it cannot be written; nothing is left behind.
    """
    if isinstance(labels, ChunkedLabels):
        boxes = sorted(labels.written(), key=lambda box: box.start)
    else:
        plane = (1,) * (labels.ndim - 2) + labels.shape[-2:]
        boxes = list(Box.whole(SOURCE, labels.shape).tiles(plane))
    try:
        for box in boxes:
            sink.write(box, labels[box.slices])
        sink.close()
    except BaseException:
        sink.discard()
        raise
