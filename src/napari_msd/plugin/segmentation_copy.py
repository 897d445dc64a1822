"""An editable copy of the segmentation as a layer of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from qtpy.QtCore import QObject

from napari_msd.plugin import files, texts
from napari_msd.viewer import layers
from napari_msd.viewer.colors import label_colormap
from napari_msd.viewer.result_layers import selection_kept

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_msd.session.controller import Controller

LARGE_BYTES = 16 * 2**20
"""A segmentation of more is copied on another thread: the window would stand still."""


class SegmentationCopy(QObject):
    """Adds copies to the viewer, one at a time.

    Parameters
    ----------
    viewer
        The napari viewer (or its proxy).
    controller
        The session.
    """

    def __init__(self, viewer: Any, controller: Controller, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer, self._controller = viewer, controller
        self._copier = files.BackgroundWriter(self)
        self._copier.done.connect(self._on_copied)
        self._copier.failed.connect(controller.notices.error)
        self._add_copied: Callable[[], None] | None = None

    def make(self, source: Any) -> None:
        """Copy the segmentation layer `source`."""
        controller = self._controller
        if self._copier.busy:
            controller.notices.warn(texts.COPY_RUNNING)
            return
        snapshot = controller.overlay.snapshot()
        remark = controller.overlay.coverage.completeness.sentence
        if isinstance(source.data, np.ndarray) and source.data.nbytes < LARGE_BYTES:
            try:
                self._add(source, snapshot(), remark)
            except MemoryError:
                controller.notices.error(texts.TOO_LARGE)
            return
        copies: list[Any] = []
        self._add_copied = lambda: self._add(source, copies[0], remark)
        self._copier.run(lambda: copies.append(snapshot()), "")

    def _on_copied(self) -> None:
        add, self._add_copied = self._add_copied, None
        if add is not None:
            add()

    def _add(self, source: Any, data: Any, remark: str) -> None:
        controller, present = self._controller, self._viewer.layers
        copy = Labels(
            data,
            multiscale=False,
            name=layers.free_name(f"{source.name} copy", {layer.name for layer in present}),
            colormap=label_colormap(controller.classes.colors, spare=9),
            opacity=source.opacity,
            **layers.placement(source),
        )
        controller.classes.save_to(copy)
        at = list(present).index(source) + 1 if source in present else len(present)
        with selection_kept(self._viewer):
            present.insert(at, copy)
        controller.notices.notice.emit(
            "warning" if remark else "info",
            texts.copied(copy.name, remark),
        )
