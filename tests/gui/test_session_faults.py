"""Strokes stay on disk when sessions, layers and windows change; session files do no harm."""

import threading

import numpy as np
import pytest
import tifffile
from qtpy.QtCore import QThread
from qtpy.QtWidgets import QApplication, QMessageBox

from napari_msd.core.checkpoint import ClassInfo, VersionFigures
from napari_msd.core.errors import SessionError
from napari_msd.core.space import Space
from napari_msd.document import Document, History
from napari_msd.document.operations import BindSource, DefineClass, PaintBox
from napari_msd.plugin import session_texts
from napari_msd.storage import ImageReference, NetworkKey, SessionFile, read, summaries
from napari_msd.viewer import restore, view_state

from .fake_client import FakeClient
from .models import record

SPACE = Space("YX", (128, 160))


def session(path, references, view=None, painted=True):
    """A session file with an annotation and a network for each image."""
    file = SessionFile.create(path)
    for steps, reference in enumerate(references, 100):
        number = file.add_image(reference)
        if painted:
            annotation = file.add_annotation(number, f"strokes of {reference.name}"[:100])
            document = Document(file.journal(annotation))
            values = np.zeros(SPACE.shape, np.uint8)
            values[10:20, 10:20] = 1
            document.do(BindSource(0, SPACE, reference.name[:100]))
            document.do(DefineClass(ClassInfo(1, "background", "#2f6fa7")))
            document.do(PaintBox(SPACE.whole(0), values))
            file.choose(annotation)
        history = History()
        figures = VersionFigures(steps, 0.9, steps, steps, 0, "2026-11-25T10:00:00+00:00")
        history.add(record(steps=steps).to_bytes(), figures, reference.name)
        file.keep_versions(number, NetworkKey("quick"), history)
    if view is not None:
        file.keep_view(view)
    assert file.close(10)
    return path


def reference(name, path=""):
    return ImageReference(name, SPACE.axes, SPACE.shape, 1, "float32", path=str(path))


def opened(msd, path, qtbot):
    msd.session.sessions.open(path)
    saving = msd.controller.memory.saving
    qtbot.waitUntil(lambda: saving.file is not None and saving.file.path == path)
    qtbot.waitUntil(lambda: not msd.controller.strokes.busy)


def on_disk(msd):
    """Painted pixels of each annotation in the open session's file."""
    file = msd.controller.memory.saving.file
    assert file.flush(10)
    return [sum(a.document.annotation.counts.values()) for a in read(file.path).annotations]


def paint(msd, layer, place, value, qtbot):
    layer.paint(place, value)
    qtbot.waitUntil(lambda: not msd.controller.strokes.busy)


def test_strokes_go_on_after_a_session_without_annotations(painted, qtbot, tmp_path):
    path = session(tmp_path / "networks.msdsession", [reference("cells")], painted=False)
    opened(painted, path, qtbot)
    paint(painted, painted.controller.chosen.annotation, (100, 100), 1, qtbot)
    (count,) = on_disk(painted)
    assert count == np.count_nonzero(painted.controller.chosen.annotation.data)


def test_strokes_are_saved_when_another_layer_is_chosen_at_once(painted, qtbot):
    layer = painted.controller.chosen.annotation
    painted.panel.new_annotation_button.click()
    painted.session.picker.choose(annotation=layer)
    qtbot.waitUntil(lambda: not painted.controller.strokes.busy)
    other = next(a for a in painted.viewer.layers if "strokes" in a.name and a is not layer)
    layer.paint((100, 100), 1)
    painted.session.picker.choose(annotation=other)
    (count,) = on_disk(painted)
    assert count == np.count_nonzero(layer.data)


def test_strokes_are_saved_when_the_panel_closes_at_once(painted, qtbot):
    layer = painted.controller.chosen.annotation
    path = painted.controller.memory.saving.file.path
    layer.paint((100, 100), 1)
    painted.widget.end()
    (annotation,) = read(path).annotations
    assert annotation.document.annotation.count(1) == np.count_nonzero(layer.data == 1)


def test_strokes_are_saved_when_another_session_is_opened_at_once(painted, qtbot, tmp_path):
    path = session(tmp_path / "other.msdsession", [reference("cells")])
    saving, layer = painted.controller.memory.saving, painted.controller.chosen.annotation
    before = saving.file.path
    file, content = SessionFile.open(path)
    layer.paint((100, 100), 1)
    painted.session.sessions.opening.show(file, content)
    (annotation,) = read(before).annotations
    assert annotation.document.annotation.count(1) == np.count_nonzero(layer.data == 1)


def test_opening_asks_first_if_something_would_be_lost(painted, qtbot, tmp_path, monkeypatch):
    path = session(tmp_path / "other.msdsession", [reference("cells")])
    saving = painted.controller.memory.saving
    present = saving.file
    monkeypatch.setattr(type(saving), "at_risk", property(lambda self: True))
    asked = []

    def answer(box):
        asked.append(box.text())
        return QMessageBox.StandardButton.Cancel

    monkeypatch.setattr(QMessageBox, "exec", answer)
    painted.session.sessions.open(path)
    assert asked
    assert saving.file is present


