"""Which device "auto" comes to, on machines of every kind, and what is said of it."""

from types import SimpleNamespace

import pytest
import torch

from napari_msd.core.errors import SettingsError
from napari_msd.native import backend, device
from napari_msd.training import cores_to_ourselves, describe_device


def machine(
    monkeypatch,
    *,
    gpu=False,
    mps=False,
    cuda_core=False,
    cpu_core=False,
    built_for=("sm_80", "sm_90"),
):
    usable = {"cuda": cuda_core, "cpu": cpu_core}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (8, 6))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _device: "Some GPU")
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: list(built_for))
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    for module in (device, backend):
        monkeypatch.setattr(
            module,
            "library_status",
            lambda kind, _device=0: SimpleNamespace(
                usable=usable[kind], reason="Its driver is too old.", variant="AVX2"
            ),
        )


@pytest.mark.parametrize(
    ("has", "expected"),
    [
        ({"gpu": True, "cuda_core": True, "cpu_core": True}, "cuda"),
        ({"gpu": True, "cpu_core": True}, "cuda"),
        ({"cuda_core": True, "cpu_core": True}, "cpu"),
        ({"gpu": True}, "cuda"),
        ({"mps": True, "cpu_core": True}, "cpu"),
        ({"mps": True}, "mps"),
        ({}, "cpu"),
    ],
)
def test_auto_takes_a_gpu_before_the_cpu_and_a_core_before_torch(monkeypatch, has, expected):
    machine(monkeypatch, **has)
    assert device.choose_device("auto")[0].type == expected


def test_a_gpu_without_our_core_is_used_by_torch_and_explained(monkeypatch):
    machine(monkeypatch, gpu=True, cpu_core=True)
    used = describe_device("auto")
    assert (used.text, used.backend) == ("Some GPU, PyTorch", "torch")
    assert used.reason == "PyTorch on the GPU: its driver is too old."


@pytest.mark.parametrize(
    ("built_for", "expected"),
    [
        (["sm_86"], "cuda"),
        (["sm_75", "sm_90"], "cpu"),  # neither is for cards of generation 8
        (["sm_89"], "cpu"),  # newer than the card
        (["sm_75", "compute_75"], "cuda"),  # compiled for the card when it is needed
        (["sm_90a", "sm_120"], "cpu"),
        ([], "cuda"),
    ],
)
def test_a_gpu_that_this_torch_was_not_built_for_is_left_alone(monkeypatch, built_for, expected):
    machine(monkeypatch, gpu=True, cpu_core=True, built_for=built_for)
    assert device.choose_device("auto")[0].type == expected
    told = "The GPU is not used: this PyTorch has no code for it." in describe_device("auto").reason
    assert told == (expected == "cpu")


@pytest.mark.parametrize(("choice", "sentence"), [("cuda", "no CUDA GPU"), ("mps", "no Apple GPU")])
def test_a_missing_device_is_said(monkeypatch, choice, sentence):
    machine(monkeypatch)
    with pytest.raises(SettingsError, match=sentence):
        device.choose_device(choice)


def test_torch_gets_its_threads_back():
    before = torch.get_num_threads()
    torch.set_num_threads(2)  # tests have 1
    try:
        with cores_to_ourselves("torch"):
            assert torch.get_num_threads() == 2
        with cores_to_ourselves("auto"):
            pass
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
