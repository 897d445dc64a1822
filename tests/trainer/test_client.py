"""The whole way over the process boundary, with a real trainer process."""

import contextlib
import errno
import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import psutil
import pytest

from napari_msd.core.settings import Settings
from napari_msd.trainer import connection
from napari_msd.trainer.envelopes import EventEnvelope, Stamp
from napari_msd.trainer.messages import (
    Finished,
    Measured,
    ModelKept,
    Notice,
    OverlayBlock,
    Progress,
    Ready,
    TrainerDied,
)

from .conftest import (
    PATIENCE,
    SHAPE,
    SMALL,
    all_of,
    area,
    image,
    painted,
    plane_of,
    plane_space,
    read_image,
    slab,
    stack_space,
)


def start(client, read=read_image, *classes):
    client.open(SMALL, plane_space(), read)
    if classes:
        client.set_strokes(painted(*classes))
    client.set_view(all_of())


def values(block: OverlayBlock) -> set[int]:
    return set(np.unique(block.labels).tolist())


def right(*classes):
    """Whether a block of the whole view shows these thirds, but for a few pixels."""
    expected = np.broadcast_to(np.repeat(classes, 32)[None, :], SHAPE)
    return lambda event: (event.labels == expected).mean() > 0.9


def test_strokes_in_overlay_out(own_client, listener):
    own_client.start()
    ready = listener.wait(Ready)
    assert ready.pid == own_client.pid != os.getpid()
    assert ready.device
    assert ready.reason.endswith(".")
    start(own_client, read_image, 1, 2, 3)
    own_client.set_live(True)
    block = listener.wait(OverlayBlock, right(1, 2, 3))
    assert block.labels.dtype == np.uint8
    assert block.labels.shape == SHAPE
    progress = listener.wait(Progress, lambda p: p.best_score is not None)
    assert progress.state == "training"
    assert set(progress.held_out_iou) <= {1, 2, 3}
    mark = listener.now
    own_client.set_live(False)
    listener.wait(Finished, lambda f: f.work == "stop", since=mark)
    assert listener.wait(Progress, since=mark)
    assert own_client.model is not None


def test_the_viewer_never_imports_torch():
    code = "import napari_msd.trainer.client, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_new_and_undone_classes_without_restart(client, listener):
    start(client, read_image, 1, 3)
    client.set_live(True)
    listener.wait(OverlayBlock, lambda b: values(b) == {1, 3})
    pid = client.pid
    client.set_strokes(painted(1, 2, 3))
    listener.wait(OverlayBlock, right(1, 2, 3))
    mark = listener.now
    client.set_strokes(painted(1, 3))  # undo
    gone = listener.wait(OverlayBlock, lambda b: 2 not in values(b), since=mark)
    assert values(gone) <= {1, 3}
    assert client.pid == pid


def test_one_class_waits_and_says_so(client, listener):
    start(client, read_image, 2)
    client.set_live(True)
    waiting = listener.wait(Progress, lambda p: p.state == "waiting")
    assert "at least two classes" in waiting.needs
    client.set_strokes(painted(1, 2))
    listener.wait(OverlayBlock)


def test_update_once_ends_by_itself(client, listener):
    start(client, read_image, 1, 2)
    client.update_once()
    progress = listener.wait(Progress, lambda p: p.fraction is not None and p.fraction > 0)
    assert progress.seconds_left is not None
    assert not listener.wait(Finished).cancelled
    blocks = [e for e in listener.events if isinstance(e, OverlayBlock)]
    assert blocks[-1].step == listener.wait(ModelKept, lambda m: m.step == blocks[-1].step).step


def test_update_once_with_nothing_painted(client, listener):
    start(client)
    client.update_once()
    assert "at least two classes" in listener.wait(Notice).text


