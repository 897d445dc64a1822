"""Work is saved while it is done, and comes back: as a file, and after a crash."""

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import tifffile
from qtpy.QtWidgets import QMessageBox

from napari_msd.core.checkpoint import ClassInfo, VersionFigures
from napari_msd.core.space import Space
from napari_msd.document import Document, History
from napari_msd.document.operations import BindSource, DefineClass, PaintBox
from napari_msd.storage import (
    ImageReference,
    NetworkKey,
    SessionFile,
    fingerprint,
    interrupted,
    read,
    summaries,
)
from napari_msd.viewer import restore, view_state

from .fake_client import FakeClient
from .models import record


@pytest.fixture
def cells(tmp_path):
    path = tmp_path / "cells.tif"
    rng = np.random.default_rng(0)
    tifffile.imwrite(path, rng.integers(0, 4000, (96, 128)).astype(np.uint16))
    return path


@pytest.fixture
def at_work(viewer, open_widget, qtbot, cells):
    """Somebody painted on an image from a file, and a network was kept."""
    (image,) = viewer.open(cells, plugin="napari")
    msd = open_widget(FakeClient)
    msd.panel.new_annotation_button.click()
    layer = msd.controller.chosen.annotation
    layer.name = "my strokes"
    msd.controller.classes.rename(2, "membrane")
    for x in range(20, 60, 3):
        layer.paint((40, x), 1)
        layer.paint((40, x + 60), 2)
    qtbot.waitUntil(lambda: len(msd.controller.strokes.snapshot.annotation.counts) == 2)
    image.contrast_limits = (100, 3000)
    msd.panel.live_button.click()
    msd.client.keep(record(steps=100).to_bytes(), step=100, score=0.9, painted=400)
    msd.client.keep(record(steps=300).to_bytes(), step=300, score=0.8, painted=700)
    qtbot.waitUntil(lambda: len(msd.controller.network.history.versions) == 2)
    msd.session.sessions.tick()
    return msd


def file_of(msd):
    file = msd.controller.memory.saving.file
    assert file.flush(10)
    return file


@pytest.fixture
def ended(cells, tmp_path):
    """A session of yesterday: path of its file, and what was painted."""
    space = Space("YX", (96, 128))
    values = np.zeros(space.shape, np.uint8)
    values[38:43, 18:60], values[38:43, 78:120] = 1, 2
    file = SessionFile.create(tmp_path / "yesterday.msdsession")
    read_box = tifffile.imread(cells).__getitem__
    image = file.add_image(
        ImageReference(
            "cells",
            space.axes,
            space.shape,
            1,
            "uint16",
            path=str(cells),
            reader="napari",
            fingerprint=fingerprint(space.shape, "uint16", 1, lambda box: read_box(box.slices)),
        )
    )
    document = Document(file.journal(file.add_annotation(image, "my strokes")))
    for operation in (
        BindSource(0, space, "cells"),
        DefineClass(ClassInfo(1, "background", "#2f6fa7")),
        DefineClass(ClassInfo(2, "membrane", "#c8702a")),
        PaintBox(space.whole(0), values),
    ):
        document.do(operation)
    history = History()
    for steps, score in ((100, 0.9), (300, 0.8)):
        figures = VersionFigures(steps, score, steps, steps, 0, "2026-11-25T10:00:00+00:00")
        history.add(record(steps=steps).to_bytes(), figures, "cells")
    file.keep_versions(image, NetworkKey("quick"), history)
    file.choose(1)
    file.keep_view({"image": {"contrast_limits": [100.0, 3000.0]}, "hidden": [1]})
    assert file.close(10)
    return file.path, values


@pytest.fixture
def empty(open_widget):
    """The panel in an empty viewer."""
    return open_widget(FakeClient)


