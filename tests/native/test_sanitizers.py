"""The CPU core under sanitizers (address, undefined behaviour, threads): passes, threads, loops."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(1200)  # seconds; most of them go into compiling

KERNELS = Path(__file__).parents[2] / "kernels"
FLAGS = {
    "variant_avx2": ["-mavx2", "-mfma"],
    "variant_avx512": [*(f"-mavx512{x}" for x in ("f", "dq", "bw", "vl")), "-mavx2", "-mfma"],
}


DRIVERS = {"run_passes": "sanitizers", "check_threads": "threads", "check_loops": "loops"}


def build(folder: Path, sanitizers: str) -> None:
    """Compile the core's sources and the drivers into one program each."""
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
    core = [str(folder / f"{source.stem}.o") for source in sources]
    sources += [KERNELS / "testing" / place / f"{name}.cpp" for name, place in DRIVERS.items()]
    running = []
    for source in sources:
        flags = [*FLAGS.get(source.stem, []), "-c", str(source)]
        running.append(subprocess.Popen([*common, *flags, "-o", str(folder / f"{source.stem}.o")]))
        if len(running) % (os.cpu_count() or 1) == 0:
            running[-1].wait()
    assert all(process.wait() == 0 for process in running)
    for name in DRIVERS:
        objects = [*core, str(folder / f"{name}.o")]
        subprocess.run([*common, *objects, "-o", str(folder / name), "-pthread"], check=True)


@pytest.fixture(scope="module", params=["address,undefined", "thread"])
def programs(request, compiled_once) -> Path:
    """The folder that holds the programs, compiled with some sanitizers."""
    places = ("include", "common", "cpu", *(f"testing/{name}" for name in DRIVERS.values()))
    return compiled_once(
        f"core-{request.param.replace(',', '-')}",
        [*(KERNELS / place for place in places), Path(__file__)],
        partial(build, sanitizers=request.param),
    )


def test_sanitizers_find_nothing_in_passes(programs):
    result = subprocess.run([programs / "run_passes"], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.endswith("289 problems\n")


@pytest.mark.parametrize(
    "check",
    [
        "a long wait sleeps",
        "no wake-up is lost",
        "threads cannot be started",
        "threads come late",
        "no more threads than cores",
        "every chunk once",
        "what is read is there",
    ],
)
def test_threads_wait_for_each_other_and_for_nobody_else(programs, check):
    result = subprocess.run(
        [programs / "check_threads", check],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("variant", ["baseline", "avx2", "avx512"])
def test_each_inner_loop_agrees_with_a_plain_one(programs, variant):
    if "thread" in programs.name:
        pytest.skip("inner loops know no threads")
    environment = {**os.environ, "NAPARI_MSD_CPU_VARIANT": variant}
    result = subprocess.run(
        [programs / "check_loops"], capture_output=True, text=True, check=False, env=environment
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "the inner loops agree" in result.stdout