def test_a_session_that_could_not_be_made_is_made_without_another_stroke(msd, qtbot, monkeypatch):
    saving = msd.controller.memory.saving
    make, working = saving._make_path, []

    def make_path(stem):
        if not working:
            raise SessionError("The disk is away.")
        return make(stem)

    monkeypatch.setattr(saving, "_make_path", make_path)
    msd.panel.new_annotation_button.click()
    paint(msd, msd.controller.chosen.annotation, (60, 60), 1, qtbot)
    qtbot.waitUntil(lambda: "disk is away" in msd.panel.saved_label.text())
    assert saving.at_risk
    working.append(True)
    saving._not_before = 0.0
    msd.session.sessions.tick()
    assert saving.file is not None
    qtbot.waitUntil(lambda: not saving.at_risk)
    qtbot.waitUntil(lambda: msd.panel.saved_label.text().startswith("saved"))


def test_a_panel_that_is_opened_again_tells_that_saving_fails(painted, viewer, open_widget, qtbot):
    saving = painted.controller.memory.saving
    saving.file.saved.disconnect(saving._on_saved)  # nothing works again meanwhile
    saving._on_failed("Strokes are not being saved: away.")
    viewer.window.remove_dock_widget(painted.dock)
    qtbot.waitUntil(lambda: painted.widget.session is None)
    again = open_widget(FakeClient, name="again")
    assert "not being saved" in again.panel.saved_label.text()


def test_the_failure_of_one_session_is_not_told_of_the_next(painted, qtbot, tmp_path, monkeypatch):
    monkeypatch.setattr(QMessageBox, "exec", lambda self: QMessageBox.StandardButton.Discard)
    path = session(tmp_path / "other.msdsession", [reference("cells")])
    saving = painted.controller.memory.saving
    saving.file.saved.disconnect(saving._on_saved)  # nothing works again meanwhile
    saving._on_failed("Strokes are not being saved: away.")
    qtbot.waitUntil(lambda: "not being saved" in painted.panel.saved_label.text())
    opened(painted, path, qtbot)
    painted.session.sessions.tick()
    assert "not being saved" not in painted.panel.saved_label.text()


def test_an_offer_of_a_session_ends_with_it(open_widget, viewer, qtbot, tmp_path, monkeypatch):
    msd = open_widget(FakeClient)
    moved = tmp_path / "moved.tif"
    tifffile.imwrite(moved, np.zeros(SPACE.shape, np.float32))
    lost = [reference(name, tmp_path / f"{name}.tif") for name in ("a", "b")]
    opened(msd, session(tmp_path / "first.msdsession", lost), qtbot)
    msd.session.sessions._list = None
    offers = msd.panel.offers
    assert offers.text
    viewer.add_image(np.zeros(SPACE.shape, np.float32), name="cells")
    opened(msd, session(tmp_path / "second.msdsession", [reference("cells")]), qtbot)
    assert not offers.text


def test_networks_of_missing_images_are_not_exchanged(msd, viewer, qtbot, tmp_path, monkeypatch):
    """Another image is open: it must not take their networks away, in memory or on disk."""
    moved = {name: tmp_path / f"moved {name}.tif" for name in ("a", "b")}
    for path in moved.values():
        tifffile.imwrite(path, np.zeros(SPACE.shape, np.float32))
    lost = [reference(name, tmp_path / f"{name}.tif") for name in ("a", "b")]
    path = session(tmp_path / "first.msdsession", lost)
    opened(msd, path, qtbot)
    for name, steps in (("b", 101), ("a", 100)):
        monkeypatch.setattr(
            "napari_msd.plugin.session_opening.QFileDialog.getOpenFileName",
            lambda *_, name=name: (str(moved[name]), ""),
        )
        (button,) = [b for b in msd.panel.offers.buttons if b.text() == "Choose file …"]
        button.click()
        qtbot.waitUntil(lambda: not msd.controller.strokes.busy)
        history = msd.controller.network.history
        assert [version.figures.steps for version in history.versions] == [steps]
    assert msd.controller.memory.saving.file.flush(10)
    saved = [image.histories[NetworkKey("quick")] for image in read(path).images[:2]]
    found = [history.versions[0].figures.steps for history in saved]
    assert found == [100, 101]


def test_opening_that_fails_lets_go_of_the_file(msd, qtbot, tmp_path, monkeypatch):
    path = session(tmp_path / "other.msdsession", [reference("cells")])

    def fail(*_):
        raise RuntimeError("another plugin's mistake")

    monkeypatch.setattr(restore, "add_annotation", fail)
    with qtbot.capture_exceptions():
        msd.session.sessions.open(path)
        qtbot.waitUntil(lambda: "mistake" in msd.status)
    SessionFile.open(path)[0].close(10)


