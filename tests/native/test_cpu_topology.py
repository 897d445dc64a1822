"""How many threads a pass gets on hybrid processors and those with two threads per core."""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from pathlib import Path

import pytest

from napari_msd.native import cpu_topology, set_threads, threads
from napari_msd.native.cpu_topology import fast_processor_cores, of_linux, of_macos, of_windows


def machine(root: Path, siblings: dict[str, str], fast: str = "", capacities=None) -> Path:
    """A /sys of Linux: CPU -> its siblings' list, the list of fast CPUs, CPU -> capacity."""
    for cpu, text in siblings.items():
        folder = root / f"sys/devices/system/cpu/cpu{cpu}/topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(f"{text}\n")
    if fast:
        for name, text in (("cpu_core", fast), ("cpu_atom", "16-23")):
            (root / f"sys/devices/{name}").mkdir()
            (root / f"sys/devices/{name}/cpus").write_text(f"{text}\n")
    for cpu, capacity in (capacities or {}).items():
        (root / f"sys/devices/system/cpu/cpu{cpu}/cpu_capacity").write_text(f"{capacity}\n")
    return root


PAIRS = {str(cpu): f"{cpu % 4},{cpu % 4 + 4}" for cpu in range(8)}
"""Four cores with two threads each, numbered as on most servers."""

NEIGHBOURS = {str(cpu): f"{cpu // 2 * 2}-{cpu // 2 * 2 + 1}" for cpu in range(16)}
"""Eight cores with two threads each, numbered as on most desktops."""

SLOW = {str(cpu): str(cpu) for cpu in range(16, 24)}


@pytest.mark.parametrize(
    ("siblings", "allowed", "expected"),
    [
        ({"0": "0", "1": "1"}, {0, 1}, 2),
        (PAIRS, range(8), 4),
        (PAIRS, {0, 4}, 1),  # both threads of one core
        (PAIRS, {1, 4, 6}, 3),
        (NEIGHBOURS, range(16), 8),
        (PAIRS, {3}, 1),
    ],
)
def test_one_thread_for_each_core(tmp_path, siblings, allowed, expected):
    assert of_linux(machine(tmp_path, siblings), allowed) == expected


@pytest.mark.parametrize(
    ("allowed", "expected"),
    [
        (range(24), 8),
        ({0, 2, 20, 21}, 2),
        ({20, 21, 22}, 3),  # only slow ones are allowed
    ],
)
def test_slow_cores_of_intel_are_left_out(tmp_path, allowed, expected):
    root = machine(tmp_path, NEIGHBOURS | SLOW, fast="0-15")
    assert of_linux(root, allowed) == expected


@pytest.mark.parametrize(
    ("capacities", "expected"),
    [
        ([1024, 1024, 1024, 1024, 400, 400, 400, 400], 4),  # 4 x 1024 is more than 8 x 400
        ([1024, 1024, 870, 870, 870, 870, 870, 870], 8),
        ([1024, 870, 870, 870, 250, 250, 250, 250], 4),
        ([1024, 300, 300, 300], 4),  # one fast core alone does less than all at the slow pace
        ([512, 512], 2),
    ],
)
def test_arms_cores_are_as_many_as_are_fastest_together(tmp_path, capacities, expected):
    alone = {str(cpu): str(cpu) for cpu in range(len(capacities))}
    root = machine(tmp_path, alone, capacities=dict(enumerate(capacities)))
    assert of_linux(root, range(len(capacities))) == expected


@pytest.mark.parametrize("text", ["", "nonsense", "0-", "-"])
def test_what_cannot_be_read_is_no_answer(tmp_path, text):
    assert of_linux(machine(tmp_path, {"0": text}), {0}) is None
    assert of_linux(tmp_path, {5}) is None
    assert of_linux(tmp_path, set()) is None


# --- macOS -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({"hw.perflevel0.physicalcpu": 4, "hw.perflevel1.physicalcpu": 4, "hw.physicalcpu": 8}, 4),
        ({"hw.physicalcpu": 6}, 6),  # of Intel
        ({}, None),
    ],
)
def test_macos_tells_its_performance_cores(known, expected):
    assert of_macos(known.get) == expected


@pytest.mark.parametrize(("code", "value", "expected"), [(0, 4, 4), (-1, 4, None), (0, 0, None)])
def test_macos_is_asked_in_c(monkeypatch, code, value, expected):
    def sysctlbyname(name, target, size, new, new_size):
        assert (name, new, new_size.value) == (b"hw.physicalcpu", None, 0)
        assert size._obj.value == 4
        target._obj.value = value
        return code

    library = type("C", (), {"sysctlbyname": staticmethod(sysctlbyname)})
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: library)
    assert cpu_topology._sysctl("hw.physicalcpu") == expected


def test_a_system_without_sysctl_has_no_answer(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: object())
    assert cpu_topology._sysctl("hw.physicalcpu") is None


# --- Windows -----------------------------------------------------------------------------------


def record(mask: int, efficiency: int, *, group: int = 0, relationship: int = 0) -> bytes:
    """One of GetLogicalProcessorInformationEx, of a core in one group."""
    flags = 1 if mask.bit_count() > 1 else 0
    head = struct.pack("<IIBB20xH", relationship, 48, flags, efficiency, 1)
    return head + struct.pack("<QH6x", mask, group)


P_CORES = [record(0b11 << 2 * core, efficiency=1) for core in range(6)]
E_CORES = [record(1 << cpu, efficiency=0) for cpu in range(12, 16)]


@pytest.mark.parametrize(
    ("records", "allowed", "expected"),
    [
        ([*P_CORES, *E_CORES], 0xFFFF, 6),
        ([*E_CORES, *P_CORES], 0, 6),  # no mask is known
        ([*P_CORES, *E_CORES], 0b1111, 2),
        ([*P_CORES, *E_CORES], 0xF000, 4),  # only slow ones are allowed
        (E_CORES, 0xFFFF, 4),
        ([record(0b11, 0), record(0b1100, 0)], 0b1111, 2),
        ([record(0b11, 0), record(0b1100, 0), record(0b11, 0, group=1)], 0b11, 3),
        ([record(0b11, 0), record(0b11, 9, relationship=3)], 0b11, 1),  # a package is no core
        ([], 0, None),
        ([b"\0" * 40], 0, 1),  # a record of no size ends the list
        ([P_CORES[0][:20]], 0, None),
    ],
)
def test_windows_tells_its_efficiency_classes(records, allowed, expected):
    assert of_windows(b"".join(records), allowed) == expected


# --- what follows ------------------------------------------------------------------------------


def test_this_machine_answers_within_what_it_has():
    found = fast_processor_cores()
    if sys.platform != "linux":
        assert found is not None
    assert found is None or 1 <= found <= os.cpu_count()


@pytest.mark.parametrize(
    ("available", "fast", "expected"), [(8, 4, 4), (8, None, 8), (2, 4, 2), (16, 8, 8)]
)
def test_passes_get_the_fast_cores_and_other_work_gets_all(monkeypatch, available, fast, expected):
    monkeypatch.setattr(threads, "available_cores", lambda: available)
    monkeypatch.setattr(threads, "_fast_processor_cores", lambda: fast)
    assert threads.get_threads() == expected
    assert threads.get_all_threads() == available
    set_threads(3)
    assert threads.get_threads() == threads.get_all_threads() == 3
