"""What can happen while a file is written: a full disk, no permission, a kill."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import psutil

from faults.scenario import Run, UnavailableError
from napari_msd.images import leftovers
from napari_msd.images.export import export_labels
from napari_msd.images.image_files import read_labels

SUFFIXES = (".tif", ".ome.tif", ".png", ".npy", ".safetensors")
"""What is written: labels of each format, and a model."""

_COMMON = """
    import sys
    from pathlib import Path
    import numpy as np
    from napari_msd.core.errors import ExportError
    from napari_msd.images.export import export_labels
    from napari_msd.images.model_file import read

    def labels(value):
        rng = np.random.default_rng(value)
        return rng.integers(1, 200, (1500, 1500)).astype(np.uint8)  # hardly compresses

    def write(path, value):
        if path.suffix == ".safetensors":
            read(Path(sys.argv[2])).write(path)
        else:
            export_labels(path, labels(value), class_names={1: "cell"})
"""

_ON_A_DISK = (
    _COMMON
    + """
    path = Path(sys.argv[1])
    before = path.read_bytes()
    try:
        write(path, 2)
    except ExportError as error:
        print(error)
    else:
        print("it was written")
    assert path.read_bytes() == before, "the old file was changed"
    assert [p.name for p in path.parent.iterdir()] == [path.name], list(path.parent.iterdir())
"""
)


def disk_full(run: Run) -> None:
    """Labels and models are written to a disk with room for half of one."""
    _on_every_format(run, "-o size=1m", fill=True, expected="the disk is full")


def disk_read_only(run: Run) -> None:
    """Labels and models are written to a disk that became read-only."""
    _on_every_format(run, "-o size=8m", then="mount -o remount,ro", expected="read-only")


def _on_every_format(
    run: Run, options: str, *, expected: str, fill: bool = False, then: str = ""
) -> None:
    """Write to a small disk of its own, in a mount namespace that ends with the process."""
    require_mounts()
    model = _model(run.folder)
    disk = run.folder / "disk"
    disk.mkdir()
    for suffix in SUFFIXES[:2] if run.short else SUFFIXES:
        target = disk / f"labels{suffix}"
        command = f"mount -t tmpfs {options} none {disk} && printf old > {target}"
        if fill and suffix == ".safetensors":  # a small file: leave it no room at all
            command += f" && (head -c 2m /dev/zero > {run.folder}/rest; cat {run.folder}/rest >> "
            command += f"{target} || true)"
        if then:
            command += f" && {then} {disk}"
        command += f' && "{sys.executable}" -P "$0" {target} {model}'
        script = run.folder / "write.py"
        script.write_text(textwrap.dedent(_ON_A_DISK), "utf-8")
        done = subprocess.run(
            ["unshare", "-rm", "sh", "-c", command, str(script)],
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        run.check(done.returncode == 0, f"{suffix}: {done.stderr.strip()[-300:]}")
        said = done.stdout.strip()
        run.check(expected in said, f"{suffix}: “{said}”")
        run.check("\n" not in said, f"{suffix}: more than one sentence")
    run.say(f"Cannot write …: {said.rpartition(': ')[2]}")


def require_mounts() -> None:
    """Leave the scenario out where no small disk can be mounted."""
    if sys.platform != "linux" or shutil.which("unshare") is None:
        raise UnavailableError("only Linux mounts a disk for one process (unshare)")
    tried = subprocess.run(
        ["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False
    )
    if tried.returncode:
        raise UnavailableError("this system does not let a person mount a disk (unshare -rm)")


def _model(folder: Path) -> Path:
    """A small model file."""
    from napari_msd import MSDSegmenter

    image = np.random.default_rng(0).random((64, 64))
    strokes = np.zeros(image.shape, np.uint8)
    strokes[:8], strokes[-8:] = 1, 2
    segmenter = MSDSegmenter(depth=3, patch_size=32)
    segmenter.fit(image, strokes, max_steps=1)
    return Path(segmenter.save(folder / "model.safetensors"))


def folder_without_permission(run: Run) -> None:
    """The folder may not be written to."""
    if os.name != "posix":
        raise UnavailableError("Windows has other permissions")
    from napari_msd.core.errors import ExportError

    target = run.folder / "labels.tif"
    target.write_bytes(b"old")
    run.folder.chmod(0o555)
    administrator = os.geteuid() == 0
    try:
        if administrator:  # may write everywhere
            os.seteuid(65534)
        export_labels(target, np.ones((8, 8), np.uint8))
        run.check(False, "it was written")
    except ExportError as error:
        run.say(f"Cannot write …: {str(error).rpartition(': ')[2]}")
    finally:
        if administrator:
            os.seteuid(0)
        run.folder.chmod(0o755)
    run.check(target.read_bytes() == b"old", "the old file was changed")


_WRITES_FOR_EVER = (
    _COMMON
    + """
    path, value = Path(sys.argv[1]), 2
    print("ready", flush=True)
    while True:
        write(path, value)
        value = 5 - value  # 2, 3, 2, ...
        print("written", flush=True)