def crash(path):
    """Another process works on the session, and dies."""
    program = f"""
        import os
        from pathlib import Path
        from napari_msd.storage import SessionFile
        file, _ = SessionFile.open(Path({str(path)!r}))
        file.choose(1)
        file.flush()
        os._exit(1)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=False)
    assert [session.path for session in interrupted()] == [path]


def press(offers, text):
    (button,) = [button for button in offers.buttons if button.text() == text]
    button.click()


def opened(msd, path, qtbot):
    msd.session.sessions.open(path)
    saving = msd.controller.memory.saving
    qtbot.waitUntil(lambda: saving.file is not None and saving.file.path == path)
    qtbot.waitUntil(lambda: not msd.controller.strokes.busy)
    return msd


def test_the_first_stroke_begins_a_session(msd, qtbot):
    assert summaries() == []
    assert msd.panel.saved_label.text() == ""
    msd.panel.new_annotation_button.click()
    assert summaries() == []  # nothing to save yet
    msd.controller.chosen.annotation.paint((60, 60), 1)
    qtbot.waitUntil(lambda: msd.controller.memory.saving.file is not None)
    file_of(msd)
    (session,) = summaries()
    assert session.images == ["cells"]
    assert session.painted > 0
    msd.session.sessions.tick()
    assert msd.panel.saved_label.text().startswith("saved")


def test_a_session_brings_back_layers_classes_and_strokes(ended, empty, viewer, qtbot):
    path, values = ended
    opened(empty, path, qtbot)
    image, annotation = empty.controller.chosen.image, empty.controller.chosen.annotation
    assert (image.name, annotation.name) == ("cells", "my strokes")
    np.testing.assert_array_equal(annotation.data, values)
    assert empty.controller.classes.names == {1: "background", 2: "membrane"}
    assert empty.controller.classes.hidden == {1}
    assert viewer.layers.selection.active is annotation


def test_one_goes_on_painting_at_once_in_an_opened_session(ended, empty, viewer, qtbot):
    path, _ = ended
    opened(empty, path, qtbot)
    # the view comes back a moment later
    qtbot.waitUntil(lambda: tuple(viewer.layers["cells"].contrast_limits) == (100, 3000))
    assert empty.controller.chosen.annotation.mode == "paint"


def test_a_view_that_comes_back_leaves_the_brush_in_hand(viewer):
    image = viewer.add_image(np.zeros((40, 50), np.float32))
    strokes = viewer.add_labels(np.zeros((40, 50), np.uint8))
    state = view_state.view_state(viewer, image, strokes)
    assert state["annotation"]["visible"] is True
    strokes.mode = "paint"
    view_state.show(state, viewer, image, strokes)
    assert strokes.mode == "paint"


def test_strokes_that_are_not_chosen_have_their_class_colours(ended, viewer):
    path, _ = ended
    saved = read(path).annotations[0]
    layer = restore.add_annotation(viewer, None, saved)
    for value, info in saved.document.classes.items():
        red, green, blue = (round(255 * part) for part in layer.colormap.map(value)[:3])
        assert f"#{red:02x}{green:02x}{blue:02x}" == info.color.lower()


def test_a_session_brings_back_networks_and_display(ended, empty, viewer, qtbot):
    path, _ = ended
    opened(empty, path, qtbot)
    history = empty.controller.network.history
    assert [version.figures.steps for version in history.versions] == [100, 300]
    assert empty.controller.weights.model == history.versions[1].model
    qtbot.waitUntil(lambda: tuple(viewer.layers["cells"].contrast_limits) == (100, 3000))
    qtbot.waitUntil(lambda: "open again" in empty.status)
    assert "refresh" in empty.client.calls  # the segmentation comes back, too


def test_strokes_go_on_in_the_opened_session(ended, empty, qtbot):
    path, values = ended
    opened(empty, path, qtbot)
    annotation = empty.controller.chosen.annotation
    before = read(path).annotations[0].document.annotation
    annotation.paint((80, 100), 2)
    qtbot.waitUntil(lambda: not empty.controller.strokes.busy)
    file_of(empty)
    content = read(path)
    assert len(content.annotations) == 1
    after = content.annotations[0].document.annotation
    assert after.count(2) > before.count(2)
    shape = values.shape
    np.testing.assert_array_equal(
        after.read(content.annotations[0].document.sources[0].space.whole(0)),
        np.asarray(annotation.data)[: shape[0]],
    )


def test_the_session_outlives_the_panel(at_work, viewer, open_widget, qtbot):
    path = file_of(at_work).path
    viewer.window.remove_dock_widget(at_work.dock)
    qtbot.waitUntil(lambda: at_work.widget.session is None)
    again = open_widget(FakeClient, name="again")
    annotation = again.controller.chosen.annotation
    annotation.paint((10, 10), 1)
    qtbot.waitUntil(lambda: again.controller.strokes.snapshot.annotation.count(1) > 0)
    qtbot.waitUntil(lambda: not again.controller.strokes.busy)
    assert file_of(again).path == path
    (saved,) = read(path).annotations
    assert saved.document.annotation.counts == again.controller.strokes.snapshot.annotation.counts


def test_napari_opens_a_session_file(ended, empty, viewer, qtbot):
    path, values = ended
    viewer.open(path, plugin="napari-msd")
    qtbot.waitUntil(lambda: empty.controller.chosen.annotation is not None)
    np.testing.assert_array_equal(empty.controller.chosen.annotation.data, values)


def test_a_missing_image_is_asked_for(ended, empty, viewer, qtbot, cells, tmp_path, monkeypatch):
    path, values = ended
    moved = tmp_path / "elsewhere.tif"
    cells.rename(moved)
    opened(empty, path, qtbot)
    np.testing.assert_array_equal(viewer.layers["my strokes"].data, values)
    offers = empty.panel.offers
    assert "cells" in offers.text
    monkeypatch.setattr(
        "napari_msd.plugin.session_opening.QFileDialog.getOpenFileName", lambda *_: (str(moved), "")
    )
    press(offers, "Choose file …")
    qtbot.waitUntil(lambda: empty.controller.chosen.image is not None)
    assert empty.controller.chosen.annotation is viewer.layers["my strokes"]
    assert empty.controller.weights.model is not None


def test_a_changed_image_is_told(ended, empty, qtbot, cells):
    path, _ = ended
    tifffile.imwrite(cells, np.zeros((96, 128), np.uint16))
    opened(empty, path, qtbot)
    qtbot.waitUntil(lambda: "other pixels" in empty.status)


def test_a_session_that_is_open_elsewhere_is_refused(ended, empty, qtbot):
    path, _ = ended
    program = f"""
        import sys
        from pathlib import Path
        from napari_msd.storage import SessionFile
        file, _ = SessionFile.open(Path({str(path)!r}))
        print("open", flush=True)
        sys.stdin.readline()
        file.close()
    """
    other = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert other.stdout.readline() == "open\n"
        empty.session.sessions.open(path)
        qtbot.waitUntil(lambda: "open in another" in empty.status)
    finally:
        other.communicate("\n")
    assert empty.controller.memory.saving.file is None


def test_after_a_crash_the_session_is_offered(ended, empty, qtbot):
    path, values = ended
    crash(path)
    empty.session.sessions.offer()
    offers = empty.panel.offers
    qtbot.waitUntil(lambda: "ended unexpectedly" in offers.text)
    press(offers, "Restore")
    qtbot.waitUntil(lambda: empty.controller.chosen.annotation is not None)
    np.testing.assert_array_equal(empty.controller.chosen.annotation.data, values)
    assert interrupted() == []


def test_a_session_that_is_not_wanted_now_is_kept(ended, empty, qtbot):
    path, _ = ended
    crash(path)
    empty.session.sessions.offer()
    qtbot.waitUntil(lambda: "ended unexpectedly" in empty.panel.offers.text)
    press(empty.panel.offers, "Not now")
    qtbot.waitUntil(lambda: interrupted() == [])
    assert [session.path for session in summaries()] == [path]


def test_results_are_suggested_beside_the_image(at_work, cells, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "napari_msd.plugin.files.QFileDialog.getSaveFileName",
        lambda parent, title, suggested, filters: (asked.append(suggested), ("", ""))[1],
    )
    at_work.session.results.ask_save_model()
    assert asked == [str(cells.with_name("cells.safetensors"))]


def test_save_as_goes_on_there(at_work, qtbot, tmp_path):
    before = file_of(at_work).path
    there = tmp_path / "shared" / "my work.msdsession"
    there.parent.mkdir()
    at_work.session.sessions.save_as(there)
    qtbot.waitUntil(lambda: at_work.controller.memory.saving.file.path == there)
    qtbot.waitUntil(lambda: not before.exists())
    at_work.controller.chosen.annotation.paint((80, 100), 2)
    qtbot.waitUntil(lambda: not at_work.controller.strokes.busy)
    file_of(at_work)
    (saved,) = read(there).annotations
    counts = at_work.controller.strokes.snapshot.annotation.counts
    assert saved.document.annotation.counts == counts


def test_the_list_deletes_only_what_is_confirmed(ended, empty, qtbot, monkeypatch):
    path, _ = ended
    empty.session.sessions.show_list()
    qtbot.waitUntil(lambda: empty.session.sessions._list is not None)
    dialog = empty.session.sessions._list
    assert dialog.table.item(0, 0).text() == "“cells”"
    buttons = QMessageBox.StandardButton
    monkeypatch.setattr(QMessageBox, "exec", lambda self: buttons.No)
    dialog.delete_button.click()
    assert path.exists()
    monkeypatch.setattr(QMessageBox, "exec", lambda self: buttons.Yes)
    dialog.delete_button.click()
    assert not path.exists()
    assert dialog.table.rowCount() == 0
    dialog.close()


def test_a_file_that_is_no_session_is_refused_in_words(at_work, qtbot, tmp_path):
    path = tmp_path / "broken.msdsession"
    path.write_bytes(os.urandom(5000))
    at_work.session.sessions.open(path)
    qtbot.waitUntil(lambda: "broken.msdsession" in at_work.status)


def test_closing_asks_only_if_something_would_be_lost(at_work, viewer, monkeypatch, qtbot):
    sessions = at_work.session.sessions
    assert sessions.may_close()
    saving = at_work.controller.memory.saving
    monkeypatch.setattr(type(saving), "at_risk", property(lambda self: True))
    asked = []

    def answer(box):
        asked.append(box.text())
        return QMessageBox.StandardButton.Cancel

    monkeypatch.setattr(QMessageBox, "exec", answer)
    assert not sessions.may_close()
    assert "not on disk" in asked[0]
