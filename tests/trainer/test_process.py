"""The life and death of trainer processes: hangs, leaks, foreign folders, the end."""

import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import numpy as np
import psutil
import pytest

from napari_msd.document import Painted
from napari_msd.trainer import child_process
from napari_msd.trainer.child_process import ChildProcess
from napari_msd.trainer.client import TrainerClient
from napari_msd.trainer.messages import (
    OverlayBlock,
    Progress,
    Ready,
    TrainerDied,
)
from napari_msd.trainer.priority import NICE, NICE_VARIABLE, wanted_nice

from .conftest import (
    PATIENCE,
    SHAPE,
    SMALL,
    Listener,
    all_of,
    painted,
    plane_space,
    read_image,
    slab,
)

needs_stop = pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="needs SIGSTOP")
NO_TICKS = 1e6  # seconds: the test ticks


def live(client):
    client.open(SMALL, plane_space(), read_image)
    client.set_strokes(painted(1, 2, 3))
    client.set_view(all_of())
    client.set_live(True)


# --- hangs ---------------------------------------------------------------------------------------


@needs_stop
def test_a_hung_trainer_is_ended_told_and_replaced(listener):
    client = TrainerClient(listener, tick_seconds=0.4)
    try:
        live(client)
        listener.wait(OverlayBlock)
        first, mark = client.pid, listener.now
        os.kill(first, signal.SIGSTOP)
        died = listener.wait(TrainerDied)
        assert died.restarting
        assert died.text.startswith("The trainer did not answer for ten seconds and was ended")
        listener.wait(OverlayBlock, since=mark)
        assert client.pid != first
        assert not psutil.pid_exists(first)
    finally:
        client.close()


@needs_stop
def test_a_full_pipe_does_not_hide_a_hang(listener):
    client = TrainerClient(listener, tick_seconds=NO_TICKS)
    try:
        live(client)
        listener.wait(OverlayBlock)
        process = client._connection.trainer.host
        os.kill(client.pid, signal.SIGSTOP)
        rng = np.random.default_rng(0)
        for _ in range(100):  # does not compress: more than any pipe holds
            values = rng.integers(1, 4, SHAPE).astype(np.uint8)
            client.set_strokes([Painted(slab(), values)])
        while not process._fault:
            process.tick()
        mark = listener.now
        died = listener.wait(TrainerDied)
        assert "did not answer" in died.text
        listener.wait(Progress, lambda p: p.step > 0, since=mark)
    finally:
        client.close()


@needs_stop
def test_closing_a_hung_trainer(listener):
    client = TrainerClient(listener, tick_seconds=NO_TICKS)
    live(client)
    listener.wait(OverlayBlock)
    pid = client.pid
    os.kill(pid, signal.SIGSTOP)
    client.close()
    all_ended()
    assert not psutil.pid_exists(pid)


# --- nothing is left -----------------------------------------------------------------------------


def all_ended(but=()):
    """Wait for the client's threads to end; those that are there for good do not count."""
    ours = ("trainer-", "pixel-reader")
    for thread in threading.enumerate():
        if thread.name.startswith(ours) and thread not in but:
            thread.join(PATIENCE)
            assert not thread.is_alive(), thread.name


def held():
    """Threads, and open files or handles, of this process."""
    gc.collect()
    process = psutil.Process()
    handles = process.num_handles() if psutil.WINDOWS else process.num_fds()
    return threading.active_count(), handles


def test_nothing_is_left_of_dead_trainers(own_client, listener):
    own_client.start()
    listener.wait(Ready)
    before = held()
    for _ in range(3):
        mark = listener.now
        psutil.Process(own_client.pid).kill()
        listener.wait(Ready, since=mark)
    assert held() == before


def test_nothing_is_left_of_closed_clients():
    def open_and_close():
        listener = Listener()
        client = TrainerClient(listener)
        there = threading.Event()
        client.start()
        client._connection.post(there.set)
        assert there.wait(PATIENCE)  # the process is there, and loads
        client.close()

    others = threading.enumerate()
    open_and_close()  # what is made once for all clients
    all_ended(others)
    before = held()
    for _ in range(3):
        open_and_close()
    all_ended(others)
    assert held() == before


LEAVES_ONE_BEHIND = """
import subprocess, sys
waits = [sys.executable, "-c", "import threading; threading.Event().wait()"]
other = subprocess.Popen(waits, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
print(other.pid, file=sys.stderr, flush=True)
"""


def test_a_process_that_inherited_a_pipe_holds_nothing_up(monkeypatch):
    monkeypatch.setattr(child_process, "PROGRAM", LEAVES_ONE_BEHIND)
    died = threading.Event()
    host = ChildProcess(1, lambda envelope: None, died.set)
    host.start()
    try:
        assert died.wait(PATIENCE)
        ending = threading.Thread(target=host.end)
        ending.start()
        ending.join(PATIENCE)
        assert not ending.is_alive()
    finally:
        psutil.Process(int(host._log[0])).kill()
        for thread in host._threads:
            thread.join(PATIENCE)
        host.end()  # closes what was still in use