def test_planes_of_a_stack(client, listener):
    asked = []

    def read(box):
        asked.append(box)
        return read_image(box) + 10 * plane_of(box)[0]

    client.open(SMALL, stack_space(), read)
    client.set_strokes(painted(1, 2, 3, plane=(2,)))
    client.set_view(all_of((0,)))
    client.set_live(True)
    assert listener.wait(OverlayBlock).box == slab(0)
    assert asked == [slab(2), slab(0)]  # what is painted, then what is shown, nothing else
    part = area(10, 20, 40, 90, plane=(1,))
    client.set_view(part)
    block = listener.wait(OverlayBlock, lambda b: plane_of(b.box) == (1,))
    assert (block.box, block.labels.shape) == (part, (1, 30, 70))
    client.set_live(False)
    listener.wait(Finished)
    mark = listener.now
    boxes = [slab(n) for n in range(4)]
    client.predict_all(boxes)
    listener.wait(Finished, lambda f: f.work == "predict")
    assert [e.box for e in listener.events[mark:] if isinstance(e, OverlayBlock)] == boxes


def test_predict_all_without_a_model_is_said(client, listener):
    start(client)
    client.predict_all([slab()])
    assert "no trained network" in listener.wait(Notice).text


def test_predict_all_can_be_cancelled(client, listener):
    start(client, read_image, 1, 2)
    client.update_once()
    listener.wait(Finished, lambda f: f.work == "update")
    client.open(SMALL, stack_space(100_000), read_image, client.model)
    client.predict_all([slab(n) for n in range(100_000)])
    listener.wait(OverlayBlock, lambda b: b.box == slab(3))
    client.cancel()
    assert listener.wait(Finished, lambda f: f.work == "predict").cancelled


def test_a_killed_trainer_is_replaced_and_goes_on(own_client, listener):
    start(own_client, read_image, 1, 2, 3)
    own_client.set_live(True)
    listener.wait(OverlayBlock, right(1, 2, 3))
    kept = listener.wait(ModelKept, lambda m: m.step >= 20)
    first = own_client.pid
    mark = listener.now
    psutil.Process(first).kill()
    died = listener.wait(TrainerDied)
    assert died.restarting
    assert "last weights" in died.text
    again = listener.wait(OverlayBlock, since=mark)
    assert again.step >= kept.step  # not from the beginning
    assert right(1, 2, 3)(again)
    assert own_client.pid != first
    listener.wait(Progress, lambda p: p.state == "training" and p.step > kept.step, since=mark)


def test_a_trainer_that_keeps_dying_is_left_dead_until_asked(own_client, listener):
    start(own_client, read_image, 1, 2)
    own_client.set_live(True)
    for _ in range(4):
        mark = listener.now
        listener.wait(Progress, lambda p: p.step > 0, since=mark)
        psutil.Process(own_client.pid).kill()
        died = listener.wait(TrainerDied, since=mark)
    assert not died.restarting
    assert own_client.pid is None
    mark = listener.now
    own_client.set_live(True)
    listener.wait(Progress, lambda p: p.step > 0, since=mark)


def test_opening_without_a_model_starts_over(client, listener):
    start(client, read_image, 1, 2, 3)
    client.set_live(True)
    listener.wait(Progress, lambda p: p.step > 40)
    mark = listener.now
    start(client, read_image, 1, 2, 3)
    client.set_live(True)
    listener.wait(Progress, lambda p: p.step == 0, since=mark)
    listener.wait(OverlayBlock, right(1, 2, 3), since=mark)


def test_settings_of_a_loaded_model_win(client, listener):
    start(client, read_image, 1, 2, 3)
    client.update_once()
    listener.wait(Finished)
    model = client.model
    mark = listener.now
    client.open(Settings.from_preset("quick"), plane_space(), read_image, model)
    client.predict_all([slab()])
    assert right(1, 2, 3)(listener.wait(OverlayBlock, since=mark))


@pytest.mark.parametrize(
    ("pixels", "sentence"),
    [
        (np.full(SHAPE, 3), "same value"),
        (np.full(SHAPE, np.nan), "no numbers"),
        (np.random.default_rng(0).random((*SHAPE, 3)), "one channel, this image has 3 channels"),
    ],
)
def test_images_that_cannot_be_learned_from(client, listener, pixels, sentence):
    start(client, lambda box: pixels, 1, 2)
    client.set_live(True)
    notice = listener.wait(Notice)
    assert (notice.level, sentence in notice.text) == ("error", True)


