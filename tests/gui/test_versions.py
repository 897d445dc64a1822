"""Going back to an earlier version of the network, and back again; starting from a model."""

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QWidget

from napari_msd.core.settings import Settings
from napari_msd.images.model_file import ModelRecord, read
from napari_msd.trainer.messages import Measured

from .fake_client import FakeClient
from .models import record


@pytest.fixture
def learned(painted, qtbot):
    """Two versions: before and after more strokes."""
    painted.panel.live_button.click()
    painted.client.keep(b"first", step=100, score=0.9, pieces=20, painted=400)
    painted.client.keep(b"second", step=300, score=0.6, pieces=31, painted=700)
    qtbot.waitUntil(lambda: painted.controller.weights.model == b"second")
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
    assert newest[2:] == ["(.60)", "700 px", "300", "0", "cells"]
    assert oldest[0] == ""
    assert oldest[2:] == ["(.90)", "400 px", "100", "0", "cells"]
    assert dialog.isVisible()
    assert not dialog.isModal()
    assert len(learned.widget.findChildren(QWidget, "history_list")) == 1


def test_all_versions_are_measured_on_the_strokes_of_now(learned, qtbot):
    dialog = open_history(learned)
    assert learned.client.measured == [b"first", b"second"]
    learned.client.say(Measured({0: 0.55, 1: 0.65}, learned.client.request))
    qtbot.waitUntil(lambda: [row[2] for row in rows(dialog)] == [".65", ".55"])
    learned.controller.chosen.annotation.paint(
        (10, 10), 1
    )  # another question: they are asked again
    qtbot.waitUntil(lambda: [row[2] for row in rows(dialog)] == ["(.60)", "(.90)"])
    qtbot.waitUntil(lambda: learned.client.calls.count("measure") == 2)


def test_a_version_that_came_meanwhile_is_measured_too(learned, qtbot):
    dialog = open_history(learned)
    learned.client.say(Measured({0: 0.55, 1: 0.65}, learned.client.request))
    learned.client.keep(b"third", step=400, score=0.8, pieces=40, painted=900)
    qtbot.waitUntil(lambda: learned.client.measured == [b"third"])
    learned.client.say(Measured({0: None}, learned.client.request))
    qtbot.waitUntil(lambda: [row[2] for row in rows(dialog)] == ["–", ".65", ".55"])


def test_the_score_shown_is_that_of_the_version_gone_back_to(learned, qtbot):
    learned.client.train(step=310, score=0.6)
    qtbot.waitUntil(lambda: learned.panel.sparkline.text() == "IoU .60")
    go_back_to(learned, qtbot, 1)
    assert learned.panel.sparkline.text() == "IoU .90"
    assert learned.panel.loss_plot.n_points == (0, 0)
    assert learned.controller.classes[1].iou is None


def test_without_versions_there_is_nothing_to_go_back_to(painted):
    assert not painted.panel.history_button.isEnabled()
    assert "no versions" in painted.panel.history_button.toolTip()


def test_going_back_shows_it_and_trains_on_from_it(learned, qtbot):
    go_back_to(learned, qtbot, 1)
    assert learned.controller.weights.model == b"first"
    assert learned.client.opened[-1] == b"first"
    assert learned.client.live
    assert "step 100" in learned.status
    assert [row[0] for row in rows(learned.session.versions.dialog)] == ["", "●"]


def test_going_back_can_be_taken_back(learned, qtbot):
    go_back_to(learned, qtbot, 1)
    learned.client.keep(b"third", step=150, score=0.91, pieces=31, painted=700)
    qtbot.waitUntil(lambda: learned.controller.weights.model == b"third")
    dialog = go_back_to(learned, qtbot, 1)
    assert learned.client.opened[-1] == b"second"
    assert [row[4] for row in rows(dialog)] == ["150", "300", "100"]


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
    assert rows(dialog)[0][4] == "400"


def test_versions_outlive_start_over_and_a_dead_trainer(learned, qtbot):
    from napari_msd.trainer.messages import TrainerDied

    learned.client.say(TrainerDied("It died.", True))
    qtbot.waitUntil(lambda: "It died" in learned.status)
    learned.panel.start_over_button.click()
    assert learned.controller.weights.model is None
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
    painted.session.models.load_model(path)
    assert painted.controller.network.history.past == saved.history


def test_start_from_a_model_shows_it_at_once_and_live_goes_on(painted, qtbot, tmp_path):
    path = record().write(tmp_path / "nuclei")
    painted.session.models.load_model(path)
    assert "Started from nuclei.safetensors" in painted.status
    assert painted.client.calls[-1] == "refresh"
    assert painted.controller.classes.names == {1: "background", 2: "nucleus"}
    assert painted.panel.status_label.level == "info"
    assert ModelRecord.from_bytes(painted.client.opened[-1]).steps == 500
    painted.panel.live_button.click()
    assert painted.client.calls.count("open") <= 2
    assert ModelRecord.from_bytes(painted.client.opened[-1]).steps == 500
    assert rows(open_history(painted))[0][2:] == ["(.75)", "–", "500", "3", path.name]


