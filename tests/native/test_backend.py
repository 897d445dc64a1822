"""Who computes, and the sentence that says why."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from napari_msd import MSDNet
from napari_msd.core.errors import SettingsError
from napari_msd.native import backend, libraries, set_threads
from napari_msd.native.backend import choose_backend, map_dtype
from napari_msd.native.libraries import LibraryStatus

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)


@pytest.fixture
def statuses(monkeypatch):
    known = {
        "cpu": LibraryStatus("cpu", Path("c"), True, "ready", "AVX-512"),
        "cuda": LibraryStatus("cuda", None, False, "The compiled CUDA core was not built."),
    }
    monkeypatch.setattr(backend, "library_status", lambda kind, _device=0: known[kind])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    return known


def test_the_compiled_cpu_core_is_first_choice_without_a_gpu(statuses):
    set_threads(2)
    choice = choose_backend("auto", CPU, torch.float32)
    assert choice.name == "cpu"
    assert choice.reason == "Compiled CPU core (AVX-512, 2 threads): no CUDA GPU was found."


def test_a_network_left_on_the_cpu_beside_a_gpu(statuses, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_backend("auto", CPU, torch.float32).reason.endswith("the network is on the CPU.")


def test_on_a_gpu_with_its_core(statuses):
    statuses["cuda"] = LibraryStatus("cuda", Path("c"), True, "ready", "90")
    choice = choose_backend("auto", GPU, torch.float32)
    assert (choice.name, choice.reason) == ("cuda", "Compiled CUDA core on GPU.")
    assert choose_backend("auto", GPU, torch.float32, ndim=3).name == "cuda"


@pytest.mark.parametrize(
    ("device", "dtype", "ndim", "reason"),
    [
        (GPU, torch.float32, 2, "PyTorch on the GPU: the compiled CUDA core was not built."),
        (
            CPU, torch.bfloat16, 2,
            "PyTorch on the CPU: the compiled cores compute in float32 and float64, not bfloat16.",
        ),
        (
            torch.device("mps"), torch.float32, 2,
            "PyTorch on the Apple GPU: there is no compiled core for the Apple GPU.",
        ),
    ],
)  # fmt: skip
def test_plain_torch_is_always_there_and_says_why(statuses, device, dtype, ndim, reason):
    choice = choose_backend("auto", device, dtype, ndim)
    assert (choice.name, choice.reason) == ("torch", reason)


def test_asking_for_torch(statuses):
    choice = choose_backend("torch", CPU, torch.float32)
    assert (choice.name, choice.reason) == ("torch", "PyTorch on the CPU: it was asked for.")


@pytest.mark.parametrize(
    ("requested", "device", "sentence"),
    [
        ("cuda", CPU, "The compiled CUDA core cannot compute on the CPU"),
        ("cpu", GPU, "The compiled CPU core cannot compute on the GPU"),
        ("cuda", GPU, "was not built"),
        ("opencl", CPU, "backend must be one of auto, cuda, cpu, torch"),
    ],
)
def test_asking_for_the_impossible(statuses, requested, device, sentence):
    with pytest.raises(SettingsError, match=sentence):
        choose_backend(requested, device, torch.float32)


@pytest.fixture
def fresh_libraries():
    libraries.forget_libraries()
    yield
    libraries.forget_libraries()


def test_without_a_library_the_network_runs_on_torch(monkeypatch, fresh_libraries):
    monkeypatch.setattr(libraries, "find_library", lambda _kind: None)
    net = MSDNet(1, 2, depth=2)
    assert net(torch.zeros(1, 1, 4, 4)).shape == (1, 2, 4, 4)
    assert net.backend_in_use == "torch"
    assert net.backend_reason == (
        "PyTorch on the CPU: the compiled CPU core was not built on this installation."
    )


def test_a_broken_library_is_a_reason_not_an_exception(monkeypatch, tmp_path, fresh_libraries):
    broken = tmp_path / "libnapari_msd_cpu.so"
    broken.write_bytes(b"not a library")
    monkeypatch.setenv(libraries.FOLDER_VARIABLE, str(tmp_path))
    status = libraries.library_status("cpu")
    assert (status.path, status.usable) == (broken, False)
    assert status.reason.startswith("The compiled CPU core cannot be used: it does not load")


def test_a_library_of_another_version_is_refused(cpu_core, monkeypatch):
    monkeypatch.setattr(libraries.abi, "ABI_VERSION", 999)
    with pytest.raises(libraries.LibraryError, match="another version"):
        libraries.open_library(cpu_core.library.path)


def test_status_of_what_is_installed(cpu_core):
    status = libraries.library_status("cpu")
    assert status.usable
    assert status.variant in ("AVX-512", "AVX2", "baseline", "NEON")
    assert "cpu" in status.path.name


SECOND_GPU = torch.device("cuda", 1)


@pytest.fixture
def shim_installed(shim_core, monkeypatch, fresh_libraries):
    """The CUDA sources, compiled for the CPU, where the CUDA core is looked for."""
    path = shim_core.library.path
    monkeypatch.setattr(libraries, "find_library", lambda kind: path if kind == "cuda" else None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    return lambda machine: monkeypatch.setenv("NAPARI_MSD_SHIM_MACHINE", machine)


@pytest.mark.parametrize(
    ("machine", "sentence"),
    [
        ("no driver", "no NVIDIA GPU, or no driver for it, was found"),
        ("no GPU", "no NVIDIA GPU, or no driver for it, was found"),
        ("old driver", "the NVIDIA driver is too old: version 580 or newer is needed"),
        ("old GPU", "it has no code for this GPU; compute capability 7.5 (Turing, 2018) or newer"),
    ],
)
def test_a_machine_that_the_cuda_core_cannot_run_on(shim_installed, machine, sentence):
    shim_installed(machine)
    status = libraries.library_status("cuda")
    assert not status.usable
    assert status.reason.startswith(f"The compiled CUDA core cannot run here: {sentence}")
    assert libraries.load_library("cuda") is None
    choice = choose_backend("auto", GPU, torch.float32)
    assert choice.name == "torch"
    assert sentence in choice.reason


def test_each_gpu_is_asked(shim_installed):
    shim_installed("old second GPU")
    assert choose_backend("auto", GPU, torch.float32).name == "cuda"
    assert choose_backend("auto", SECOND_GPU, torch.float32).name == "torch"
    assert not libraries.library_status("cuda", 2).usable  # there is none of that number
    assert libraries.load_library("cuda", 0).functions.msd_probe(-1) == libraries.abi.NO_DEVICE


def test_threads_are_checked():
    with pytest.raises(SettingsError, match="at least 1"):
        set_threads(0)


@pytest.mark.parametrize(
    ("autocast", "capability", "image_dtype", "expected"),
    [
        (torch.bfloat16, (9, 0), torch.float32, torch.bfloat16),
        (torch.bfloat16, (7, 5), torch.float32, None),  # no such matrix units
        (torch.float16, (7, 5), torch.float32, torch.float16),
        (torch.float16, (9, 0), torch.float64, None),
    ],
)
def test_autocast_stores_maps_in_16_bits(monkeypatch, autocast, capability, image_dtype, expected):
    # Autocast itself wants a GPU, and switches itself off without one.
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda device: device == "cuda")
    monkeypatch.setattr(torch, "get_autocast_dtype", lambda _device: autocast)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: capability)
    image = torch.zeros(1, 1, 2, 2, dtype=image_dtype)
    assert map_dtype("cuda", image) == expected
    assert map_dtype("cpu", image) is None


def test_without_autocast_maps_are_stored_as_the_image_is():
    assert map_dtype("cuda", torch.zeros(1, 1, 2, 2)) is None
