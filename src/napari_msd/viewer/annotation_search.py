"""Goes through all of an annotation, in an order and a way that suit its array."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_msd.document.chunked import ChunkedLabels
from napari_msd.viewer import stroke_boxes
from napari_msd.viewer.background_reader import BackgroundReader

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from napari_msd.core.box import Box
    from napari_msd.document.annotation import Annotation


class AnnotationSearch:
    """Boxes to be compared; those of arrays that are slow to read come with their values."""

    def __init__(self) -> None:
        self._boxes: Iterator[Box] = iter(())
        self._reader: BackgroundReader | None = None
        """Takes the place of `_boxes` for arrays that are slow to read."""
        self._data: Any = None
        self._edited: list[Box] = []
        """What may have changed since `_reader` began: it may have read that before."""

    def begin(self, data: Any, shown: Box, known: Annotation) -> None:
        """Begin with an array anew.

        Parameters
        ----------
        data
            The array.
        shown
            The plane on screen, which comes first.
        known
            What is known to be painted.
        """
        self.stop()
        self._data = data
        shape = tuple(map(int, data.shape))
        if isinstance(data, ChunkedLabels):
            self._boxes = stroke_boxes.of_chunks(data, shown, known)
        elif isinstance(data, np.ndarray):
            self._boxes = stroke_boxes.whole_planes(shape, shown, known)
        else:
            boxes = stroke_boxes.lazy_chunks(data, shape, shown)
            self._reader = BackgroundReader(data, boxes)

    def stop(self) -> None:
        """Nothing is left to be compared."""
        if self._reader is not None:
            self._reader.stop()
        self._boxes, self._reader, self._data = iter(()), None, None
        self._edited.clear()

    def edited(self, boxes: Iterable[Box]) -> None:
        """These may have changed just now."""
        if self._reader is not None:
            self._edited.extend(boxes)

    def next_box(self) -> Box | None:
        """The next box of an array that is quick to read."""
        return next(self._boxes, None)

    @property
    def done(self) -> bool:
        """Whether everything that is slow to read was taken."""
        return self._reader is None or self._reader.done

    def take(self) -> tuple[Box, NDArray[np.generic]] | None:
        """A box of an array that is slow to read, and its values as they are now; if one came."""
        read = self._reader.take() if self._reader is not None else None
        if read is None:
            return None
        box, values = read
        parts = [part for part in (box.intersect(edit) for edit in self._edited) if not part.empty]
        if parts and values.shape == box.shape:
            values = np.array(values)
            for part in dict.fromkeys(parts):
                values[part.within(box).slices] = np.asarray(self._data[part.slices])
        return box, values
