"""The CPU core with an error in its sources, compiled for a test."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from napari_msd.native.core import Core
from napari_msd.native.libraries import open_library

KERNELS = Path(__file__).parents[2] / "kernels"
VARIANTS = {
    "variant_avx2": ["-mavx2", "-mfma"],
    "variant_avx512": [*(f"-mavx512{x}" for x in ("f", "dq", "bw", "vl")), "-mavx2", "-mfma"],
}


def compile_to(target: Path, source: Path) -> None:
    """Compile one source of the CPU core quickly."""
    compiler = (os.environ.get("CXX") or shutil.which("c++") or "").split()
    subprocess.run(
        [
            *compiler, "-std=c++17", "-O0", "-fPIC", "-fvisibility=hidden",
            '-DNAPARI_MSD_VERSION="0"', "-Wno-maybe-uninitialized", "-Wno-uninitialized",
            *(f"-I{KERNELS / name}" for name in ("include", "common")),
            *VARIANTS.get(source.stem, []), "-c", str(source), "-o", str(target),
        ],
        check=True,
    )  # fmt: skip


def compile_core(folder: Path) -> None:
    if sys.platform != "linux" or not (os.environ.get("CXX") or shutil.which("c++")):
        pytest.skip("needs Linux and a C++ compiler")
    x86 = platform.machine().lower() in ("x86_64", "amd64")
    for source in sorted((KERNELS / "cpu").glob("*.cpp")):
        if x86 or source.stem not in VARIANTS:
            compile_to(folder / f"{source.stem}.o", source)


@pytest.fixture
def core_with(compiled_once, tmp_path, monkeypatch):
    """Build the CPU core after one replacement in one of its sources; two files are compiled."""
    sources = [KERNELS / name for name in ("include", "common", "cpu")]
    objects = compiled_once("cpu-core-objects", [*sources, Path(__file__)], compile_core)
    monkeypatch.setenv("NAPARI_MSD_CPU_VARIANT", "baseline")

    def build(name: str, right: str, wrong: str) -> Core:
        copy = shutil.copytree(KERNELS / "cpu", tmp_path / "cpu")
        text = (copy / name).read_text()
        assert text.count(right) == 1, f"{name} has changed: choose another error for this test"
        (copy / name).write_text(text.replace(right, wrong))
        compiled = name if name.endswith(".cpp") else "variant_baseline.cpp"
        changed = tmp_path / f"{Path(compiled).stem}.o"
        compile_to(changed, copy / compiled)
        others = [path for path in objects.glob("*.o") if path.name != changed.name]
        library = tmp_path / "libnapari_msd_cpu_wrong.so"
        compiler = (os.environ.get("CXX") or "c++").split()
        parts = map(str, [changed, *others])
        subprocess.run([*compiler, "-shared", *parts, "-o", str(library), "-pthread"], check=True)
        return Core(open_library(library))

    return build
