"""Names and colours from people, layers and files are shown as they are, and never believed."""

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtGui import QTextDocument
from qtpy.QtWidgets import QApplication

from napari_msd.widgets.texts import pixels_text

from .fake_client import FakeClient

MARKUP = "<img src='nowhere.png'><b>bold</b>"


def labels_with(viewer, image, classes):
    return viewer.add_labels(
        np.zeros(image.data.shape, np.uint8),
        name="from elsewhere",
        scale=image.scale,
        units=image.units,
        metadata={"napari_msd_classes": classes},
    )


def plain(tooltip):
    document = QTextDocument()
    document.setHtml(tooltip)
    return document.toPlainText()


def test_a_name_is_never_shown_as_markup(painted):
    painted.controller.classes.rename(1, MARKUP)
    tooltip = painted.panel.class_list.item(0).toolTip()
    assert "<img" not in tooltip
    assert MARKUP in plain(tooltip)


def test_nor_is_the_name_of_a_layer(painted, image):
    image.name = MARKUP
    combo = painted.panel.image_combo
    assert combo.itemText(0) == MARKUP
    assert plain(combo.itemData(0, Qt.ItemDataRole.ToolTipRole)) == MARKUP


def test_nor_in_the_question_before_a_class_is_removed(painted, qtbot, monkeypatch):
    painted.controller.classes.rename(1, MARKUP)
    painted.controller.annotation_tools.pick(1)
    seen = []

    def look(box):
        seen.append((box.textFormat(), box.text()))
        return box.StandardButton.No

    monkeypatch.setattr("napari_msd.plugin.class_actions.QMessageBox.exec", look)
    painted.panel.remove_class_button.click()
    ((how, text),) = seen
    assert how == Qt.TextFormat.PlainText
    assert MARKUP in text
    assert 1 in painted.controller.classes


@pytest.mark.parametrize("name", ["سلول\u200cها", "क्‍ष", "Zell\u00adwand", "👩‍🔬 cells"])
def test_names_of_any_language_are_kept(painted, name):
    painted.controller.classes.rename(1, name)
    assert painted.controller.classes[1].name == name
    assert painted.controller.chosen.annotation.metadata["napari_msd_classes"]["1"]["name"] == name


def test_what_no_file_can_hold_is_taken_out_where_it_is_typed(painted):
    painted.controller.classes.rename(1, "a\0b\ufeff\ud800c\n d")
    assert painted.controller.classes[1].name == "abc d"


@pytest.mark.parametrize(
    "junk",
    [
        None,
        7,
        [],
        {},
        {"1": 3},
        {"x": {"name": "a", "color": "red"}},
        {"1": {"name": "no colour"}},
        {"-5": {"name": "negative", "color": "red"}},
    ],
)
def test_junk_in_a_layer_is_ignored_with_a_sentence(open_widget, viewer, image, junk):
    labels_with(viewer, image, junk)
    msd = open_widget(FakeClient)
    assert "cannot be read" in msd.status
    assert msd.controller.classes.names == {1: "class 1", 2: "class 2"}


def test_hostile_colours_and_long_names_do_no_harm(open_widget, viewer, image):
    classes = {
        "1": {"name": "x" * 10**6, "color": "javascript:1"},
        "2": {"name": MARKUP, "color": "#12345"},
        "3": {"name": "fine", "color": "tomato"},
    }
    labels_with(viewer, image, classes)
    msd = open_widget(FakeClient)
    table = msd.controller.classes
    assert len(table[1].name) <= 100
    assert table[3].color == "#ff6347"
    msd.controller.classes.recolor(1, "url(file:///x)")
    QApplication.processEvents()
    assert table[1].color.startswith("#")


@pytest.mark.parametrize(
    ("pixels", "text"),
    [
        (0, "0 px"),
        (940, "940 px"),
        (1_440, "1.4 k px"),
        (9_876, "9.9 k px"),
        (9_960, "10 k px"),
        (117_655, "118 k px"),
        (999_499, "999 k px"),
        (999_500, "1.0 M px"),
        (64_000_000, "64 M px"),
    ],
)
def test_counts_are_short_enough_for_their_column(pixels, text):
    assert pixels_text(pixels).replace("\u202f", " ") == text


# --- keys ----------------------------------------------------------------------------------------


def press(qtbot, widget, key, text):
    widget.setFocus()
    qtbot.keyClick(widget, key)
    QApplication.processEvents()


@pytest.mark.parametrize("name", ["device_combo", "preset_combo", "class_list"])
def test_no_list_eats_the_key_of_live(painted, qtbot, name):
    widget = getattr(painted.panel, name)
    before = painted.controller.network.settings
    press(qtbot, widget, Qt.Key.Key_T, "t")
    assert painted.controller.network.settings == before
    assert painted.panel.live_button.isChecked()


def test_nor_the_keys_of_classes(painted, qtbot):
    painted.controller.annotation_tools.pick(1)
    press(qtbot, painted.panel.device_combo, Qt.Key.Key_2, "2")
    assert painted.controller.chosen.annotation.selected_label == 2


