"""A button that can do nothing cannot be pressed, and tells why."""

from dataclasses import replace

from napari_msd.session.availability import Situation, reasons

NOTHING = Situation(image_problem="Open an image first.", problem="Open an image first.")
READY = Situation(classes=2, picked=True, annotation=True)
TRAINED = replace(READY, trained=True, segmented=True, versions=2)


def can(now):
    return {name.removesuffix("_button") for name, reason in reasons(now).items() if not reason}


def test_without_an_image_nothing_can_be_done():
    assert can(NOTHING) == set()
    assert reasons(NOTHING)["live_button"] == "Open an image first."


def test_with_strokes_it_can_be_trained():
    assert can(READY) == {
        "new_annotation",
        "paint",
        "erase",
        "undo",
        "redo",
        "remove_class",
        "merge_class",
        "live",
        "update_once",
    }


def test_with_a_network_all_but_stop():
    assert set(reasons(TRAINED)) - {f"{name}_button" for name in can(TRAINED)} == {"stop_button"}


def test_live_leaves_update_once_out():
    live = replace(TRAINED, live=True)
    assert can(TRAINED) - can(live) == {"update_once"}
    assert "stop" in can(live)


def test_live_can_always_be_switched_off():
    assert "live" in can(replace(TRAINED, live=True, problem="The annotation does not fit."))


def test_one_work_at_a_time():
    predicting = replace(TRAINED, work="predict")
    assert not {"update_once", "predict_all"} & can(predicting)
    assert "stop" in can(predicting)


def test_what_is_stopping_cannot_be_stopped_again():
    assert "stopping" in reasons(replace(TRAINED, stopping=True))["stop_button"]


def test_one_export_at_a_time():
    assert "still being written" in reasons(replace(TRAINED, writing=True))["export_button"]


def test_every_reason_is_a_sentence():
    for now in (NOTHING, READY, replace(TRAINED, work="update", writing=True)):
        for reason in filter(None, reasons(now).values()):
            assert reason[0].isupper()
            assert reason.endswith(".")
