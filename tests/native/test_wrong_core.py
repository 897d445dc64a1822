"""A core that computes wrongly, as a person meets it: a sentence, and training in torch."""

from __future__ import annotations

import logging
import re

import pytest

from napari_msd.native import libraries

pytest.importorskip("msgspec")  # the GPU's machines have none

from napari_msd.trainer import child_process
from napari_msd.trainer.client import TrainerClient
from napari_msd.trainer.messages import Notice, Progress, Ready, TrainerDied

from ..trainer.conftest import SMALL, Listener, painted, plane_space, read_image


@pytest.mark.slow
@pytest.mark.process
def test_a_trainer_with_a_wrong_core_says_so_and_learns_in_torch(
    core_with, tmp_path, monkeypatch, caplog
):
    core_with("boundary.cpp", "x + dilation, width", "x - dilation, width")
    monkeypatch.setenv(libraries.FOLDER_VARIABLE, str(tmp_path))
    listener = Listener()
    with caplog.at_level(logging.INFO, "napari_msd"):
        client = TrainerClient(listener)
        try:
            client.open(SMALL, plane_space(), read_image)
            client.set_strokes(painted(1, 2, 3))
            client.set_live(True)
            learned = listener.wait(Progress, lambda event: event.step > 0)
            notice = listener.wait(Notice)
        finally:
            client.close()
    assert learned.loss is not None
    assert notice.level == "warning"
    assert notice.text.startswith("The compiled CPU core failed on this machine and is not used")
    ready = [event for event in listener.events if isinstance(event, Ready)]
    assert {event.backend for event in ready} == {"torch"}
    assert "the gradient of" in ready[-1].reason or "the prediction" in ready[-1].reason
    # The reason has come into the log of the process that has the window.
    assert re.search(r"CPU core is set aside on this CPU: the .* is off by up to \d", caplog.text)


@pytest.mark.slow
@pytest.mark.process
def test_after_a_core_has_crashed_a_trainer_the_next_one_does_without_it(
    core_with, tmp_path, monkeypatch, caplog
):
    core_with("boundary.cpp", "x + dilation, width", "(__builtin_trap(), x + dilation), width")
    monkeypatch.setenv(libraries.FOLDER_VARIABLE, str(tmp_path))
    monkeypatch.setattr(child_process, "_crashed_cores", set())
    listener = Listener()
    with caplog.at_level(logging.INFO, "napari_msd"):
        client = TrainerClient(listener)
        try:
            client.open(SMALL, plane_space(), read_image)
            client.set_strokes(painted(1, 2, 3))
            client.set_live(True)
            died = listener.wait(TrainerDied)
            listener.wait(Progress, lambda event: event.step > 0)
            notice = listener.wait(Notice, lambda event: "compiled" in event.text)
        finally:
            client.close()
    assert died.restarting
    assert sum(isinstance(event, TrainerDied) for event in listener.events) == 1
    assert notice.text.startswith("The compiled CPU core failed on this machine and is not used")
    assert "CPU core is set aside on this CPU: the process that tried it crashed" in caplog.text