def test_some_missing_numbers_are_said_and_survived(client, listener):
    pixels = image()
    pixels[:3] = np.nan
    start(client, lambda box: pixels, 1, 2)
    client.set_live(True)
    notice = listener.wait(Notice)
    assert (notice.level, "NaN or infinite" in notice.text) == ("warning", True)
    listener.wait(OverlayBlock)


def test_a_plane_that_cannot_be_read(client, listener):
    def read(box):
        raise OSError("the disk is gone")

    start(client, read, 1, 2)
    client.set_live(True)
    assert "the disk is gone" in listener.wait(Notice).text


def test_a_damaged_model_is_refused(client, listener):
    client.open(SMALL, plane_space(), read_image, b"nonsense")
    assert "safetensors" in listener.wait(Notice).text


def test_close_leaves_nothing(own_client, listener):
    start(own_client, read_image, 1, 2)
    own_client.set_live(True)
    listener.wait(OverlayBlock)
    trainer = psutil.Process(own_client.pid)
    own_client.close()
    assert not trainer.is_running() or trainer.status() == psutil.STATUS_ZOMBIE
    mark = listener.now
    own_client.set_live(True)
    own_client.close()
    for thread in listener.threads:  # once they have ended, nothing can come late
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert listener.now == mark


SCRIPT = """
    import numpy as np, threading
    from napari_msd.core.settings import Settings
    from napari_msd.core.space import Space
    from napari_msd.document import Painted
    from napari_msd.trainer.client import TrainerClient
    from napari_msd.trainer.messages import Progress

    learning = threading.Event()
    def hear(session, event):
        if isinstance(event, Progress) and event.step:
            learning.set()

    client = TrainerClient(hear)
    image = np.random.default_rng(0).random((48, 48))
    space = Space("YX", image.shape)
    settings = Settings.from_preset(depth=3, patch_size=32)
    client.open(settings, {0: space}, lambda box: image)
    strokes = np.zeros(image.shape, np.uint8)
    strokes[4:8] = 1
    strokes[20:24] = 2
    client.set_strokes([Painted(space.whole(0), strokes)])
    client.set_view(space.whole(0))
    client.set_live(True)
    assert learning.wait(90)
    print(client.pid, flush=True)
"""


def wait_until_gone(pid: int) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(pid).wait(timeout=PATIENCE)


def test_no_orphan_is_left_when_the_viewer_forgets_to_close():
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SCRIPT)],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    wait_until_gone(int(done.stdout))


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kill -9 is POSIX")
def test_no_orphan_is_left_when_the_viewer_is_killed():
    code = textwrap.dedent(SCRIPT) + "threading.Event().wait()\n"
    viewer = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    with viewer:
        trainer = psutil.Process(int(viewer.stdout.readline()))
        viewer.kill()
    wait_until_gone(trainer.pid)


def test_events_carry_the_number_of_their_epoch(client, listener):
    first = client.open(SMALL, plane_space(), read_image)
    client.cancel()
    listener.wait(Finished)
    assert set(listener.sessions) - {0} == {first}
    ready = [n for n, e in zip(listener.sessions, listener.events, strict=True) if is_ready(e)]
    assert set(ready) == {0}
    mark = listener.now
    second = client.open(SMALL, plane_space(), read_image, b"nonsense")
    listener.wait(Notice, since=mark)
    assert second > first
    assert set(listener.sessions[mark:]) <= {0, second}


def test_an_error_while_sending_is_told_and_the_next_request_is_sent(client, listener):
    def broken():
        raise ZeroDivisionError("division by zero")

    start(client, read_image, 1, 2)
    client.set_live(True)
    listener.wait(Progress, lambda p: p.step > 0)
    client._connection.post(broken)
    notice = listener.wait(Notice)
    assert (notice.level, "ZeroDivisionError" in notice.text) == ("error", True)
    listener.wait(Progress, lambda p: p.state == "idle")  # as the window says then
    mark = listener.now
    client.set_live(True)
    listener.wait(Progress, lambda p: p.state == "training", since=mark)
    client.set_live(False)
    listener.wait(Finished, since=mark)


