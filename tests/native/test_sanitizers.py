"""The CPU core under the address, undefined-behaviour and thread sanitizers, on small problems."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

KERNELS = Path(__file__).parents[2] / "kernels"
FLAGS = {
    "variant_avx2": ["-mavx2", "-mfma"],
    "variant_avx512": [*(f"-mavx512{x}" for x in ("f", "dq", "bw", "vl")), "-mavx2", "-mfma"],
}


def build(folder: Path, sanitizers: str) -> Path:
    """Compile the core's sources and a driver into one program."""
    compiler = (os.environ.get("CXX") or shutil.which("c++") or "").split()
    if not compiler or sys.platform != "linux":
        pytest.skip("needs Linux and a C++ compiler")
    common = [
        *compiler, "-std=c++17", "-O0", "-g1",
        f"-fsanitize={sanitizers}", "-fno-sanitize-recover=all",
        *(f"-I{KERNELS / name}" for name in ("include", "common", "cpu")),
        '-DNAPARI_MSD_VERSION="0"', "-Wno-maybe-uninitialized", "-Wno-uninitialized",
    ]  # fmt: skip
    probe = folder / "probe.cpp"
    probe.write_text("int main() { return 0; }\n")
    program = folder / "probe"
    for command in ([*common, str(probe), "-o", str(program)], [str(program)]):
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip(f"{compiler[0]} has no {sanitizers} sanitizers that run here")
    x86 = platform.machine().lower() in ("x86_64", "amd64")
    sources = [
        path for path in sorted((KERNELS / "cpu").glob("*.cpp")) if x86 or path.stem not in FLAGS
    ]
    sources.append(KERNELS / "testing" / "sanitizers" / "run_passes.cpp")
    running, objects = [], []
    for source in sources:
        objects.append(str(folder / f"{source.stem}.o"))
        command = [*common, *FLAGS.get(source.stem, []), "-c", str(source), "-o", objects[-1]]
        running.append(subprocess.Popen(command))
        if len(running) % (os.cpu_count() or 1) == 0:
            running[-1].wait()
    assert all(process.wait() == 0 for process in running)
    program = folder / "run_passes"
    subprocess.run([*common, *objects, "-o", str(program), "-pthread"], check=True)
    return program


@pytest.mark.parametrize("sanitizers", ["address,undefined", "thread"])
def test_sanitizers_find_nothing(tmp_path, sanitizers):
    program = build(tmp_path, sanitizers)
    result = subprocess.run([program], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.endswith("288 problems\n")
