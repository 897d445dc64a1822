"""Shared by all tests: markers, and programs that are compiled once. Keep it small.

Imports only pytest: the GPU's tests run on machines that have little more.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

HERE = Path(__file__).parent

# Networks in tests are too small for more than one thread of torch or BLAS, and threads that wait
# for each other spin: on two busy cores the reference takes ten times as long with two. The
# compiled cores have threads of their own.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Files and folders whose tests all carry a marker; single tests carry it where they are.
MARKED = {
    "slow": [
        "benchmarks/test_contestants.py",
        "faults/test_faults.py",
        "gui",  # each test opens a napari window: about a second
        "native/test_sanitizers.py",
        "trees/test_sanitizers.py",
        "training/test_mixing.py",
        "training/test_trainer.py",
    ],
    "process": [
        "cli/test_demo.py",
        "faults/test_faults.py",
        "gui/test_channel_loop.py",
        "gui/test_loop.py",
        "trainer/test_client.py",
        "trainer/test_contract.py",
        "trainer/test_process.py",
    ],
}


def pytest_configure(config: pytest.Config) -> None:
    with contextlib.suppress(ImportError):  # the GPU's machines have no hypothesis
        from hypothesis import settings

        settings.register_profile("untimed", deadline=None)  # no test asserts on time
        settings.load_profile("untimed")
    for line in (
        "slow: takes more than some seconds; `make quick` leaves it out",
        "process: starts a trainer process; `make quick` leaves it out",
        "gpu: needs a CUDA GPU",
    ):
        config.addinivalue_line("markers", line)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        place = item.path.relative_to(HERE)
        for marker, places in MARKED.items():
            if any(place.is_relative_to(marked) for marked in places):
                item.add_marker(marker)


@pytest.fixture(autouse=True)
def sessions_folder(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Sessions of a test are saved in a folder of its own, never in the person's."""
    folder = tmp_path_factory.mktemp("sessions", numbered=True)
    monkeypatch.setenv("NAPARI_MSD_SESSIONS", str(folder))
    return folder


def pytest_runtest_setup() -> None:
    """One thread again, after a test whose code set another number."""
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)


def pytest_collection_finish() -> None:
    """Spare the garbage collector what was imported: napari's fixture collects after each test."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def own_log_folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Nothing is written to the person's own log."""
    os.environ["NAPARI_MSD_LOGS"] = str(tmp_path_factory.mktemp("logs"))


@pytest.fixture(scope="session")
def compiled_once(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, Iterable[Path], Callable[[Path], object]], Path]:
    """Call `build(folder)` unless an earlier run did so with the same sources and compiler.

    ``compiled_once(name, sources, build)`` returns the folder. It lies in pytest's cache, where
    there is one: `pytest --cache-clear` compiles anew. `sources` are files and folders, among
    them the file that knows the compiler's options.
    """
    cache = getattr(request.config, "cache", None)
    root = cache.mkdir("compiled") if cache else tmp_path_factory.mktemp("compiled")

    def folder_of(name: str, sources: Iterable[Path], build: Callable[[Path], object]) -> Path:
        folder = root / f"{name}-{_digest(sources)}"
        if not folder.exists():
            unfinished = Path(tempfile.mkdtemp(dir=root))
            try:
                build(unfinished)
                for stale in root.glob(f"{name}-*"):
                    shutil.rmtree(stale, ignore_errors=True)
                unfinished.rename(folder)
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)
        return folder

    return folder_of


def _digest(sources: Iterable[Path]) -> str:
    """A name for these sources and this compiler."""
    compiler = os.environ.get("CXX") or shutil.which("c++") or ""
    version = [*compiler.split(), "--version"]
    digest = hashlib.sha256(compiler.encode())
    if compiler:
        digest.update(subprocess.run(version, capture_output=True, check=False).stdout)
    for source in sources:
        for path in sorted(source.rglob("*")) if source.is_dir() else [source]:
            if path.is_file():
                digest.update(f"{path.name} {path.stat().st_size} ".encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