def test_a_panel_closed_while_a_session_is_opened_lets_go_of_the_file(
    msd, qtbot, tmp_path, monkeypatch
):
    path = session(tmp_path / "other.msdsession", [reference("cells")])
    go_on, done, open_file = threading.Event(), threading.Event(), SessionFile.open

    def slow(path):
        go_on.wait(10)
        try:
            return open_file(path)
        finally:
            done.set()

    monkeypatch.setattr(SessionFile, "open", slow)
    msd.session.sessions.open(path)
    msd.widget.end()
    go_on.set()
    qtbot.waitUntil(done.is_set)
    monkeypatch.undo()
    qtbot.waitUntil(lambda: not [s for s in summaries(tmp_path) if s.in_use])


def test_a_second_panel_that_floats_ends_without_the_session(painted, viewer, open_widget, qtbot):
    second = open_widget(FakeClient, name="second")
    second.dock.setFloating(True)
    QApplication.processEvents()
    viewer.window.remove_dock_widget(second.dock)
    second.dock.deleteLater()
    QApplication.sendPostedEvents()
    QApplication.processEvents()
    layer = painted.controller.chosen.annotation
    paint(painted, layer, (100, 100), 1, qtbot)
    (count,) = on_disk(painted)
    assert count == np.count_nonzero(layer.data)


def test_napari_opens_a_session_file_after_the_panel_was_closed(viewer, qtbot, tmp_path):
    path = session(tmp_path / "other.msdsession", [reference("cells")])
    dock, widget = viewer.window.add_plugin_dock_widget("napari-msd", "MS-D Segmentation")
    QApplication.processEvents()
    dock.close()
    QApplication.processEvents()
    viewer.open(path, plugin="napari-msd")
    qtbot.waitUntil(lambda: len(viewer.layers) == 1)
    for w in {widget}:
        w.end()


def test_display_that_is_no_number_is_left_out(painted, image, viewer):
    image._contrast_limits = [0.0, float("inf")]  # of pixels that are infinite
    painted.session.sessions.tick()
    image._contrast_limits = [0.0, 1.0]


@pytest.mark.parametrize(
    ("name", "value"), [("brush_size", 10**6), ("contour", 3000), ("selected_label", 300)]
)
def test_display_that_would_fill_memory_is_not_taken(painted, viewer, name, value):
    annotation, image = painted.controller.chosen.annotation, painted.controller.chosen.image
    before = getattr(annotation, name)
    view_state.show({"annotation": {name: value}}, viewer, image, annotation)
    assert getattr(annotation, name) == before


@pytest.mark.parametrize(
    ("part", "names"),
    [
        ("image", "contrast_limits gamma opacity visible blending"),
        ("annotation", "opacity visible brush_size selected_label contour scale translate"),
        ("camera", "center zoom angles"),
        ("dims", "ndisplay order current_step"),
    ],
)
def test_display_of_a_strange_file_raises_nothing(painted, viewer, part, names):
    annotation, image = painted.controller.chosen.annotation, painted.controller.chosen.image
    over = None if part == "annotation" else image
    for name in names.split():
        for value in (0, -1, 1e-300, 1e308, "x", [], [1e308] * 2, [[1]], [10**30] * 2, ["a", "b"]):
            before = view_state.view_state(viewer, image, annotation)
            view_state.show({part: {name: value}}, viewer, over, annotation)
            painted.session.sessions.tick()
            view_state.show(before, viewer, image, annotation)


def test_sessions_are_listed_on_another_thread(msd, qtbot, monkeypatch):
    threads = []

    def slow():
        threads.append(QThread.currentThread() is QApplication.instance().thread())
        return []

    monkeypatch.setattr("napari_msd.plugin.sessions.summaries", slow)
    msd.session.sessions.show_list()
    qtbot.waitUntil(lambda: msd.session.sessions._list is not None)
    assert threads == [False]
    msd.session.sessions._list.close()


def test_names_of_a_file_take_little_room(msd, qtbot, tmp_path):
    path = session(tmp_path / "n.msdsession", [reference("<b>name</b> " * 800, "/x/" + "y" * 9000)])
    opened(msd, path, qtbot)
    assert len(msd.panel.offers.text) < 600
    (summary,) = summaries(tmp_path)
    assert len(session_texts.interrupted(summary, 0, summary.last_change)) < 600
    assert len(msd.status) < 600


@pytest.mark.parametrize(
    "path",
    ["\\/host\\share\\a.tif", "/\\host\\share\\a.tif", "\\??\\UNC\\host\\share\\a.tif"],
)
def test_windows_addresses_are_elsewhere(path):
    assert restore.is_elsewhere(path)


@pytest.mark.parametrize("name", ["{}/a.py/", "{}/a.py/.", "{}/a.msdsession", "/dev/zero"])
def test_only_images_are_opened(viewer, monkeypatch, tmp_path, name):
    for file in ("a.py", "a.msdsession"):
        (tmp_path / file).write_text("")
    monkeypatch.setattr(type(viewer), "open", lambda *a, **k: pytest.fail("opened"))
    with pytest.raises(SessionError):
        restore.open_image(viewer, reference("a", name.format(tmp_path)))
