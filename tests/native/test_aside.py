"""What happens when a core is set aside: torch computes, and a person is told once."""

from __future__ import annotations

import logging

import pytest
import torch

from napari_msd import MSDNet
from napari_msd.core.errors import SettingsError
from napari_msd.native import aside, libraries, set_aside, take_sentences
from napari_msd.native.backend import choose_backend

WRONG = "the gradient of the weights is off by 0.5"


@pytest.fixture(autouse=True)
def nothing_set_aside():
    aside.use_again()
    yield
    aside.use_again()


def test_a_core_set_aside_gives_way_to_torch(cpu_core):
    net, image = MSDNet(1, 2, depth=3), torch.randn(1, 1, 9, 11)
    before = net(image)
    set_aside("cpu", 0, WRONG)
    torch.testing.assert_close(net(image), before)
    assert net.backend_in_use == "torch"
    assert net.backend_reason == (
        "PyTorch on the CPU: the compiled CPU core is set aside until the program is started "
        f"anew: {WRONG}."
    )
    assert libraries.load_library("cpu") is None
    status = libraries.library_status("cpu")
    assert (status.usable, status.path) == (False, cpu_core.library.path)
    with pytest.raises(SettingsError, match="set aside"):
        choose_backend("cpu", torch.device("cpu"), torch.float32)


def test_a_person_is_told_once_and_the_log_each_time(caplog):
    with caplog.at_level(logging.INFO, "napari_msd"):
        set_aside("cuda", 1, "cudaErrorLaunchFailure")
        set_aside("cuda", 1, WRONG)
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert "CUDA core is set aside on GPU 1: cudaErrorLaunchFailure" in caplog.text
    (sentence,) = take_sentences()
    assert sentence.startswith("The compiled CUDA core failed on this machine and is not used")
    assert take_sentences() == []
    assert aside.why_aside("cuda", 1) == "cudaErrorLaunchFailure"


def test_other_gpus_keep_their_core_but_there_is_one_cpu():
    set_aside("cuda", 1, WRONG)
    assert aside.why_aside("cuda", 0) is None
    set_aside("cpu", 1, WRONG)
    assert aside.why_aside("cpu", 0) == WRONG


def test_of_a_core_that_is_only_slow_nobody_is_told(caplog):
    with caplog.at_level(logging.INFO, "napari_msd"):
        set_aside("cuda", 0, "PyTorch is faster on this GPU", tell=False)
    assert [record.levelname for record in caplog.records] == ["INFO"]
    assert take_sentences() == []
    assert not libraries.library_status("cuda").usable


def test_a_new_search_for_libraries_uses_it_again():
    set_aside("cpu", 0, WRONG)
    libraries.forget_libraries()
    assert aside.why_aside("cpu", 0) is None
