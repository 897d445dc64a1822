"""What the CUDA core hands the matrix units, against a model of their instructions on the CPU."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import KERNELS

SHIM = KERNELS / "testing" / "cuda_host_shim"
PROGRAM = KERNELS / "testing" / "matrix_units" / "check_matrix_units.cpp"


def build(folder: Path) -> Path:
    compiler = os.environ.get("CXX") or shutil.which("c++")
    if compiler is None or sys.platform != "linux":
        pytest.skip("needs Linux and a C++ compiler")
    program = folder / "check_matrix_units"
    includes = [f"-I{SHIM}", *(f"-I{KERNELS / name}" for name in ("include", "common", "cuda"))]
    sources = [str(PROGRAM), str(SHIM / "cuda_host_shim.cpp")]
    flags = ["-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas"]
    subprocess.run(
        [*compiler.split(), *flags, "-DNAPARI_MSD_CUDA_SHIM", *includes, *sources, "-o", program],
        check=True,
    )
    return program


def test_every_sum_is_that_of_its_row_and_column(compiled_once: Callable[..., Path]) -> None:
    sources = [PROGRAM, SHIM, KERNELS / "cuda" / "matrix_units.cuh", Path(__file__)]
    folder = compiled_once("matrix-units", sources, build)
    result = subprocess.run([folder / "check_matrix_units"], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout
