"""How many threads a pass uses, and passes where the system starts none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from napari_msd.native import get_threads, libraries, set_threads, threads
from napari_msd.native.threads import available_cores, quota_of_cores


def write(root: Path, **files: str) -> None:
    """Files below `root`; "__" stands for "/", so that names can be keywords."""
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def unified(root: Path, group: str, **limits: str) -> int | None:
    """The quota of a process in `group` of a version 2 hierarchy; limits: folder -> cpu.max."""
    write(root, proc__self__cgroup=f"0::{group}\n")
    for folder, text in limits.items():
        path = root / "sys/fs/cgroup" / folder.replace("__", "/") / "cpu.max"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return quota_of_cores(root)


@pytest.mark.parametrize(
    ("text", "cores"),
    [
        ("max 100000\n", None),
        ("200000 100000\n", 2),
        ("250000 100000\n", 3),  # rounded up
        ("50000 100000\n", 1),  # never none
        ("1000 100000\n", 1),
        ("nonsense\n", None),
        ("100000 0\n", None),
    ],
)
def test_a_quota_of_control_groups_version_2(tmp_path, text, cores):
    assert unified(tmp_path, "/jobs/mine", jobs__mine=text) == cores


def test_the_tightest_group_around_counts(tmp_path):
    limits = {
        "jobs": "150000 100000",
        "jobs__mine": "max 100000",
        "jobs__mine__inner": "400000 100000",
    }
    assert unified(tmp_path, "/jobs/mine/inner", **limits) == 2


def test_in_a_container_only_the_topmost_group_is_there(tmp_path):
    write(tmp_path, proc__self__cgroup="0::/system.slice/docker-0123.scope\n")
    (tmp_path / "sys/fs/cgroup").mkdir(parents=True)
    (tmp_path / "sys/fs/cgroup/cpu.max").write_text("300000 100000\n")
    assert quota_of_cores(tmp_path) == 3


@pytest.mark.parametrize("controllers", ["cpu", "cpu,cpuacct"])
@pytest.mark.parametrize(("quota", "cores"), [("150000", 2), ("-1", None)])
def test_a_quota_of_control_groups_version_1(tmp_path, controllers, quota, cores):
    write(tmp_path, proc__self__cgroup=f"7:memory:/docker/1\n4:{controllers}:/docker/1\n0::/\n")
    folder = tmp_path / "sys/fs/cgroup" / controllers / "docker/1"
    folder.mkdir(parents=True)
    (folder / "cpu.cfs_quota_us").write_text(f"{quota}\n")
    (folder / "cpu.cfs_period_us").write_text("100000\n")
    assert quota_of_cores(tmp_path) == cores


def test_without_control_groups_nothing_limits(tmp_path):
    assert quota_of_cores(tmp_path) is None


def test_threads_follow_the_quota(monkeypatch):
    monkeypatch.setattr(threads, "_own_quota", lambda: 1)
    assert available_cores() == get_threads() == 1
    monkeypatch.setattr(threads, "_own_quota", lambda: 10**6)
    assert available_cores() <= os.cpu_count()
    set_threads(5)
    assert get_threads() == 5


SCRIPT = """
import os, sys, threading
import torch
from napari_msd import MSDNet
from napari_msd.native import set_threads
torch.set_num_threads(1)
torch.manual_seed(0)
net, image = MSDNet(1, 2, depth=9), torch.randn(3, 1, 64, 96)
net.output_weight.data.normal_()
def step():
    net.zero_grad()
    net(image).square().sum().backward()
    return net.weight.grad.clone()
"""


def run(script: str) -> subprocess.CompletedProcess[str]:
    if sys.platform == "win32" or libraries.load_library("cpu") is None:
        pytest.skip("needs the compiled CPU core and a system with processes of Unix")
    return subprocess.run(
        [sys.executable, "-c", SCRIPT + script], capture_output=True, text=True, check=False
    )


def test_where_no_thread_can_be_started_the_pass_still_runs():
    result = run(
        """
import resource
set_threads(1)
step()  # loads what another user may not be allowed to read, and starts no thread of the core
set_threads(2)
if os.getuid() == 0:
    os.setuid(65534)  # root may start as many as it likes
resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
try:
    threading.Thread(target=int).start()
    sys.exit(77)
except RuntimeError:
    pass
assert step().isfinite().all() and net.backend_in_use == "cpu"
"""
    )
    if result.returncode == 77:
        pytest.skip("this system does not limit the number of threads")
    assert result.returncode == 0, result.stderr


def test_a_process_forked_after_a_pass_has_its_own_threads():
    result = run(
        """
set_threads(2)
before = step()
child = os.fork()
if child == 0:
    with torch.no_grad():
        os._exit(0 if net(image).isfinite().all() else 1)
assert os.waitpid(child, 0)[1] == 0
assert torch.equal(step(), before)
"""
    )
    assert result.returncode == 0, result.stderr
