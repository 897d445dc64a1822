"""Nothing shows OFF while it runs, and nothing late is taken for something new."""

import numpy as np

from napari_msd.session.work_state import LiveState
from napari_msd.trainer.messages import Finished, Notice, TrainerDied

from .fake_client import FakeClient


def settle(msd, qtbot):
    """Until everything said so far was heard."""
    msd.client.say(Notice("info", "marker"))
    qtbot.waitUntil(lambda: "marker" in msd.status)


def learn(msd, qtbot):
    msd.panel.live_button.click()
    msd.client.keep()
    msd.client.train()
    qtbot.waitUntil(lambda: msd.controller.state is LiveState.TRAINING)


def test_stopped_is_shown_once_the_trainer_has_stopped(painted, qtbot):
    learn(painted, qtbot)
    painted.client.answers_stop = False
    painted.panel.stop_button.click()
    assert painted.controller.state is LiveState.STOPPING
    assert not painted.panel.stop_button.isEnabled()
    assert "stopping" in painted.panel.live_button.text()
    painted.client.say(Finished("stop"))
    qtbot.waitUntil(lambda: painted.controller.state is LiveState.OFF)


def test_live_switched_off_stops_likewise(painted, qtbot):
    learn(painted, qtbot)
    painted.client.answers_stop = False
    painted.panel.live_button.click()
    assert painted.controller.state is LiveState.STOPPING
    painted.panel.live_button.click()  # changed one's mind
    painted.client.say(Finished("stop"))
    settle(painted, qtbot)
    assert painted.controller.live
    assert painted.controller.state is not LiveState.OFF


def test_every_stop_is_waited_for(painted, qtbot):
    learn(painted, qtbot)
    painted.client.answers_stop = False
    painted.panel.stop_button.click()
    painted.panel.live_button.click()
    painted.panel.stop_button.click()
    painted.client.say(Finished("stop"))
    settle(painted, qtbot)
    assert painted.controller.state is LiveState.STOPPING
    painted.client.say(Finished("stop"))
    qtbot.waitUntil(lambda: painted.controller.state is LiveState.OFF)


def test_a_trainer_that_died_has_stopped(painted, qtbot):
    learn(painted, qtbot)
    painted.client.answers_stop = False
    painted.panel.stop_button.click()
    painted.client.say(TrainerDied("It died.", True))
    qtbot.waitUntil(lambda: painted.controller.state is LiveState.OFF)


def test_the_end_of_stopped_work_does_not_end_the_next(painted, qtbot):
    painted.client.keep()
    qtbot.waitUntil(lambda: painted.controller.weights.model is not None)
    painted.client.answers_stop = False
    painted.panel.predict_all_button.click()
    painted.panel.stop_button.click()
    painted.panel.predict_all_button.click()
    painted.client.say(Finished("predict", cancelled=True))
    painted.client.say(Finished("stop"))
    settle(painted, qtbot)
    assert painted.controller.work == "predict"
    assert painted.panel.stop_button.isEnabled()
    painted.client.say(Finished("predict"))
    qtbot.waitUntil(lambda: not painted.controller.work)


def test_predict_all_while_live_is_shown_as_such(painted, qtbot):
    learn(painted, qtbot)
    painted.panel.predict_all_button.click()
    assert painted.controller.state is LiveState.PAUSED
    painted.client.train(step=20)
    settle(painted, qtbot)
    assert painted.controller.state is LiveState.PAUSED
    painted.client.say(Finished("predict"))
    painted.client.train(step=30)
    qtbot.waitUntil(lambda: painted.controller.state is LiveState.TRAINING)


def test_lost_work_is_said_when_the_trainer_dies(painted, qtbot):
    painted.client.keep()
    qtbot.waitUntil(lambda: painted.controller.weights.model is not None)
    painted.panel.predict_all_button.click()
    painted.client.say(TrainerDied("It died.", True))
    qtbot.waitUntil(lambda: "Predict all was lost" in painted.status)


# --- what comes late ---------------------------------------------------------------------------


def test_weights_of_another_preset_that_come_late_are_not_filed_under_the_new_one(painted, qtbot):
    painted.panel.live_button.click()
    painted.client.keep(b"quick weights")
    painted.panel.preset_combo.setCurrentText("paper")  # before they were heard
    settle(painted, qtbot)
    assert painted.controller.weights.model is None
    assert painted.client.opened[-1] is None


