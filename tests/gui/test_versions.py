"""Going back to an earlier version of the network, and back again; starting from a model."""

from dataclasses import replace

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QWidget

from napari_msd.io.model_file import ClassInfo, ModelRecord, parameter_shapes, read


def record(names=("background", "nucleus"), **changes):
    rng = np.random.default_rng(0)
    shapes = parameter_shapes(1, len(names), 2, 1)
    weights = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes}
    made = ModelRecord(
        weights=weights,
        in_channels=1,
        n_classes=len(names),
        depth=2,
        width=1,
        dilations=(1,),
        classes=tuple(ClassInfo(i, name, "#102030") for i, name in enumerate(names, start=1)),
        mean=(0.0,),
        std=(1.0,),
        steps=500,
        score=0.75,
        seed=3,
    )
    return replace(made, **changes)


@pytest.fixture
def learned(painted, qtbot):
    """Two versions: before and after more strokes."""
    painted.panel.live_button.click()
    painted.client.keep(b"first", step=100, score=0.9, pieces=20, painted=400)
    painted.client.keep(b"second", step=300, score=0.6, pieces=31, painted=700)
    qtbot.waitUntil(lambda: painted.controller.model == b"second")
    return painted


def open_history(msd):
    msd.panel.history_button.click()
    return msd.session.versions.dialog


def rows(dialog):
    tree = dialog.wanted
    return [
        [tree.topLevelItem(i).text(column) for column in range(tree.columnCount())]
        for i in range(tree.topLevelItemCount())
    ]


def go_back_to(msd, qtbot, row):
    dialog = open_history(msd)
    dialog.wanted.setCurrentItem(dialog.wanted.topLevelItem(row))
    qtbot.mouseClick(dialog.back_button, Qt.MouseButton.LeftButton)
    return dialog


def test_the_list_tells_what_each_version_is(learned):
    dialog = open_history(learned)
    newest, oldest = rows(dialog)
    assert newest[0] == "●"
    assert newest[2:] == [".60", "31", "700 px", "300", "0", "cells"]
    assert oldest[0] == ""
    assert oldest[2:] == [".90", "20", "400 px", "100", "0", "cells"]
    assert dialog.isVisible()
    assert not dialog.isModal()
    assert len(learned.widget.findChildren(QWidget, "history_list")) == 1


def test_without_versions_it_says_how_to_get_some(painted):
    dialog = open_history(painted)
    assert "press Live" in dialog.text.text()
    assert not dialog.back_button.isEnabled()


def test_going_back_shows_it_and_trains_on_from_it(learned, qtbot):
    go_back_to(learned, qtbot, 1)
    assert learned.controller.model == b"first"
    assert learned.client.opened[-1] == b"first"
    assert learned.client.live
    assert "step 100" in learned.status
    assert [row[0] for row in rows(learned.session.versions.dialog)] == ["", "●"]


def test_going_back_can_be_taken_back(learned, qtbot):
    go_back_to(learned, qtbot, 1)
    learned.client.keep(b"third", step=150, score=0.91, pieces=31, painted=700)
    qtbot.waitUntil(lambda: learned.controller.model == b"third")
    dialog = go_back_to(learned, qtbot, 1)
    assert learned.client.opened[-1] == b"second"
    assert [row[5] for row in rows(dialog)] == ["150", "300", "100"]


def test_with_live_off_the_view_is_shown_anew(learned, qtbot):
    learned.panel.stop_button.click()
    learned.client.calls.clear()
    go_back_to(learned, qtbot, 1)
    assert "refresh" in learned.client.calls
    assert not learned.client.live


def test_the_list_follows_while_it_is_open(learned, qtbot):
    dialog = open_history(learned)
    learned.client.keep(b"third", step=400, score=0.8, pieces=31, painted=700)
    qtbot.waitUntil(lambda: len(rows(dialog)) == 3)
    assert rows(dialog)[0][5] == "400"


def test_versions_outlive_start_over_and_a_dead_trainer(learned, qtbot):
    from napari_msd.worker.messages import TrainerDied

    learned.client.say(TrainerDied("It died.", True))
    qtbot.waitUntil(lambda: "It died" in learned.status)
    learned.panel.start_over_button.click()
    assert learned.controller.model is None
    assert [row[0] for row in rows(open_history(learned))] == ["", ""]
    learned.panel.start_over_button.click()  # Bring back
    assert [row[0] for row in rows(open_history(learned))] == ["●", ""]


# --- models --------------------------------------------------------------------------------------


def test_a_saved_model_tells_its_history(painted, qtbot, tmp_path):
    painted.client.keep(record(steps=100).to_bytes(), step=100, score=0.5)
    painted.client.keep(record(steps=200).to_bytes(), step=200, score=0.8)
    qtbot.waitUntil(lambda: len(painted.controller.network.history.versions) == 2)
    path = tmp_path / "model.safetensors"
    painted.session.results.save_model(path)
    saved = read(path)
    assert [(past.steps, past.score) for past in saved.history] == [(100, 0.5), (200, 0.8)]
    assert {past.painted for past in saved.history} == {400}
    painted.session.results.load_model(path)
    assert painted.controller.network.history.past == saved.history


def test_start_from_a_model_shows_it_at_once_and_live_goes_on(painted, qtbot, tmp_path):
    path = record().write(tmp_path / "nuclei")
    painted.session.results.load_model(path)
    assert "Started from nuclei.safetensors" in painted.status
    assert painted.client.calls[-1] == "refresh"
    assert painted.controller.classes.names == {1: "background", 2: "nucleus"}
    assert painted.panel.status_label.level == "info"
    assert ModelRecord.from_bytes(painted.client.opened[-1]).steps == 500
    painted.panel.live_button.click()
    assert painted.client.calls.count("open") <= 2
    assert ModelRecord.from_bytes(painted.client.opened[-1]).steps == 500
    assert rows(open_history(painted))[0][2:] == [".75", "–", "–", "500", "3", path.name]


def test_classes_are_matched_by_name(painted, tmp_path):
    table = painted.controller.classes
    table.rename(1, "Nucleus")
    table.rename(2, "Background")
    path = record().write(tmp_path / "nuclei")
    painted.session.results.load_model(path)
    used = ModelRecord.from_bytes(painted.client.opened[-1])
    assert used.class_names == {2: "background", 1: "nucleus"}
    assert table.names == {1: "Nucleus", 2: "Background"}
    assert painted.panel.status_label.level == "info"


def test_classes_that_may_mean_something_else_are_said(painted, tmp_path):
    painted.controller.classes.rename(2, "membrane")
    path = record().write(tmp_path / "nuclei")
    painted.session.results.load_model(path)
    assert painted.panel.status_label.level == "warning"
    assert "class 2 is “nucleus” there and “membrane” here" in painted.status