# --- the brush ----------------------------------------------------------------------------------


def test_the_brush_leaves_a_removed_class(painted, qtbot):
    layer = painted.controller.chosen.annotation
    painted.controller.annotation_tools.pick(2)
    painted.session.class_actions.remove(2)
    assert layer.selected_label == 1
    assert painted.panel.class_list.current_value == 1
    layer.paint((50, 50), layer.selected_label)
    qtbot.waitUntil(lambda: not painted.controller.strokes.busy)
    assert 2 not in painted.controller.classes


def test_a_merged_class_leaves_the_brush_to_the_other(painted):
    painted.controller.annotation_tools.pick(2)
    painted.session.class_actions.merge(2, 1)
    assert painted.controller.chosen.annotation.selected_label == 1


def test_a_class_is_removed_from_planes_that_nobody_has_looked_at(
    viewer, open_widget, qtbot, monkeypatch
):
    monkeypatch.setattr("napari_msd.viewer.stroke_watcher._FINISH_BUDGET_S", 0.0)
    viewer.add_image(np.zeros((16, 512, 512), np.uint8), name="stack")
    layer = viewer.add_labels(np.zeros((16, 512, 512), np.uint8), name="strokes")
    msd = open_widget(FakeClient)
    qtbot.waitUntil(lambda: not msd.controller.strokes.busy)
    msd.controller.classes.add(3)
    layer.data[-1, 100:110, 100:110] = 3  # by a script: napari tells nothing
    msd.controller.strokes.rescan()
    msd.session.class_actions.remove(3)
    assert "Looking through all planes" in msd.status
    qtbot.waitUntil(lambda: not msd.controller.strokes.busy and 3 not in msd.controller.classes)
    assert not (layer.data == 3).any()
    assert "Looking through" not in msd.status


def test_a_click_never_waits_for_a_large_layer_to_be_compared(
    viewer, open_widget, qtbot, monkeypatch
):
    monkeypatch.setattr("napari_msd.viewer.stroke_watcher._FINISH_BUDGET_S", 0.0)
    viewer.add_image(np.zeros((2048, 2048), np.uint8), name="large")
    layer = viewer.add_labels(np.zeros((2048, 2048), np.uint8), name="strokes")
    msd = open_widget(FakeClient)
    qtbot.waitUntil(lambda: not msd.controller.strokes.busy)
    layer.paint((100, 100), 1)
    layer.undo()  # the whole plane is in doubt now
    seen = []
    compare = msd.controller.strokes.snapshot.compare
    monkeypatch.setattr(
        msd.controller.strokes.snapshot,
        "compare",
        lambda *args: (seen.append(args[0]), compare(*args))[1],
    )
    msd.panel.live_button.click()
    assert len(seen) == 1
    qtbot.waitUntil(lambda: not msd.controller.strokes.busy)
    assert len(seen) > 30  # the rest followed in the background


def test_a_new_stroke_is_compared_before_what_an_undo_put_in_doubt(
    viewer, open_widget, qtbot, monkeypatch
):
    viewer.add_image(np.zeros((2048, 2048), np.uint8), name="large")
    layer = viewer.add_labels(np.zeros((2048, 2048), np.uint8), name="strokes")
    msd = open_widget(FakeClient)
    qtbot.waitUntil(lambda: not msd.controller.strokes.busy)
    strokes = msd.controller.strokes
    layer.paint((100, 100), 1)
    layer.undo()
    layer.paint((2000, 2000), 1)
    monkeypatch.setattr("napari_msd.viewer.stroke_watcher._FINISH_BUDGET_S", 0.0)
    strokes.finish()  # what was painted and undone before
    strokes.finish()
    assert strokes.snapshot.annotation.counts[1] == (layer.data == 1).sum() > 0


def test_a_class_is_never_removed_from_another_annotation(
    viewer, image, open_widget, qtbot, monkeypatch
):
    monkeypatch.setattr("napari_msd.viewer.stroke_watcher._FINISH_BUDGET_S", 0.0)
    painted = np.zeros(image.data.shape, np.uint8)
    painted[:40], painted[60:100] = 1, 2
    layers = [
        viewer.add_labels(painted.copy(), name=name, scale=image.scale, units=image.units)
        for name in ("first", "second")
    ]
    msd = open_widget(FakeClient)
    msd.panel.annotation_combo.setCurrentText("first")
    qtbot.waitUntil(lambda: not msd.controller.strokes.busy)
    msd.controller.strokes.rescan()
    msd.session.class_actions.remove(2)
    assert msd.controller.strokes.busy
    msd.panel.annotation_combo.setCurrentText("second")
    qtbot.waitUntil(lambda: not msd.controller.strokes.busy)
    for layer in layers:
        np.testing.assert_array_equal(layer.data, painted)
    assert 2 in msd.controller.classes


def test_buttons_of_a_class_follow_the_brush(painted):
    layer = painted.controller.chosen.annotation
    layer.selected_label = 7
    painted.session._refresh()
    assert not painted.panel.remove_class_button.isEnabled()
    layer.selected_label = 1
    assert painted.panel.remove_class_button.isEnabled()
