"""A model's classes find their namesakes on another image."""

import numpy as np

from napari_msd.core.checkpoint import ClassInfo
from napari_msd.images.class_matching import match_by_name
from napari_msd.images.model_file import ModelRecord, parameter_shapes


def model(*names):
    classes = tuple(ClassInfo(i, name, "#000000") for i, name in enumerate(names, start=1))
    shapes = parameter_shapes(1, len(names), 2, 1)
    return ModelRecord(
        weights={name: np.zeros(shape, np.float32) for name, shape in shapes},
        in_channels=1,
        n_classes=len(names),
        depth=2,
        width=1,
        dilations=(1,),
        classes=classes,
        mean=(0.0,),
        std=(1.0,),
        scores={i: i / 10 for i in range(1, len(names) + 1)},
    )


def values(record):
    return {info.name: info.value for info in record.classes}


def test_the_same_names_at_other_values():
    matched = match_by_name(model("background", "nucleus"), {1: "Nucleus", 2: "background"})
    assert values(matched) == {"background": 2, "nucleus": 1}
    assert [info.value for info in matched.classes] == [2, 1]  # outputs keep their order
    assert matched.scores == {2: 0.1, 1: 0.2}
    assert ModelRecord.from_bytes(matched.to_bytes()).class_names == {2: "background", 1: "nucleus"}


def test_unknown_names_keep_their_value_where_it_is_free():
    matched = match_by_name(model("a", "b", "c"), {2: "a"})
    assert values(matched) == {"a": 2, "b": 1, "c": 3}


def test_nothing_in_common_changes_nothing():
    record = model("a", "b")
    assert match_by_name(record, {1: "x", 2: "y"}) is record
    assert match_by_name(record, {}) is record
    assert match_by_name(record, {1: "a", 2: "b"}) is record


def test_two_classes_of_one_name_stay_two():
    assert sorted(values_list(match_by_name(model("a", "a"), {5: "a"}))) == [2, 5]


def values_list(record):
    return [info.value for info in record.classes]