"""
)


def export_killed(run: Run) -> None:
    """A process that exports over an earlier result is killed at any moment."""
    rng = {value: np.random.default_rng(value) for value in (2, 3)}
    good = {value: r.integers(1, 200, (1500, 1500)).astype(np.uint8) for value, r in rng.items()}
    suffix = SUFFIXES[run.number % 4]
    target = run.folder / f"labels{suffix}"
    export_labels(target, good[3], class_names={1: "cell"})
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", textwrap.dedent(_WRITES_FOR_EVER), str(target)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(run.random.uniform(0.0, 0.3))
    process.kill()
    process.wait()
    process.stdout.close()
    image = read_labels(target)
    whole = any(np.array_equal(image.data, labels) for labels in good.values())
    if not whole or image.class_names != {1: "cell"}:
        run.lost("an earlier result")
    left = [path for path in run.folder.iterdir() if path != target]
    run.figure("unfinished files left, of 1", len(left))
    for path in left:  # a day later, and written to again
        os.utime(path, (time.time() - 2 * leftovers.LEFTOVER_AGE,) * 2)
    leftovers._last_sweep.clear()
    export_labels(run.folder / "another.npy", np.ones((8, 8), np.uint8))
    still = [path.name for path in run.folder.iterdir() if path.name.startswith(".")]
    run.check(not still, "an unfinished file was not removed later")


def shared_memory_full(run: Run) -> None:
    """There is no room in /dev/shm, and the image has 6000 x 6000 pixels."""
    require_mounts()
    if not Path("/dev/shm").is_dir():
        raise UnavailableError("there is no /dev/shm")
    side = 1500 if run.short else 6000
    code = """
        import sys
        sys.path.insert(0, sys.argv[1])
        from faults.live import Live
        from napari_msd.core.settings import Settings
        from napari_msd.trainer.messages import Notice
        from pathlib import Path

        side = int(sys.argv[2])
        with Live((side, side), Settings.from_preset()) as live:
            live.begin()
            assert not live.all(Notice), live.all(Notice)
        assert [path.name for path in Path("/dev/shm").iterdir()] == ["full"]
    """
    fill = "mount -t tmpfs -o size=64k none /dev/shm && head -c 64k /dev/zero > /dev/shm/full"
    done = subprocess.run(
        [
            *("unshare", "-rm", "sh", "-c"),
            f'{fill} && "{sys.executable}" -c "$0" "$1" "$2"',
            *(textwrap.dedent(code), str(Path(__file__).parents[1]), str(side)),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    run.check(done.returncode == 0, done.stderr.strip()[-300:])


def interrupted(run: Run) -> None:
    """Ctrl-C in ``napari-msd train``."""
    if os.name != "posix":
        raise UnavailableError("Windows sends Ctrl-C to all programs of a console")
    import signal

    from napari_msd.images.model_file import read

    rng = np.random.default_rng(0)
    image = rng.normal(0, 0.1, (128, 128)).astype(np.float32)
    image[:, 64:] += 1
    strokes = np.zeros(image.shape, np.uint8)
    strokes[10:100, 20:24], strokes[10:100, 100:104] = 1, 2
    export_labels(run.folder / "strokes.npy", strokes)
    np.save(run.folder / "image.npy", image)
    names = ("image.npy", "--labels", "strokes.npy", "-o", "model.safetensors", "--seconds", "600")
    program = [sys.executable, "-P", "-c", "from napari_msd.cli import main; main()"]
    process = subprocess.Popen(
        [*program, "train", *names],
        cwd=run.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    _wait_until_loaded(process.pid)
    time.sleep(run.random.uniform(0, 3))
    began = time.perf_counter()
    process.send_signal(signal.SIGINT)
    try:
        _, said = process.communicate(timeout=120)
    finally:
        with contextlib.suppress(OSError):
            process.kill()
    run.figure("ended after, s", time.perf_counter() - began)
    model = run.folder / "model.safetensors"
    run.check(process.returncode == 130, f"exit code {process.returncode}: {said[-200:]}")
    if model.exists():
        run.check(read(model).steps > 0, "the model is of no use")
        run.say("Stopped after … steps; the best network so far is saved as …")
        run.check("Stopped after" in said, said[-200:])
    else:
        run.say(said.strip().rpartition("napari-msd: ")[2])
        run.check("before the first step" in said, f"no model, and it says: {said[-200:]}")
    left = [path.name for path in run.folder.iterdir() if path.name.startswith(".")]
    run.check(not left, f"left behind: {left}")


def _wait_until_loaded(pid: int) -> None:
    """Wait until a process has used some seconds of a processor: it loads PyTorch, or learns."""
    process, until = psutil.Process(pid), time.monotonic() + 60
    while time.monotonic() < until and process.is_running():
        times = process.cpu_times()
        if times.user + times.system > 4:
            break
        time.sleep(0.1)
