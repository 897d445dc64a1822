"""How the viewer learns that a compiled core crashed its trainer."""

import signal

import pytest

from napari_msd.core import core_trial
from napari_msd.core.core_trial import crashed, crashed_before, on_trial, read_on_trial


@pytest.mark.parametrize("core", ["cpu 0", "cuda 12", "cuda 0 cooperative", None])
def test_the_log_says_what_is_on_trial(core):
    line = f"INFO napari_msd.network.trial: {on_trial(core)}"
    assert read_on_trial(line, "cuda 3") == core


@pytest.mark.parametrize(
    "line", ["", "Fatal Python error: Illegal instruction", "core on trial: x", "core on trial"]
)
def test_other_lines_change_nothing(line):
    assert read_on_trial(line, "cpu 0") == "cpu 0"
    assert read_on_trial(line, None) is None


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (-getattr(signal, "SIGILL", 4), True),
        (-getattr(signal, "SIGSEGV", 11), True),
        (-getattr(signal, "SIGKILL", 9), False),  # out of memory, or a person
        (-getattr(signal, "SIGTERM", 15), False),
        (0, False),
        (1, True),
        (0xC000001D, True),  # Windows: illegal instruction
        (0xC0000005, True),
    ],
)
def test_a_crash_is_told_from_other_ends(code, expected):
    assert crashed(code) == expected


def test_the_environment_names_the_cores_that_crashed(monkeypatch):
    monkeypatch.delenv(core_trial.VARIABLE, raising=False)
    assert not crashed_before("cpu 0")
    monkeypatch.setenv(core_trial.VARIABLE, "cpu 0,cuda 1")
    assert [crashed_before(core) for core in ("cpu 0", "cuda 1", "cuda 0", "")] == [
        True, True, False, False,
    ]  # fmt: skip
