"""Matches the classes of a saved model to those of the annotation: by name, then by value."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from napari_msd.core.settings import MAX_CLASSES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_msd.images.model_file import ModelRecord


def match_by_name(record: ModelRecord, names: Mapping[int, str]) -> ModelRecord:
    """Give each class of a model the value of the annotation's class with the same name.

    Parameters
    ----------
    record
        The model.
    names
        Names of the painted classes, by value. Case is ignored.

    Returns
    -------
    ModelRecord
        The same network. A class without a painted class of its name keeps its value if that is
        free, else it gets the first free one.
    """
    here = {name.casefold(): value for value, name in sorted(names.items(), reverse=True) if name}
    values: dict[int, int] = {}
    for info in record.classes:
        value = here.get(info.name.casefold())
        if value is not None and value not in values.values():
            values[info.value] = value
    if all(old == new for old, new in values.items()):
        return record
    for info in record.classes:
        if info.value not in values:
            taken = set(values.values())
            free = (v for v in (info.value, *range(1, MAX_CLASSES + 1)) if v not in taken)
            values[info.value] = next(free)
    classes = tuple(replace(info, value=values[info.value]) for info in record.classes)
    scores = {values[value]: score for value, score in record.scores.items()}
    return replace(record, classes=classes, scores=scores)
