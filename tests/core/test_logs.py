"""The log file: small, our own lines only, one per process, and never a reason to fail."""

import logging
import os
import subprocess
import sys

import pytest

from napari_msd.core import logs
from napari_msd.core.logs import last_lines, log_folder, start_log, stop_log

OURS = logging.getLogger("napari_msd.test")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An own folder; the log that other tests started is put back."""
    stop_log()
    monkeypatch.setenv(logs.FOLDER_VARIABLE, str(tmp_path / "logs"))
    yield tmp_path / "logs"
    stop_log()


def test_our_lines_are_written_and_no_others(folder):
    path = start_log()
    OURS.warning("one\ntwo")
    logging.getLogger("other").error("not ours")
    logging.getLogger("napari_msdx").error("not ours")
    text = path.read_text("utf-8")
    assert path.parent == folder
    assert "WARNING napari_msd.test: one\ntwo\n" in text
    assert "not ours" not in text
    assert last_lines(1) == ["two"]
    assert last_lines(2)[0].endswith("WARNING napari_msd.test: one")


def test_starting_twice_writes_every_line_once(folder):
    assert start_log() == start_log()
    OURS.info("once")
    assert start_log().read_text("utf-8").count("once") == 1
    assert len([line for line in last_lines(50) if "once" in line]) == 1


def test_the_root_logger_is_left_alone():
    before = list(logging.getLogger().handlers), logging.getLogger().level
    start_log()
    assert (list(logging.getLogger().handlers), logging.getLogger().level) == before


def test_the_files_stay_small(folder, monkeypatch):
    monkeypatch.setattr(logs, "FILE_BYTES", 2000)
    start_log()
    for number in range(200):
        OURS.info("line %d %s", number, "x" * 100)
    files = sorted(folder.iterdir())
    assert len(files) == logs.FILES
    assert all(path.stat().st_size <= 2000 for path in files)
    assert "line 199 " in start_log().read_text("utf-8")


def test_a_folder_that_cannot_be_made_is_no_error(folder, capsys):
    folder.write_text("in the way")
    start_log()
    OURS.warning("still remembered")
    OURS.warning("and this")
    assert last_lines(1)[0].endswith("and this")
    assert capsys.readouterr().err == ""


def test_a_full_disk_is_no_error(folder, capsys, monkeypatch):
    start_log()
    OURS.info("before")

    def full(*args):
        raise OSError(28, "No space left on device")

    (handler,) = [h for h in logging.getLogger("napari_msd").handlers if hasattr(h, "stream")]
    monkeypatch.setattr(handler.stream, "write", full, raising=False)
    OURS.info("lost on disk")
    OURS.info("after")
    assert [line.split(": ")[1] for line in last_lines(3)] == ["before", "lost on disk", "after"]
    assert capsys.readouterr().err == ""


def test_text_that_no_encoding_holds(folder):
    path = start_log()
    OURS.info("half a character \ud800")
    assert r"half a character \ud800" in path.read_text("utf-8")


def test_files_of_ended_processes_are_removed_but_for_the_newest(folder):
    folder.mkdir()
    numbers = [2**40 + k for k in range(9)]  # no process has these
    for age, number in enumerate(reversed(numbers)):
        for name in (f"napari-{number}.log", f"napari-{number}.log.1"):
            (folder / name).write_text("old")
            os.utime(folder / name, (10_000 - age, 10_000 - age))
    kept = ["napari-notes.log", f"napari-{os.getpid()}.log", f"napari-{os.getppid()}.log.1"]
    for name in kept:
        (folder / name).write_text("not ours to remove")
        os.utime(folder / name, (1, 1))
    start_log()
    newest = numbers[-logs.OTHERS_KEPT :]
    expected = {f"napari-{n}.log{end}" for n in newest for end in ("", ".1")} | set(kept)
    assert {path.name for path in folder.iterdir()} == expected


def test_two_processes_write_two_files(folder):
    code = (
        "import logging; from napari_msd.core.logs import start_log; start_log(); "
        "logging.getLogger('napari_msd.test').info('from another process')"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
    mine = start_log()
    OURS.info("from this one")
    (other,) = set(folder.iterdir()) - {mine}
    assert "another" in other.read_text("utf-8")
    assert "another" not in mine.read_text("utf-8")


def test_the_usual_folder_is_the_systems(monkeypatch):
    monkeypatch.delenv(logs.FOLDER_VARIABLE)
    assert log_folder().is_absolute()
    assert "napari-msd" in log_folder().parts
