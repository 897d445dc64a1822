"""Which device "auto" comes to, on machines of every kind, and what is said of it."""

from types import SimpleNamespace

import pytest
import torch

from napari_msd.errors import SettingsError
from napari_msd.training import cores_to_ourselves, describe_device, device


def machine(monkeypatch, *, gpu=False, mps=False, cuda_core=False, cpu_core=False):
    usable = {"cuda": cuda_core, "cpu": cpu_core}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    monkeypatch.setattr(
        device,
        "library_status",
        lambda kind: SimpleNamespace(usable=usable[kind], reason="Its driver is too old."),
    )


@pytest.mark.parametrize(
    ("has", "expected"),
    [
        ({"gpu": True, "cuda_core": True, "cpu_core": True}, "cuda"),
        ({"gpu": True, "cpu_core": True}, "cpu"),
        ({"cuda_core": True, "cpu_core": True}, "cpu"),
        ({"gpu": True}, "cuda"),
        ({"mps": True, "cpu_core": True}, "cpu"),
        ({"mps": True}, "mps"),
        ({}, "cpu"),
    ],
)
def test_auto_takes_a_compiled_core_before_torch(monkeypatch, has, expected):
    machine(monkeypatch, **has)
    assert device.choose_device("auto")[0].type == expected


def test_a_gpu_that_is_not_used_is_explained(monkeypatch):
    machine(monkeypatch, gpu=True, cpu_core=True)
    assert "The GPU is not used: Its driver is too old." in describe_device("auto").reason


@pytest.mark.parametrize(("choice", "sentence"), [("cuda", "no CUDA GPU"), ("mps", "no Apple GPU")])
def test_a_missing_device_is_said(monkeypatch, choice, sentence):
    machine(monkeypatch)
    with pytest.raises(SettingsError, match=sentence):
        device.choose_device(choice)


def test_torch_gets_its_threads_back():
    before = torch.get_num_threads()
    with cores_to_ourselves("torch"):
        assert torch.get_num_threads() == before
    with cores_to_ourselves("auto"):
        pass
    assert torch.get_num_threads() == before
