"""What can happen to the trainer: killed, stopped, starved, out of memory."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from faults.live import Live
from faults.scenario import Run, UnavailableError
from napari_msd.core.settings import Settings
from napari_msd.trainer.messages import ModelKept, Notice, OverlayBlock, Progress, Ready


def killed(run: Run) -> None:
    """The trainer is killed while strokes are painted."""
    with Live() as live:
        live.begin()
        for number in range(20):
            live.paint_somewhere(number)
        kept = live.all(ModelKept)[-1]
        mark, began = live.now, time.perf_counter()
        live.process().kill()
        for number in range(20, 60):
            live.paint_somewhere(number)
        _back(run, live, mark, began, kept)


def killed_while_starting(run: Run) -> None:
    """The trainer is killed before it is ready."""
    with Live() as live:
        live.open()
        live.client.set_live(True)
        children = _children_that_start()
        mark, began = live.now, time.perf_counter()
        for child in children:
            child.kill()
        run.check(bool(children), "there was no process yet")
        died, _ = live.died_and_back(mark)
        run.say(died.text)
        run.figure("learns from all strokes after, s", time.perf_counter() - began)


def stopped(run: Run) -> None:
    """The trainer hangs: SIGSTOP."""
    if not hasattr(signal, "SIGSTOP"):
        raise UnavailableError("this system cannot stop a process")
    with Live(tick_seconds=0.2 if run.short else 1.0) as live:
        live.begin()
        kept = live.all(ModelKept)[-1]
        mark, began = live.now, time.perf_counter()
        os.kill(live.process().pid, signal.SIGSTOP)
        for number in range(40):
            live.paint_somewhere(number)
        _back(run, live, mark, began, kept)


def _back(run: Run, live: Live, mark: int, began: float, kept: ModelKept) -> None:
    """Check after its death: told, restarted, from the kept weights, with all strokes."""
    died, after = live.died_and_back(mark)
    run.say(died.text)
    run.check(died.restarting, "it was not restarted")
    run.figure("told after, s", live.moment(died) - began)
    run.figure("learns from all strokes after, s", live.moment(after) - began)
    live.wait(OverlayBlock, since=mark)
    if after.painted != live.painted:
        run.lost(f"{live.painted - after.painted} painted pixels")
    if after.step < kept.step:
        run.lost("the kept weights")


def starved(run: Run) -> None:
    """Other programs leave the trainer a twentieth of a core."""
    if not hasattr(signal, "SIGSTOP"):
        raise UnavailableError("this system cannot stop a process")
    with Live() as live:
        live.begin()
        mark, began = live.now, time.perf_counter()
        with _throttled(live.process().pid):
            live.wait(Progress, lambda progress: progress.starved, since=mark)
            run.figure("said after, s", time.perf_counter() - began)
        mark = live.now
        live.paint_somewhere(1)
        live.wait(Progress, lambda progress: not progress.starved, since=mark)
        live.wait(ModelKept, lambda model: model.painted == live.painted, since=mark)
        run.check(len(live.all(Ready)) <= 2, "it was taken to hang, and restarted")
        from napari_msd.widgets.next_step import STARVED

        run.say(STARVED)


@contextlib.contextmanager
def _throttled(pid: int) -> Iterator[None]:
    """Let a process run for a twentieth of the time."""
    over = threading.Event()

    def loop() -> None:
        while not over.wait(0.02):
            os.kill(pid, signal.SIGSTOP)
            over.wait(0.38)
            os.kill(pid, signal.SIGCONT)

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def out_of_memory(run: Run) -> None:
    """The trainer may have a few megabytes more, and no others."""
    if sys.platform != "linux":
        raise UnavailableError("only Linux limits the memory of a running process")
    import resource

    settings = Settings.from_preset(
        depth=30, width=4, pretrained=False, trees=False, patch_size=256, patches_per_step=16
    )
    with Live((1024, 1024), Settings.from_preset(depth=4, patch_size=32)) as live:
        live.begin()
        process = live.process()
        live.client.set_live(False)
        limit = process.memory_info().vms + (150 << 20)
        resource.prlimit(process.pid, resource.RLIMIT_AS, (limit, limit))
        live.settings = settings
        mark = live.now
        live.begin()
        live.wait(ModelKept, lambda kept: kept.painted == live.painted, since=mark)
        live.wait(Progress, lambda p: p.step >= 3 and p.state == "training", since=mark)
        said = [notice for notice in live.all(Notice, mark) if "too little memory" in notice.text]
        run.check(bool(said), "nothing was said")
        run.check(all(notice.level == "warning" for notice in said), "the work ended")
        for notice in said[:1]:
            run.say(notice.text)
        run.check(live.process().pid == process.pid, "the trainer died")


def handles(run: Run) -> None:
    """Trainers die and clients are closed: nothing of them is left."""
    deaths = 2 if run.short else 3
    for _ in range(2):  # the first time makes what is made once
        with Live() as live:
            live.client.start()
            live.wait(Ready)
    before = _held()
    for _ in range(2 if run.short else 10):
        with Live() as live:
            live.client.start()
            live.wait(Ready)
            for _ in range(deaths):
                mark = live.now
                live.process().kill()
                live.wait(Ready, since=mark)
    _wait_for_threads()
    after = _held()
    for name, then, now in zip(("threads", "handles"), before[:2], after[:2], strict=True):
        run.check(now <= then, f"{now - then} {name} more")
    run.figure("memory grew by, MB", (after[2] - before[2]) / 1e6)


def _held() -> tuple[int, int, int]:
    """Threads, handles and bytes of this process."""
    import gc

    _wait_for_threads()
    gc.collect()
    process = psutil.Process()
    count = process.num_handles() if psutil.WINDOWS else process.num_fds()
    return threading.active_count(), count, process.memory_info().rss


def _wait_for_threads() -> None:
    for thread in threading.enumerate():
        if thread.name.startswith(("trainer-", "pixel-reader")):
            thread.join(30)


def _children_that_start() -> list[psutil.Process]:
    """Trainers of this process, as soon as there is one."""
    process, until = psutil.Process(), time.monotonic() + 30
    while time.monotonic() < until:
        if children := process.children():
            return children
    return []


_VIEWER = """
    import sys
    sys.path.insert(0, sys.argv[1])
    from faults.live import Live

    with Live() as live:
        live.begin()
        print(live.process().pid, flush=True)
        for number in range(10**9):
            live.paint_somewhere(number)
            live.wait(object, since=live.now)
