"""What a person does becomes operations, and replaying them gives the same again."""

import threading

import numpy as np
import pytest

from napari_msd.core.box import Box
from napari_msd.core.checkpoint import VersionFigures
from napari_msd.core.errors import SessionError
from napari_msd.core.settings import Settings
from napari_msd.core.space import Space
from napari_msd.document import (
    Annotation,
    AnnotationSnapshot,
    History,
    Kind,
    Painted,
    document_of,
)
from napari_msd.session import recorder as module
from napari_msd.session.classes import NEW_CLASSES, ClassTable
from napari_msd.session.memory import SessionMemory
from napari_msd.session.ports import Channel, ImageData
from napari_msd.session.recorder import Recorder
from napari_msd.session.saving import Saving
from napari_msd.storage import ImageReference, NetworkKey, SessionFile, read

SPACE = Space("YX", (40, 50))


class Layer:
    def __init__(self, name):
        self.name, self.metadata = name, {}


class Chosen:
    """The chosen image, as the viewer tells it."""

    def __init__(self, name="cells"):
        self.image = Layer(name)
        self.data = ImageData((object(),), SPACE, lambda box: np.zeros(box.shape, np.uint8))

    @property
    def layers(self):
        return (self.image,)

    @property
    def channels(self):
        name = self.image.name
        reference = ImageReference(name, "YX", SPACE.shape, 1, "uint8", path="/cells.tif")
        return (Channel(self.image, reference, self.data),)


def unwritable(name):
    raise SessionError("The folder for sessions cannot be written.")


class Desk:
    """A recorder, what it records from, and where it saves."""

    def __init__(self, make_path=unwritable):
        self.classes = ClassTable()
        self.classes.reset(dict(NEW_CLASSES))
        self.memory = SessionMemory("quick", "auto")
        self.memory.saving = Saving(make_path)
        self.chosen = Chosen()
        self.strokes = Layer("strokes")
        self.recorder = Recorder(self.classes, self.chosen, self.memory)

    def begin(self, snapshot=None, layer=None):
        snapshot = AnnotationSnapshot(SPACE.shape) if snapshot is None else snapshot
        self.recorder.begin(layer or self.strokes, SPACE, Settings(), snapshot)
        return self.recorder

    def paint(self, painted):
        """What the watcher of strokes tells, and then the controller."""
        self.recorder.paint(painted)
        self.recorder.save_first()


@pytest.fixture
def desk():
    return Desk()


@pytest.fixture
def recorder(desk):
    return desk.begin()


@pytest.fixture
def saved(tmp_path):
    """A recorder that saves into a file."""
    desk = Desk(lambda name: tmp_path / f"{name}.msdsession")
    desk.begin()
    yield desk
    desk.memory.saving.close()


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


def test_classes_are_followed(desk, recorder):
    classes = desk.classes
    classes.rename(2, "nucleus")
    classes.recolor(2, "#123456")
    classes.add()
    classes.remove(1)
    recorded = {v: (info.name, info.color) for v, info in recorder.document.classes.items()}
    assert recorded == {info.value: (info.name, info.color) for info in classes}
    assert recorded[2] == ("nucleus", "#123456")
    assert 1 not in recorded


def test_another_annotation_is_another_document(desk, recorder):
    recorder.paint([dab(1, 0, 0)])
    others = AnnotationSnapshot(SPACE.shape)
    others.compare(Box.whole(0, SPACE.shape), np.full(SPACE.shape, 2, np.uint8))
    desk.begin(others, Layer("others"))
    assert recorder.document.annotation.counts == {2: 2000}
    desk.begin()
    assert recorder.document.annotation.counts == {1: 25}


def test_another_image_below_the_same_strokes_does_not_record_them_again(desk, recorder):
    recorder.paint([dab(1, 0, 0)])
    before = recorder.document.number
    desk.chosen.image = Layer("the same, smoothed")
    desk.begin()
    assert recorder.document.number == before + 1
    assert recorder.document.sources[0].name == "the same, smoothed"
    assert recorder.document.annotation.counts == {1: 25}