def test_blocks_of_an_image_that_was_left_reach_no_other(painted, viewer, image, qtbot):
    viewer.add_image(np.zeros_like(image.data), name="other", scale=image.scale, units=image.units)
    painted.panel.live_button.click()
    painted.client.predict(7)
    painted.panel.image_combo.setCurrentText("other")
    settle(painted, qtbot)
    painted.controller.overlay.flush()
    assert not painted.overlay.data.any()


def test_weights_that_come_after_going_back_do_not_take_its_place(painted, qtbot):
    painted.panel.live_button.click()
    painted.client.keep(b"first", painted=400)
    painted.client.keep(b"second", painted=700)
    qtbot.waitUntil(lambda: painted.controller.weights.model == b"second")
    painted.client.keep(b"third", painted=700)
    painted.controller.weights.go_back(painted.controller.network.history.versions[0])
    settle(painted, qtbot)
    assert painted.controller.weights.model == b"first"


def test_the_end_of_work_is_heard_though_another_image_was_chosen(painted, viewer, qtbot):
    learn(painted, qtbot)
    painted.client.answers_stop = False
    painted.panel.stop_button.click()
    finished, session = Finished("stop"), painted.client.number
    viewer.add_image(np.ones((20, 30)), name="other")
    painted.panel.image_combo.setCurrentText("other")
    painted.client.on_event(session, finished)
    qtbot.waitUntil(lambda: painted.controller.state is LiveState.OFF)


# --- sentences that are past -------------------------------------------------------------------


def test_a_notice_goes_with_the_next_stroke(painted, qtbot):
    settle(painted, qtbot)
    painted.controller.chosen.annotation.paint((10, 10), 1)
    qtbot.waitUntil(lambda: "marker" not in painted.status)


def test_a_warning_does_not_go_with_the_next_stroke(painted, qtbot):
    painted.client.say(Notice("warning", "Less memory than wished."))
    qtbot.waitUntil(lambda: "Less memory" in painted.status)
    painted.controller.chosen.annotation.paint((10, 10), 1)
    qtbot.waitUntil(lambda: not painted.controller.strokes.busy)
    assert "Less memory" in painted.status


def test_a_notice_goes_with_undo(painted, qtbot):
    painted.controller.chosen.annotation.paint((10, 10), 1)
    qtbot.waitUntil(lambda: not painted.controller.strokes.busy)
    settle(painted, qtbot)
    painted.controller.chosen.annotation.undo()
    qtbot.waitUntil(lambda: "marker" not in painted.status)


def test_a_notice_goes_when_live_is_switched_off(painted, qtbot):
    learn(painted, qtbot)
    settle(painted, qtbot)
    painted.panel.live_button.click()
    assert "marker" not in painted.status


def test_that_training_is_starved_is_said_while_it_is(painted, qtbot):
    learn(painted, qtbot)
    painted.client.train(step=11, starved=True)
    qtbot.waitUntil(lambda: "less than a tenth" in painted.status)
    assert painted.panel.status_label.level == "warning"
    painted.client.train(step=12)
    qtbot.waitUntil(lambda: "less than a tenth" not in painted.status)


def test_nothing_of_another_annotation_is_shown(painted, viewer, image, qtbot):
    learn(painted, qtbot)
    painted.panel.stop_button.click()
    viewer.add_labels(
        np.zeros(image.data.shape, np.uint8), name="mine", scale=image.scale, units=image.units
    )
    painted.panel.annotation_combo.setCurrentText("mine")
    assert painted.panel.loss_plot.n_points == (0, 0)
    assert all(info.iou is None for info in painted.controller.classes)
    assert viewer.layers.selection.active is viewer.layers["mine"]


def test_the_chosen_annotation_is_the_one_painted_on(viewer, image, open_widget):
    for name in ("one", "two"):
        viewer.add_labels(
            np.zeros(image.data.shape, np.uint8), name=name, scale=image.scale, units=image.units
        )
    msd = open_widget(FakeClient)
    msd.panel.annotation_combo.setCurrentText("one")
    assert viewer.layers.selection.active is viewer.layers["one"]


def test_start_over_ends_predict_all_without_an_annotation_too(open_widget, image, qtbot, tmp_path):
    from .test_versions import record

    msd = open_widget(FakeClient)
    msd.session.models.load_model(record().write(tmp_path / "nuclei"))
    msd.panel.predict_all_button.click()
    msd.client.calls.clear()
    msd.panel.start_over_button.click()
    assert "open" in msd.client.calls  # which ends all work of the session before
    assert not msd.controller.work