def test_classes_are_matched_by_name(painted, tmp_path):
    table = painted.controller.classes
    table.rename(1, "Nucleus")
    table.rename(2, "Background")
    path = record().write(tmp_path / "nuclei")
    painted.session.models.load_model(path)
    used = ModelRecord.from_bytes(painted.client.opened[-1])
    assert used.class_names == {2: "background", 1: "nucleus"}
    assert table.names == {1: "Nucleus", 2: "Background"}
    assert painted.panel.status_label.level == "info"


def test_classes_that_may_mean_something_else_are_said(painted, tmp_path):
    painted.controller.classes.rename(2, "membrane")
    path = record().write(tmp_path / "nuclei")
    painted.session.models.load_model(path)
    assert painted.panel.status_label.level == "warning"
    assert "class 2 is “nucleus” in the model and “membrane” here" in painted.status


def test_a_loaded_model_keeps_the_settings_it_was_trained_with(painted, tmp_path):
    settings = Settings.from_preset(depth=2, dilations=(1,), learning_rate=0.02, seed=99)
    path = record(settings=settings.to_dict(), seed=99).write(tmp_path / "nuclei")
    painted.session.models.load_model(path)
    opened = painted.client.opened[0]
    assert (opened.depth, opened.learning_rate, opened.seed) == (2, 0.02, 99)
    painted.panel.device_combo.setCurrentText("torch")
    opened = painted.client.opened[0]
    assert (opened.depth, opened.seed, opened.device) == (2, 99, "torch")


def test_a_model_of_very_many_classes_is_taken_over_in_one_go(painted, tmp_path):
    names = [f"class number {i} with a name of some length" for i in range(1, 256)]
    path = record(names=names).write(tmp_path / "many")
    changes = []
    painted.controller.classes.changed.connect(lambda: changes.append(len(changes)))
    painted.session.models.load_model(path)
    assert len(painted.controller.classes) == 255
    assert len(changes) == 1
    assert len(painted.panel.status_label.sentence) <= 400


def test_a_model_loaded_without_an_image_is_used_on_the_first_one(open_widget, viewer, tmp_path):
    msd = open_widget(FakeClient)
    msd.session.models.load_model(record().write(tmp_path / "nuclei"))
    viewer.add_image(np.random.default_rng(0).random((40, 50)), name="later")
    msd.panel.predict_all_button.click()
    assert ModelRecord.from_bytes(msd.client.opened[-1]).steps == 500
    assert msd.client.calls[-1] == "predict"


def test_a_late_answer_about_other_versions_is_not_taken(learned, qtbot):
    dialog = open_history(learned)
    late = Measured({0: 0.11, 1: 0.22}, learned.client.request)
    learned.session.versions._on_other_strokes()  # painted on meanwhile: asked anew
    learned.client.say(late)
    learned.client.say(Measured({0: 0.55, 1: 0.65}, learned.client.request))
    qtbot.waitUntil(lambda: [row[2] for row in rows(dialog)] == [".65", ".55"])


def test_a_long_stroke_asks_once(learned, qtbot):
    open_history(learned)
    asked = learned.client.calls.count("measure")
    for x in range(20, 100, 4):
        learned.controller.chosen.annotation.paint((90, x), 1)
        learned.controller.strokes.finish()
    assert learned.client.calls.count("measure") == asked
    qtbot.waitUntil(lambda: learned.client.calls.count("measure") == asked + 1)


def test_what_another_session_will_not_answer_is_asked_again(learned):
    open_history(learned)
    asked = learned.client.calls.count("measure")
    learned.panel.device_combo.setCurrentText("torch")
    assert learned.client.calls.count("measure") == asked + 1


def test_a_loaded_model_stays_in_the_history_of_the_image_that_came_later(
    open_widget, viewer, tmp_path
):
    msd = open_widget(FakeClient)
    msd.session.models.load_model(record().write(tmp_path / "nuclei"))
    viewer.add_image(np.random.default_rng(0).random((40, 50)), name="later")
    assert [v.source for v in msd.controller.network.history.versions] == ["nuclei.safetensors"]
    msd.panel.start_over_button.click()
    msd.panel.start_over_button.click()  # Bring back
    assert ModelRecord.from_bytes(msd.controller.weights.model).steps == 500


def test_going_back_brings_the_settings_of_that_version(painted, qtbot, tmp_path):
    settings = Settings.from_preset(depth=2, dilations=(1,), seed=99)
    path = record(settings=settings.to_dict(), seed=99).write(tmp_path / "nuclei")
    painted.session.models.load_model(path)
    loaded = painted.controller.network.history.present
    painted.panel.start_over_button.click()
    painted.panel.live_button.click()
    assert painted.client.opened[0].depth == 30
    painted.controller.weights.go_back(loaded)
    assert (painted.client.opened[0].depth, painted.client.opened[0].seed) == (2, 99)