def test_what_was_erased_while_nobody_watched_is_found_when_all_is_read(desk, recorder):
    recorder.paint([dab(1, 0, 0), dab(2, 20, 20)])
    now = AnnotationSnapshot(SPACE.shape)
    now.compare(dab(1, 0, 0).box, dab(1, 0, 0).values)
    desk.begin(now)
    assert recorder.document.annotation.counts == {1: 25, 2: 25}  # not all of it is read yet
    corrections = recorder.compare(now)
    assert recorder.document.annotation.counts == {1: 25}
    assert any(painted.box.contains(dab(2, 20, 20).box) for painted in corrections)
    assert recorder.compare(now) == []


def test_classes_of_another_annotation_do_not_touch_the_document(desk, recorder):
    recorder.paint([dab(2, 0, 0)])
    document = recorder.document
    recorder.leave()
    desk.classes.reset({1: "only one"})
    assert document.classes[2].name == NEW_CLASSES[2]
    assert document.annotation.counts == {2: 25}


def test_a_class_that_is_painted_stays_in_the_document(desk, recorder):
    recorder.paint([dab(2, 0, 0)])
    desk.classes.reset({1: "only one"})
    assert recorder.document.annotation.counts == {2: 25}


def test_choosing_the_same_settings_again_is_no_operation(recorder):
    before = recorder.document.number
    recorder.choose(Settings())
    assert recorder.document.number == before
    recorder.choose(Settings.from_preset("balanced"))
    assert recorder.document.number == before + 1


def test_without_a_file_the_operations_are_bounded_and_nothing_is_lost(desk, recorder, monkeypatch):
    monkeypatch.setattr(module, "MAX_OPERATIONS", 50)
    desk.begin()
    expected = Annotation()
    for n in range(300):
        painted = dab(1 + n % 2, n % 35, n % 45, 3)
        expected.write(painted.box, painted.values)
        recorder.paint([painted])
        assert recorder.document.number <= 51
    assert recorder.document.annotation == expected
    operations = [entry.operation for entry in recorder.document.journal.replay()]
    assert document_of(operations) == recorder.document


def test_a_large_annotation_is_not_compacted_at_every_step(desk, recorder, monkeypatch):
    monkeypatch.setattr(module, "MAX_OPERATIONS", 5)  # fewer than it takes to say what there is
    desk.begin()
    compacted = []
    compact = recorder._compact
    monkeypatch.setattr(recorder, "_compact", lambda: (compacted.append(1), compact()))
    for n in range(64):
        recorder.paint([dab(1 + n % 2, n % 35, n % 45)])
    assert 1 <= len(compacted) <= 16


def test_strokes_before_an_image_is_chosen_are_not_taken_down(desk):
    desk.recorder.paint([dab(1, 0, 0)])
    assert not desk.recorder.painted()


# --- saving ----------------------------------------------------------------------------------


def content_of(desk):
    file = desk.memory.saving.file
    assert file.flush(10)
    return read(file.path)


def test_the_first_stroke_makes_a_file_that_holds_what_came_before(saved):
    saved.classes.rename(2, "nucleus")
    assert saved.memory.saving.file is None
    saved.paint([dab(2, 3, 4)])
    content = content_of(saved)
    assert [a.document for a in content.annotations] == [saved.recorder.document]
    assert content.annotations[0].document.classes[2].name == "nucleus"
    assert [image.reference.path for image in content.images] == ["/cells.tif"]


def test_later_strokes_follow(saved):
    for n in range(30):
        saved.paint([dab(1 + n % 2, n, n, 4)])
    (annotation,) = content_of(saved).annotations
    assert annotation.document == saved.recorder.document


def test_each_annotation_layer_is_saved(saved):
    saved.paint([dab(1, 0, 0)])
    saved.begin(layer=(others := Layer("others")))
    saved.paint([dab(2, 5, 5)])
    saved.begin()
    content = content_of(saved)
    counts = {a.name: a.document.annotation.counts for a in content.annotations}
    assert counts == {"strokes": {1: 25}, "others": {2: 25}}
    current = {a.number: a.name for a in content.annotations}[content.current]
    assert current == "strokes"
    assert others.name == "others"


