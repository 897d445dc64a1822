"""The compiler that nvcc is tried with is the one that the CUDA core is built with."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = {name: shutil.which(name) for name in ("cmake", "nvcc", "g++", "gcc")}


@pytest.mark.skipif(sys.platform != "linux", reason="the CUDA core is built on Linux only")
@pytest.mark.skipif(not all(TOOLS.values()), reason=f"needs {', '.join(TOOLS)} on the PATH")
def test_a_named_compiler_is_nvccs_too_where_the_systems_own_is_too_new(tmp_path):
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("g++", "gcc"):
        too_new = folder / name
        too_new.write_text(f'#!/bin/sh\nexec {TOOLS[name]} -U__GNUC__ -D__GNUC__=99 "$@"\n')
        too_new.chmod(0o755)
    result = subprocess.run(
        [str(TOOLS["cmake"]), "-S", ROOT, "-B", tmp_path / "build", "-DNAPARI_MSD_CUDA_TARGETS=90"],
        env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "CXX": str(TOOLS["g++"])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert "CUDA core: ON" in result.stdout
