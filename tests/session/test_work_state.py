"""What the Live switch shows while Predict all runs, and afterwards."""

import pytest

from napari_msd.session.work_state import LiveState, WorkState


@pytest.mark.parametrize("before", [LiveState.IDLE, LiveState.TRAINING, LiveState.WAITING])
def test_live_is_shown_as_before_once_predict_all_has_ended(before):
    work = WorkState()
    work.live_on()
    work.live_is(before)
    work.begin_work("predict")
    assert work.state is LiveState.PAUSED
    work.end_work(finished=True)  # a trainer that rests says nothing more
    assert work.state is before


def test_what_live_does_during_predict_all_is_shown_afterwards():
    work = WorkState()
    work.live_on()
    work.live_is(LiveState.TRAINING)
    work.begin_work("predict")
    work.live_is(LiveState.IDLE)
    assert work.state is LiveState.PAUSED
    work.end_work(finished=True)
    assert work.state is LiveState.IDLE


def test_live_switched_on_during_predict_all_starts_afterwards():
    work = WorkState()
    work.begin_work("predict")
    work.live_on()
    assert work.state is LiveState.PAUSED
    work.end_work(finished=True)
    assert work.state is LiveState.STARTING


def test_live_switched_off_during_predict_all_stays_off():
    work = WorkState()
    work.live_on()
    work.live_is(LiveState.TRAINING)
    work.begin_work("predict")
    work.live_off()
    work.end_work(finished=True)
    assert work.state is LiveState.OFF
