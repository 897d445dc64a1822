"""What a person does becomes operations, and replaying them gives the same again."""

import numpy as np
import pytest

from napari_msd.core.box import Box
from napari_msd.core.settings import Settings
from napari_msd.core.space import Space
from napari_msd.document import Annotation, AnnotationSnapshot, Painted, document_of
from napari_msd.session import recorder as module
from napari_msd.session.classes import NEW_CLASSES, ClassTable
from napari_msd.session.recorder import Recorder

SPACE = Space("YX", (40, 50))


@pytest.fixture
def classes():
    table = ClassTable()
    table.reset(dict(NEW_CLASSES))
    return table


@pytest.fixture
def recorder(classes):
    recorder = Recorder(classes)
    recorder.begin(SPACE, "cells", Settings(), AnnotationSnapshot(SPACE.shape))
    return recorder


def dab(value, top, left, size=5):
    box = Box(0, (top, left), (top + size, left + size))
    return Painted(box, np.full((size, size), value, np.uint8))


def test_a_new_document_holds_image_settings_and_classes(recorder):
    document = recorder.document
    assert (document.sources[0].space, document.sources[0].name) == (SPACE, "cells")
    assert {v: info.name for v, info in document.classes.items()} == NEW_CLASSES


def test_replaying_gives_the_same_strokes(recorder):
    snapshot = AnnotationSnapshot(SPACE.shape)
    recorder.paint([dab(1, 0, 0), dab(2, 30, 40), dab(0, 2, 2, 2)])
    for painted in recorder.painted():
        snapshot.compare(painted.box, painted.values)
    assert snapshot.annotation == recorder.document.annotation
    assert snapshot.annotation.counts == {1: 21, 2: 25}


def test_classes_are_followed(recorder, classes):
    classes.rename(2, "nucleus")
    classes.recolor(2, "#123456")
    classes.add()
    classes.remove(1)
    recorded = {v: (info.name, info.color) for v, info in recorder.document.classes.items()}
    assert recorded == {info.value: (info.name, info.color) for info in classes}
    assert recorded[2] == ("nucleus", "#123456")
    assert 1 not in recorded


def test_another_annotation_is_another_document(recorder):
    recorder.paint([dab(1, 0, 0)])
    others = AnnotationSnapshot(SPACE.shape)
    others.compare(Box.whole(0, SPACE.shape), np.full(SPACE.shape, 2, np.uint8))
    recorder.begin(SPACE, "others", Settings(), others)
    assert recorder.document.annotation.counts == {2: 2000}


def test_another_image_below_the_same_strokes_does_not_record_them_again(classes):
    recorder, annotation = Recorder(classes), AnnotationSnapshot(SPACE.shape)
    recorder.begin(SPACE, "cells", Settings(), annotation)
    recorder.paint([dab(1, 0, 0)])
    before = recorder.document.number
    recorder.begin(SPACE, "the same, smoothed", Settings(), annotation)
    assert recorder.document.number == before + 1
    assert recorder.document.sources[0].name == "the same, smoothed"
    assert recorder.document.annotation.counts == {1: 25}


def test_choosing_the_same_settings_again_is_no_operation(recorder):
    before = recorder.document.number
    recorder.choose(Settings())
    assert recorder.document.number == before
    recorder.choose(Settings.from_preset("balanced"))
    assert recorder.document.number == before + 1


def test_the_operations_kept_are_bounded_and_nothing_is_lost(recorder, monkeypatch):
    monkeypatch.setattr(module, "MAX_OPERATIONS", 50)
    recorder.begin(SPACE, "cells", Settings(), AnnotationSnapshot(SPACE.shape))
    expected = Annotation()
    for n in range(300):
        painted = dab(1 + n % 2, n % 35, n % 45, 3)
        expected.write(painted.box, painted.values)
        recorder.paint([painted])
        assert recorder.document.number <= 51
    assert recorder.document.annotation == expected
    operations = [entry.operation for entry in recorder.document.journal.replay()]
    assert document_of(operations) == recorder.document


def test_a_large_annotation_is_not_compacted_at_every_step(recorder, monkeypatch):
    monkeypatch.setattr(module, "MAX_OPERATIONS", 5)  # fewer than it takes to say what there is
    recorder.begin(SPACE, "cells", Settings(), AnnotationSnapshot(SPACE.shape))
    compacted = []
    compact = recorder._compact
    monkeypatch.setattr(recorder, "_compact", lambda: (compacted.append(1), compact()))
    for n in range(64):
        recorder.paint([dab(1 + n % 2, n % 35, n % 45)])
    assert 1 <= len(compacted) <= 16


def test_strokes_before_an_image_is_chosen_are_not_taken_down(classes):
    recorder = Recorder(classes)
    recorder.paint([dab(1, 0, 0)])
    assert not recorder.painted()