"""


def viewer_killed(run: Run) -> None:
    """The viewer's process is killed while it trains: its trainer ends by itself."""
    viewer = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(_VIEWER), str(Path(__file__).parents[1])],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert viewer.stdout is not None
    trainer = psutil.Process(int(viewer.stdout.readline()))
    viewer.kill()
    began = time.perf_counter()
    viewer.wait()
    viewer.stdout.close()
    _, alive = psutil.wait_procs([trainer], timeout=30)
    run.check(not alive, "the trainer goes on without a viewer")
    run.figure("trainer gone after, s", time.perf_counter() - began)
    for process in alive:
        process.kill()


def clock_jumps(run: Run) -> None:
    """The clock of the machine is set hours forward and back while strokes are painted."""
    real, hours = time.time, [0.0]
    time.time = lambda: real() + 3600 * hours[0]
    try:
        with Live() as live:
            live.begin()
            for number in range(30):
                hours[0] = run.random.choice([-30.0, -2.0, 0.0, 3.0, 50.0])
                live.paint_somewhere(number)
            mark = live.now
            live.paint_somewhere(31)
            live.wait(ModelKept, lambda kept: kept.painted == live.painted, since=mark)
            run.check(len(live.all(Ready)) <= 2, "the trainer was restarted")
            run.check(not live.all(Notice), "a notice came")
    finally:
        time.time = real
