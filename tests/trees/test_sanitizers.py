"""The compiled trees under the address, undefined-behaviour and thread sanitizers."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

KERNELS = Path(__file__).parents[2] / "kernels"


def build(folder: Path, sanitizers: str) -> Path:
    """Compile the library's sources and the driver into one program."""
    compiler = (os.environ.get("CXX") or shutil.which("c++") or "").split()
    if not compiler or sys.platform != "linux":
        pytest.skip("needs Linux and a C++ compiler")
    common = [
        *compiler, "-std=c++17", "-O1", "-g1", "-pthread",
        f"-fsanitize={sanitizers}", "-fno-sanitize-recover=all",
        *(f"-I{KERNELS / name}" for name in ("include", "cpu", "trees")),
    ]  # fmt: skip
    probe, program = folder / "probe.cpp", folder / "program"
    probe.write_text("int main() { return 0; }\n")
    for command in ([*common, str(probe), "-o", str(program)], [str(program)]):
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip(f"{compiler[0]} has no {sanitizers} sanitizers that run here")
    sources = [
        *sorted((KERNELS / "trees").glob("*.cpp")),
        *(KERNELS / "cpu" / name for name in ("progress.cpp", "thread_pool.cpp")),
        KERNELS / "testing" / "trees" / "run_trees.cpp",
    ]
    subprocess.run([*common, *map(str, sources), "-o", str(program)], check=True)
    return program


@pytest.mark.parametrize("sanitizers", ["address,undefined", "thread"])
def test_sanitizers_find_nothing(sanitizers, tmp_path):
    program = build(tmp_path, sanitizers)
    result = subprocess.run([program], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    forests, used = (int(number) for number in re.findall(r"\d+", result.stdout))
    assert forests == 56
    assert used > 100  # or no damaged forest was walked through