def test_close_does_not_wait_for_a_listener_that_never_returns(listener):
    inside, let_go = threading.Event(), threading.Event()

    def hear(session, event):
        inside.set()
        let_go.wait()

    client = TrainerClient(hear)
    client.cancel()
    assert inside.wait(PATIENCE)
    closing = threading.Thread(target=client.close)
    closing.start()
    closing.join(PATIENCE)
    try:
        assert not closing.is_alive()
    finally:
        let_go.set()
    all_ended()


def test_closing_from_the_listener(listener):
    def hear(session, event):
        client.close()
        closed.set()

    closed = threading.Event()
    client = TrainerClient(hear)
    client.cancel()
    assert closed.wait(PATIENCE)
    all_ended()


# --- the folder the viewer was started in --------------------------------------------------------

START = """
    import os, sys, threading
    from napari_msd.trainer.client import TrainerClient
    from napari_msd.trainer.messages import Notice, Ready

    heard, words = threading.Event(), []

    def hear(session, event):
        if isinstance(event, (Notice, Ready)):
            words.append(event)
            heard.set()

    {before}
    client = TrainerClient(hear)
    client.start()
    assert heard.wait(90)
    client.close()
    assert isinstance(words[0], Ready), words
"""


def start_in(folder: Path, before: str = "") -> subprocess.CompletedProcess:
    code = textwrap.dedent(START).replace("{before}", before)
    return subprocess.run(
        [sys.executable, "-P", "-c", code], cwd=folder, capture_output=True, text=True, timeout=120
    )


def test_nothing_is_imported_from_the_folder_of_the_viewer(tmp_path):
    for name in ("queue", "torch", "numpy", "msgspec", "napari_msd", "json"):
        hostile = f"open({str(tmp_path / 'ran')!r}, 'a').write({name!r})"
        (tmp_path / f"{name}.py").write_text(hostile)
    done = start_in(tmp_path)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "ran").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps the folder of a program")
def test_a_folder_that_is_gone_does_not_matter(tmp_path):
    folder = tmp_path / "gone"
    folder.mkdir()
    done = start_in(folder, before="os.rmdir(os.getcwd())")
    assert done.returncode == 0, done.stderr


# --- priority ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("value", "nice"), [("3", 3), ("0", 0), ("high", NICE), (None, NICE)])
def test_the_priority_can_be_chosen(monkeypatch, value, nice):
    monkeypatch.delenv(NICE_VARIABLE, raising=False)
    if value is not None:
        monkeypatch.setenv(NICE_VARIABLE, value)
    assert wanted_nice() == nice


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="priorities of threads")
def test_what_computes_is_polite_and_what_answers_is_not(client):
    mine = os.getpriority(os.PRIO_PROCESS, 0)
    threads = psutil.Process(client.pid).threads()
    priorities = [os.getpriority(os.PRIO_PROCESS, thread.id) for thread in threads]
    assert set(priorities) == {mine, max(mine, NICE)}
    assert os.getpriority(os.PRIO_PROCESS, client.pid) == mine  # the thread that reads requests


# --- what it writes ------------------------------------------------------------------------------

SAYS_AND_FAILS = """
import logging
from napari_msd.core.logs import log_to_stderr
from napari_msd.trainer.process import take_streams

streams = take_streams()
log_to_stderr()
logging.getLogger("napari_msd.training").warning("a warning")
print("printed")
raise RuntimeError("a mistake")
"""


def test_what_the_trainer_says_is_in_the_log_of_the_viewer(monkeypatch, caplog):
    monkeypatch.setattr(child_process, "PROGRAM", SAYS_AND_FAILS)
    died = threading.Event()
    with caplog.at_level("INFO", "napari_msd"):
        host = ChildProcess(1, lambda envelope: None, died.set)
        host.start()
        assert died.wait(PATIENCE)
        host.end()
    output = [r.getMessage() for r in caplog.records if r.name == "napari_msd.trainer.output"]
    assert output[0] == "WARNING napari_msd.training: a warning"
    assert "printed" in output
    assert output[-1] == "RuntimeError: a mistake"
    assert caplog.records[-1].getMessage().startswith("The trainer process stopped unexpectedly")


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_crash_in_compiled_code_leaves_a_traceback_in_the_log(own_client, listener, caplog):
    with caplog.at_level("INFO", "napari_msd"):
        own_client.start()
        listener.wait(Ready)
        os.kill(own_client.pid, signal.SIGSEGV)
        listener.wait(TrainerDied)
    assert "Fatal Python error: Segmentation fault" in caplog.text
