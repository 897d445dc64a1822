"""The classes of an annotation: names, colours, painted pixels and scores.

`ClassTable` is the single source; list, overlay, colormaps and key bindings follow it.
Names, colours and which classes are hidden are kept in the annotation's own ``metadata``, so that
choosing the layer again, or opening the widget again, brings them back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import ImageColor
from psygnal import Signal

from napari_msd.core.class_names import class_name_or_number, clean_class_name
from napari_msd.core.palette import class_color
from napari_msd.core.settings import MAX_CLASSES
from napari_msd.images.napari_writer import CLASSES_KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from napari_msd.session.ports import Layer


NEW_CLASSES = {1: "background", 2: "foreground"}
"""Classes of a new annotation: training needs at least two."""
HIDDEN_AT_FIRST = frozenset({1})
"""Classes of a new annotation that the segmentation does not show: it would tint all the image."""
FOUND_CLASSES = {1: "class 1", 2: "class 2"}
"""Classes of an existing annotation, whose meaning is unknown."""


@dataclass
class ClassInfo:
    """One class as the class list shows it."""

    value: int
    name: str
    color: str
    pixels: int = 0
    iou: float | None = None
    margin: float | None = None
    """Half width of the IoU's 95 % interval."""
    measured_on: int = 0
    """Number of held-out pieces of strokes that the IoU is measured on."""
    too_few: int = 0
    """Number of pieces of strokes, if they are too few for a validation split; else 0."""
    visible: bool = True
    """Whether the segmentation shows it; strokes are always shown."""