def measured():
    """Wait until all fingerprints are computed."""
    for thread in threading.enumerate():
        if thread.name == "napari-msd-fingerprint":
            thread.join(10)


def test_the_fingerprint_of_the_image_is_saved_and_compared(saved):
    told = []
    saving = saved.memory.saving
    saving.image_differs.connect(told.append)
    saved.paint([dab(1, 0, 0)])
    measured()
    content = content_of(saved)
    assert content.images[0].reference.fingerprint
    saving.file.close()
    file, content = SessionFile.open(saving.file.path)
    image, layer = Layer("cells"), Layer("strokes")
    saving.adopt(file, content, {1: image}, {content.current: layer})
    saved.chosen.image = image
    saved.begin(layer=layer)
    measured()
    assert not told  # the same pixels
    saved.chosen.data = ImageData((object(),), SPACE, lambda box: np.ones(box.shape, np.uint8))
    saving._measured.clear()
    saved.begin(layer=layer)
    measured()
    assert told == ["cells"]


def test_a_folder_that_cannot_be_written_is_told_once(desk, recorder):
    told = []
    desk.memory.saving.failed.connect(told.append)
    for n in range(5):
        desk.paint([dab(1, n, n)])
    assert len(told) == 1
    assert recorder.document.annotation.counts[1] > 25


def test_choosing_a_layer_that_holds_something_makes_no_session(saved):
    others = AnnotationSnapshot(SPACE.shape)
    others.compare(Box.whole(0, SPACE.shape), np.full(SPACE.shape, 2, np.uint8))
    saved.begin(others, Layer("labels of yesterday"))
    assert saved.memory.saving.file is None


def test_weights_that_improve_are_saved_now_and_then(saved, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr("napari_msd.session.saving.monotonic", lambda: clock[0])
    saving, image, history = saved.memory.saving, saved.chosen.image, History()

    def keep(model, pieces=1):
        figures = VersionFigures(1, 0.5, pieces, 1, 0, "2026-11-25T10:00:00+00:00")
        history.add(model, figures, "")
        saving.keep_versions([image], Kind((1,), "quick"), history)
        (found,) = [content_of(saved).images[0].histories[NetworkKey("quick")]]
        return [version.model for version in found.versions]

    saved.paint([dab(1, 0, 0)])
    assert keep(b"first") == [b"first"]
    assert keep(b"a little better") == [b"first"]
    assert keep(b"another version", pieces=2) == [b"a little better", b"another version"]
    assert keep(b"better", pieces=2) == [b"a little better", b"another version"]
    clock[0] += 5
    saving.write_networks()
    (kept,) = content_of(saved).images[0].histories.values()
    assert [version.model for version in kept.versions] == [b"a little better", b"better"]
    keep(b"the last", pieces=2)
    path = saving.file.path
    saving.close()
    assert read(path).images[0].histories[NetworkKey("quick")].versions[-1].model == b"the last"


def test_axes_of_other_names_keep_the_strokes(saved):
    saved.paint([dab(2, 3, 4)])
    saved.recorder.begin(
        saved.strokes, Space("ZX", SPACE.shape), Settings(), AnnotationSnapshot(SPACE.shape)
    )
    (annotation,) = content_of(saved).annotations
    assert annotation.document.annotation.counts == {2: 25}
    assert annotation.document.sources[0].space.axes == "ZX"


def test_a_brush_step_does_no_more_than_append_its_operation(saved, monkeypatch):
    saved.paint([dab(1, 0, 0)])
    calls = []
    monkeypatch.setattr(saved.memory.saving, "save", lambda *given: calls.append(given))
    for n in range(5):
        saved.paint([dab(1, n, n)])
    assert calls == []
    assert content_of(saved).annotations[0].document == saved.recorder.document