def test_a_plane_for_which_there_is_no_memory_is_told_once(client, listener, monkeypatch):
    tried = []

    def full(box, pixels, scale):
        tried.append(pixels)
        raise OSError(errno.ENOSPC, "No space left on device")

    start(client, read_image, 1, 2)
    with monkeypatch.context() as patch:
        patch.setattr(connection, "parts_of", full)
        client.set_live(True)
        notice = listener.wait(Notice)
        assert "could not be sent to the trainer" in notice.text
        assert "No space left" in notice.text
        client.set_live(False)
        listener.wait(Finished)
        assert len(tried) == 1
    mark = listener.now
    client.set_live(True)
    listener.wait(OverlayBlock, since=mark)


def test_a_message_that_is_not_understood_is_said_once(client, listener, caplog):
    host = client._connection.trainer.host
    for _ in range(2):
        host._read_event(bytearray(b"nonsense"))
    listener.wait(Notice, lambda n: n.level == "warning" and "not understood" in n.text)
    client.cancel()
    listener.wait(Finished)
    assert sum(isinstance(event, Notice) for event in listener.events) == 1
    assert caplog.records[0].exc_info is not None


def test_a_late_block_of_a_dead_trainer_is_not_acknowledged_to_the_next(client, listener):
    dead = client._connection.trainer.session - 1
    block = OverlayBlock(area(0, 0, 1, 1), 1, np.ones((1, 1), np.uint8))
    client._connection.on_envelope(EventEnvelope(Stamp(dead, 0, 10**6), block))
    client.cancel()
    listener.wait(Finished)
    assert block not in listener.events


def is_ready(event):
    return isinstance(event, Ready)


def test_stopping_without_a_trainer_is_answered_too(own_client, listener):
    own_client.cancel()
    assert listener.wait(Finished) == Finished("stop")
    mark = listener.now
    own_client.set_live(False)
    listener.wait(Finished, since=mark)
    own_client.measure([b"", b""])
    assert listener.wait(Measured).scores == {0: None, 1: None}


def test_stop_is_the_last_word_of_what_it_ended(client, listener):
    start(client, read_image, 1, 2)
    client.update_once()
    client.set_live(True)
    client.cancel()
    client.cancel()
    client.set_live(False)
    client.measure([])
    client.measure([b""])
    listener.wait(Measured, lambda m: m.scores)  # all answers have come
    stop = Finished("stop")
    assert finished(listener) == [Finished("update", cancelled=True), stop, stop, stop]


def finished(listener):
    return [event for event in listener.events if isinstance(event, Finished)]


def test_no_late_word_of_an_earlier_session(client, listener):
    start(client, read_image, 1, 2, 3)
    client.set_live(True)
    listener.wait(ModelKept)
    start(client, read_image, 1, 2, 3)
    mark = listener.now
    client.set_live(True)
    listener.wait(ModelKept, since=mark)
    steps = [e.step for e in listener.events[mark:] if isinstance(e, Progress)]
    assert steps[0] <= 1
    assert steps == sorted(steps)


def test_that_work_has_stopped_is_told_though_another_session_was_opened(client, listener):
    start(client, read_image, 1, 2)
    client.set_live(True)
    listener.wait(Progress, lambda p: p.state == "training")
    client.cancel()
    start(client, read_image, 1, 2)
    assert listener.wait(Finished) == Finished("stop")


def test_after_an_error_a_new_trainer_does_not_train_unasked(own_client, listener):
    start(own_client, unreadable, 1, 2)
    own_client.set_live(True)
    listener.wait(Notice, lambda n: n.level == "error")
    assert not own_client._connection.state.live


def unreadable(box):
    raise OSError("no such drive")
