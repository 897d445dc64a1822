"""The compiled trees under the address, undefined-behaviour and thread sanitizers."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(1200)  # seconds; most of them go into compiling

KERNELS = Path(__file__).parents[2] / "kernels"


def build(folder: Path, sanitizers: str) -> None:
    """Compile the library's sources and the driver into `program`."""
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


@pytest.mark.parametrize("sanitizers", ["address,undefined", "thread"])
def test_sanitizers_find_nothing(sanitizers, compiled_once):
    folder = compiled_once(
        f"trees-{sanitizers.replace(',', '-')}",
        [
            *(KERNELS / place for place in ("include", "cpu", "trees", "testing/trees")),
            Path(__file__),
        ],
        partial(build, sanitizers=sanitizers),
    )
    result = subprocess.run([folder / "program"], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    forests, used = (int(number) for number in re.findall(r"\d+(?= )", result.stdout)[:2])
    assert forests == 56
    assert used > 100  # or no damaged forest was walked through
