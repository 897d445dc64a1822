"""What a person does becomes operations, and replaying them gives the same again."""

import numpy as np
import pytest

from napari_msd.core.box import Box
from napari_msd.core.settings import Settings
from napari_msd.core.space import Space
from napari_msd.document import AnnotationSnapshot, Painted, document_of
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
    recorder.begin(SPACE, "cells", Settings(), [])
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


def test_another_image_is_another_document(recorder):
    recorder.paint([dab(1, 0, 0)])
    recorder.begin(SPACE, "others", Settings(), [dab(2, 10, 10)])
    assert recorder.document.annotation.counts == {2: 25}


def test_choosing_the_same_settings_again_is_no_operation(recorder):
    before = recorder.document.number
    recorder.choose(Settings())
    assert recorder.document.number == before
    recorder.choose(Settings.from_preset("balanced"))
    assert recorder.document.number == before + 1


def test_the_operations_kept_are_bounded_and_nothing_is_lost(recorder, monkeypatch):
    monkeypatch.setattr(module, "MAX_OPERATIONS", 50)
    everything = [dab(1 + n % 2, n % 35, n % 45, 3) for n in range(300)]
    for painted in everything:
        recorder.paint([painted])
        assert recorder.document.number <= 51
    whole = document_of([*(entry.operation for entry in recorder.document.journal.replay())][:2])
    for painted in everything:
        whole.annotation.write(painted.box, painted.values)
    assert recorder.document.annotation == whole.annotation


def test_strokes_before_an_image_is_chosen_are_not_taken_down(classes):
    recorder = Recorder(classes)
    recorder.paint([dab(1, 0, 0)])
    assert not recorder.painted()
