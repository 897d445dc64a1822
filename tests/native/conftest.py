"""The backends of the tests: the compiled cores, the CUDA sources run on the CPU, blocked torch.

A test that takes `case` runs on all of them; `@on("cpu", "cuda-shim")` names some. Helpers without
fixtures are in `oracle.py`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from napari_msd import MSDNet
from napari_msd.native import libraries, operator, set_threads
from napari_msd.native.core import Core

from . import oracle
from .oracle import BACKENDS, Case
from .wrong_core import core_with  # noqa: F401 -- a fixture

KERNELS = Path(__file__).parents[2] / "kernels"


def build_shim(folder: Path) -> Path:
    """Compile kernels/cuda/*.cu with the host's C++ compiler; see cuda_host_shim.h."""
    compiler = os.environ.get("CXX") or shutil.which("c++")
    if compiler is None or sys.platform != "linux":
        pytest.skip("needs Linux and a C++ compiler")
    shim = KERNELS / "testing" / "cuda_host_shim"
    sources = [*sorted((KERNELS / "cuda").glob("*.cu")), shim / "cuda_host_shim.cpp"]
    unity = folder / "shim.cpp"
    unity.write_text("".join(f'#include "{source}"\n' for source in sources))
    library = folder / "libnapari_msd_shim.so"
    defines = {"VERSION": '"0"', "KIND": '"cuda-shim"', "TARGETS": '"host"'}
    subprocess.run(
        [
            *compiler.split(), "-std=c++17", "-O1", "-shared", "-fPIC", "-fvisibility=hidden",
            "-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas", "-DNAPARI_MSD_CUDA_SHIM",
            *(f"-DNAPARI_MSD_{name}={value}" for name, value in defines.items()),
            f"-I{shim}", *(f"-I{KERNELS / name}" for name in ("include", "common", "cuda")),
            str(unity), "-o", str(library),
        ],
        check=True,
    )  # fmt: skip
    return library


@pytest.fixture(scope="session")
def cpu_core() -> Core:
    library = libraries.load_library("cpu")
    if library is None:
        pytest.skip(libraries.library_status("cpu").reason)
    return Core(library)


@pytest.fixture(scope="session")
def shim_core(compiled_once: Callable[..., Path]) -> Core:
    sources = [KERNELS / name for name in ("include", "common", "cuda", "testing/cuda_host_shim")]
    folder = compiled_once("cuda-shim", [*sources, Path(__file__)], build_shim)
    return Core(libraries.open_library(folder / "libnapari_msd_shim.so"))


@pytest.fixture(scope="session")
def gpu_core() -> Core:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA GPU")
    library = libraries.load_library("cuda")
    if library is None:
        pytest.skip(libraries.library_status("cuda").reason)
    return Core(library)


@pytest.fixture
def use_core(monkeypatch: pytest.MonkeyPatch) -> Callable[[Core], None]:
    """Until the test ends, the torch operator calls the core that it is given."""
    return lambda core: monkeypatch.setattr(operator, "compiled_core", lambda *_: core)


@pytest.fixture
def cpu_case(cpu_core: Core, use_core: Callable[[Core], None]) -> Case:
    use_core(cpu_core)
    return Case("cpu", cpu_core)


@pytest.fixture
def shim_case(shim_core: Core, use_core: Callable[[Core], None]) -> Case:
    use_core(shim_core)
    return Case("cuda", shim_core)


@pytest.fixture
def poisoned(shim_core, monkeypatch) -> Callable[[int], None]:
    """Maps and workspace hold NaN before each pass: what is read must have been written.

    Call it for another byte: of 0x7F, numbers are huge, and flags have come as far as they can.
    """
    allocate, bytes_to_fill = shim_core._allocate, [0xFF]

    def poison(like, n_bytes, problem):
        memory = allocate(like, n_bytes, problem)
        memory.view(torch.uint8).fill_(bytes_to_fill[0])
        return memory

    monkeypatch.setattr(shim_core, "_allocate", poison)
    monkeypatch.setattr(
        shim_core,
        "_workspace",
        lambda _like, *rest: poison(torch.empty(0, dtype=torch.uint8), *rest),
    )
    return lambda byte: bytes_to_fill.__setitem__(0, byte)


@pytest.fixture
def gpu_case(
    gpu_core: Core, use_core: Callable[[Core], None], monkeypatch: pytest.MonkeyPatch
) -> Case:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)  # the reference's convolutions
    use_core(gpu_core)
    return Case("cuda", gpu_core, "cuda")


@pytest.fixture
def blocked_case() -> Case:
    return Case("torch")


@pytest.fixture(params=BACKENDS.values())
def case(request: pytest.FixtureRequest) -> Case:
    return request.getfixturevalue(request.param)


@pytest.fixture(params=oracle.HALVES, ids=["bfloat16", "float16"])
def half(request: pytest.FixtureRequest, case: Case) -> torch.dtype:
    """A 16-bit type in which the case's core stores maps."""
    old = case.device == "cuda" and torch.cuda.get_device_capability() < (8, 0)
    if old and request.param == torch.bfloat16:
        pytest.skip("the matrix units of this card multiply no bfloat16")
    return request.param


@pytest.fixture(autouse=True)
def default_threads() -> Iterator[None]:
    yield
    set_threads(None)


@pytest.fixture
def make_net() -> Callable[..., MSDNet]:
    return oracle.random_net


@pytest.fixture
def make_tame_net() -> Callable[..., MSDNet]:
    return oracle.tame_net


@pytest.fixture
def make_exact_net() -> Callable[..., MSDNet]:
    return oracle.exact_net


@pytest.fixture
def assert_agrees() -> Callable[..., None]:
    return oracle.assert_agrees


@pytest.fixture
def assert_agrees_in_16_bits() -> Callable[..., None]:
    return oracle.assert_agrees_in_16_bits


@pytest.fixture
def assert_exact() -> Callable[..., None]:
    return oracle.assert_exact