class ClassTable:
    """Classes by value, in order; emits a signal for every change."""

    changed = Signal()
    """Classes, names or colours changed."""
    numbers_changed = Signal()
    """Only painted pixels or scores changed: cheap to show."""

    def __init__(self) -> None:
        self._classes: dict[int, ClassInfo] = {}
        self._removed: dict[int, ClassInfo] = {}

    def __iter__(self) -> Iterator[ClassInfo]:
        return iter(self._classes.values())

    def __len__(self) -> int:
        return len(self._classes)

    def __contains__(self, value: object) -> bool:
        return value in self._classes

    def __getitem__(self, value: int) -> ClassInfo:
        return self._classes[value]

    def get(self, value: int) -> ClassInfo | None:
        """The class of this value, if there is one."""
        return self._classes.get(value)

    @property
    def names(self) -> dict[int, str]:
        """Name of each class value."""
        return {info.value: info.name for info in self}

    @property
    def colors(self) -> dict[int, str]:
        """Colour of each class value."""
        return {info.value: info.color for info in self}

    @property
    def hidden(self) -> frozenset[int]:
        """Values of the classes that the segmentation does not show."""
        return frozenset(info.value for info in self if not info.visible)

    @property
    def overlay_colors(self) -> dict[int, str]:
        """Colour of each class value in the segmentation; ``#rrggbb00`` for a hidden class."""
        return {info.value: info.color if info.visible else f"{info.color}00" for info in self}

    # --- commands ------------------------------------------------------------------------

    def add(self, value: int | None = None, name: str = "", color: str = "") -> int | None:
        """Add a class, by default with the first free value; ``None`` if all values are used."""
        if value is None:
            free = (v for v in range(1, MAX_CLASSES + 1) if v not in self._classes)
            value = next(free, None)
        if value is None or value in self._classes:
            return None
        self._add([value], name, color)
        return value

    def _add(self, values: Iterable[int], name: str = "", color: str = "") -> None:
        for value in values:
            before = self._removed.pop(value, None)  # undo brings strokes back, and their class
            visible = before is None or before.visible
            if before is not None and not name:
                name_of, color_of = before.name, before.color
            else:
                name_of, color_of = name, color
            self._classes[value] = ClassInfo(
                value,
                class_name_or_number(name_of, value),
                checked_color(color_of, value),
                visible=visible,
            )
        self._classes = dict(sorted(self._classes.items()))
        self.changed.emit()

    def adopt(
        self,
        names: dict[int, str],
        colors: dict[int, str],
        free: Callable[[ClassInfo], bool],
    ) -> None:
        """Set names and colours by value, all at once.

        Parameters
        ----------
        names, colors
            Of each class, by value; a new value adds a class.
        free
            Returns whether an existing class may get another name and colour.
        """
        for value, name in names.items():
            if value not in self._classes:
                self._classes[value] = ClassInfo(value, "", "")
            elif not free(self._classes[value]):
                continue
            info = self._classes[value]
            info.name = class_name_or_number(name, value)
            info.color = checked_color(colors.get(value, ""), value)
        self._classes = dict(sorted(self._classes.items()))
        self.changed.emit()

    def rename(self, value: int, name: str) -> None:
        """Rename a class; an empty name is ignored."""
        name = clean_class_name(name)
        if name and name != self._classes[value].name:
            self._classes[value].name = name
            self.changed.emit()

    def recolor(self, value: int, color: str) -> None:
        """Change the colour of a class."""
        color = checked_color(color, value)
        if color != self._classes[value].color:
            self._classes[value].color = color
            self.changed.emit()

    def show(self, value: int, visible: bool) -> None:
        """Show or hide a class in the segmentation."""
        if self._classes[value].visible is not visible:
            self._classes[value].visible = visible
            self.changed.emit()

    def remove(self, value: int) -> None:
        """Remove a class; the caller erases its strokes."""
        info = self._classes.pop(value, None)
        if info is not None:
            self._removed[value] = info
            self.changed.emit()

    # --- what is measured ----------------------------------------------------------------

    def set_pixels(self, counts: dict[int, int]) -> None:
        """Set the number of painted pixels by value; a new value adds a class."""
        if new := [value for value in counts if value not in self._classes]:
            self._add(new)
        before = [info.pixels for info in self]
        for info in self:
            info.pixels = counts.get(info.value, 0)
        if before != [info.pixels for info in self]:
            self.numbers_changed.emit()

    def set_scores(
        self,
        iou: dict[int, float],
        margin: dict[int, float] | None = None,
        measured_on: dict[int, int] | None = None,
        too_few: dict[int, int] | None = None,
    ) -> None:
        """Set each class's IoU on held-out strokes, and its margin."""
        for info in self:
            info.iou = iou.get(info.value)
            info.margin = (margin or {}).get(info.value)
            info.measured_on = (measured_on or {}).get(info.value, 0)
            info.too_few = (too_few or {}).get(info.value, 0)
        self.numbers_changed.emit()

    # --- memory --------------------------------------------------------------------------

    def reset(
        self,
        names: dict[int, str],
        colors: dict[int, str] | None = None,
        hidden: Collection[int] = (),
    ) -> None:
        """Replace all classes; those in `hidden` are not shown in the segmentation."""
        self._removed.clear()
        colors = colors or {}
        self._classes = {
            value: ClassInfo(
                value,
                class_name_or_number(name, value),
                checked_color(colors.get(value, ""), value),
                visible=value not in hidden,
            )
            for value, name in sorted(names.items())
        }
        self.changed.emit()

    def save_to(self, layer: Layer) -> None:
        """Store names, colours and what is hidden in the annotation's metadata."""
        layer.metadata[CLASSES_KEY] = {
            str(info.value): {"name": info.name, "color": info.color}
            | ({} if info.visible else {"visible": False})
            for info in self
        }

    def load_from(self, layer: Layer) -> bool | None:
        """Restore what `save_to` stored.

        Returns
        -------
        bool or None
            False if nothing is stored there, ``None`` if it is damaged.
        """
        if CLASSES_KEY not in layer.metadata:
            return False
        table = layer.metadata[CLASSES_KEY]
        if not isinstance(table, dict):
            return None
        try:
            kept = {int(value): entry for value, entry in table.items()}
            names = {v: str(entry["name"]) for v, entry in kept.items() if 1 <= v <= MAX_CLASSES}
            colors = {v: str(entry["color"]) for v, entry in kept.items() if v in names}
            hidden = {v for v, entry in kept.items() if entry.get("visible") is False}
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            return None
        if not names:
            return None
        self.reset(names, colors, hidden)
        return True


def checked_color(color: str, value: int) -> str:
    """``#rrggbb`` of a colour by name or code; the usual one of class `value` for anything else."""
    try:
        red, green, blue = ImageColor.getrgb(color[:64])[:3]
    except ValueError:
        return class_color(value)
    return f"#{red:02x}{green:02x}{blue:02x}"
