"""The check of a core on the real ones: they pass it, and sources with an error do not."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from napari_msd.native.core import Core
from napari_msd.native.libraries import open_library
from napari_msd.network.self_check import first_error

from .conftest import KERNELS
from .oracle import Case, on

VARIANTS = {
    "variant_avx2": ["-mavx2", "-mfma"],
    "variant_avx512": [*(f"-mavx512{x}" for x in ("f", "dq", "bw", "vl")), "-mavx2", "-mfma"],
}


@on("cpu", "cuda-shim", "gpu")
def test_a_core_as_it_is_passes(case: Case):
    assert first_error(case.backend, torch.device(case.device)) is None


@on("cuda-shim", "gpu")
def test_maps_in_16_bits_pass(case: Case):
    assert first_error(case.backend, torch.device(case.device), torch.float16) is None


# --- errors in the sources ---------------------------------------------------------------------


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


@pytest.mark.slow
def test_sources_without_an_error_pass(core_with, use_core):
    use_core(core_with("boundary.cpp", "x + dilation, width", "dilation + x, width"))
    assert first_error("cpu", torch.device("cpu")) is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("boundary.cpp", "x + dilation, width", "x - dilation, width"),
        ("boundary.cpp", "boundary == MSD_SYMMETRIC", "boundary == MSD_REFLECT"),
        ("boundary.cpp", "static_cast<int64_t>(dilation_z)", "static_cast<int64_t>(dilation)"),
        ("scatter_taps.inl", "MSD_REFLECT ? 1 : 0", "MSD_REFLECT ? 0 : 1"),
        ("scatter_taps.inl", "load(padded + x - s)", "load(padded + x + s)"),
    ],
    ids=lambda text: text.replace(" ", "_"),
)
def test_one_wrong_sign_in_the_sources_is_found(core_with, use_core, name, right, wrong):
    use_core(core_with(name, right, wrong))
    assert "is off by" in first_error("cpu", torch.device("cpu"))
