"""Too little memory: less at once, said in one sentence, and the learning goes on."""

import json
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch

from napari_msd.core.box import Box
from napari_msd.core.errors import OutOfMemoryError
from napari_msd.core.settings import Settings
from napari_msd.core.space import NetworkInput
from napari_msd.inference.out_of_memory import TileLimit, is_out_of_memory
from napari_msd.training import Trainer
from napari_msd.training.batch_limit import BatchLimit
from napari_msd.training.learner import Learner

CPU_WORDS = "[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: you"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (OutOfMemoryError("too large"), True),
        (np._core._exceptions._ArrayMemoryError((2, 3), np.dtype(float)), True),
        (torch.cuda.OutOfMemoryError("CUDA out of memory."), True),
        (RuntimeError(CPU_WORDS), True),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_what_counts_as_too_little_memory(error, expected):
    assert is_out_of_memory(error) == expected


def test_first_fewer_patches_then_smaller_ones():
    spared = []
    limit = BatchLimit(4, 96)

    def work():
        if limit.patches * limit.side**2 > 48**2:
            raise MemoryError
        return "done"

    def spare():
        spared.append((limit.patches, limit.side))

    assert limit.attempt(work, spare) == "done"
    assert spared == [(2, 96), (1, 96), (1, 48)]
    assert "with 1 patch of 48 pixels" in limit.take_remark()
    assert limit.take_remark() == ""
    assert limit.share_of(32) == 8


def test_one_small_patch_too_many_is_one_sentence():
    limit = BatchLimit(4, 96)

    def work():
        raise RuntimeError(CPU_WORDS)

    with pytest.raises(OutOfMemoryError, match="choose the CPU, or a preset of smaller depth"):
        limit.attempt(work, lambda: None)
    assert (limit.patches, limit.side) == (1, 48)


def test_other_errors_are_not_taken_for_it():
    limit = BatchLimit(4, 96)
    with pytest.raises(ZeroDivisionError):
        limit.attempt(lambda: 1 // 0, lambda: pytest.fail("nothing to spare"))


def test_tiles_are_halved_down_to_the_smallest():
    limit = TileLimit()
    assert limit.halve(1024)
    assert "tiles of 512 pixels" in limit.take_remark()
    assert limit.halve(64)
    assert not limit.halve(63)
    assert limit.side == 32


def trainer_with_strokes(**settings):
    rng = np.random.default_rng(0)
    pixels = rng.normal(0, 0.1, (96, 128)).astype(np.float32)
    pixels[:, 64:] += 1
    strokes = np.zeros(pixels.shape, np.uint8)
    strokes[10:80, 20:24], strokes[10:80, 100:104] = 1, 2
    trainer = Trainer(
        Settings.from_preset(**{"depth": 3, "patch_size": 64, **settings}), NetworkInput()
    )
    trainer.set_pixels(Box.whole(0, pixels.shape), pixels)
    trainer.paint(Box.whole(0, pixels.shape), strokes)
    return trainer


@pytest.mark.parametrize("trees", [True, False])
def test_training_goes_on_with_less(monkeypatch, trees):
    learn, sizes = Learner.learn, []

    def small_only(learner, batch, active):
        sizes.append(batch.images.shape)
        if batch.images[:, 0].size > 2 * 64 * 64:
            raise torch.cuda.OutOfMemoryError
        return learn(learner, batch, active)

    monkeypatch.setattr(Learner, "learn", small_only)
    trainer = trainer_with_strokes(trees=trees)
    for _ in range(30):
        trainer.step()
    assert trainer.steps == 30
    assert [shape[0] for shape in sizes[:3]] == [4, 2, 2]
    assert trainer.take_remark().startswith("There is too little memory: training goes on with 2")
    assert trainer.take_remark() == ""
    assert trainer.scores.mean > 0.9


@pytest.mark.parametrize("where", ["_newest", "_fit_outputs"])
def test_measuring_and_the_first_fit_go_on_with_less(monkeypatch, where):
    real, failed = getattr(Trainer, where), []

    def fails_first(trainer, *args):
        if len(failed) < 3:
            failed.append(trainer.data.reach.side)
            raise MemoryError
        return real(trainer, *args)

    monkeypatch.setattr(Trainer, where, fails_first)
    trainer = trainer_with_strokes()
    trainer.step()
    assert failed == [64, 64, 64]
    assert (trainer.limit.patches, trainer.limit.side) == (1, 32)
    assert trainer.data.sampler.patch_shape() == (32, 32)
    assert trainer.learned


WITH_LITTLE_MEMORY = """
    import json, resource, sys
    import numpy as np
    from napari_msd.core.box import Box
    from napari_msd.core.settings import Settings
    from napari_msd.core.space import NetworkInput
    from napari_msd.training import Trainer

    def trainer(side):
        rng = np.random.default_rng(0)
        pixels = rng.normal(0, 0.1, (side, side)).astype(np.float32)
        pixels[:, side // 2:] += 1
        strokes = np.zeros(pixels.shape, np.uint8)
        strokes[10:side - 10, 20:24], strokes[10:side - 10, side - 24:side - 20] = 1, 2
        settings = Settings.from_preset(
            "quick",
            width=4,
            pretrained=False,
            trees=False,
            patch_size=512,
            patches_per_step=8,
            device=sys.argv[1],
        )
        trainer = Trainer(settings, NetworkInput())
        trainer.set_pixels(Box.whole(0, pixels.shape), pixels)
        trainer.paint(Box.whole(0, pixels.shape), strokes)
        return trainer

    warm = trainer(64)
    warm.step()
    it = trainer(640)
    with open("/proc/self/statm") as file:
        now = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + (300 << 20),) * 2)
    remarks = []
    for _ in range(3):
        it.step()
        remarks.append(it.take_remark())
    labels = it.predictor().labels(it.slabs[next(iter(it.slabs))], Box.whole(0, (640, 640)))
    remarks.append(it.take_remark())
    print(json.dumps([it.steps, it.limit.patches, it.limit.side, labels.shape, remarks]))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the memory of a process")
@pytest.mark.parametrize("device", ["cpu", "torch"])
def test_a_process_with_too_little_memory_trains_and_predicts(device):
    code = textwrap.dedent(WITH_LITTLE_MEMORY)
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, device], capture_output=True, text=True, timeout=250
    )
    assert done.returncode == 0, done.stderr
    steps, patches, side, shape, remarks = json.loads(done.stdout)
    assert steps == 3
    assert shape == [640, 640]
    assert (patches, side) < (8, 512)
    assert any("too little memory: training goes on" in remark for remark in remarks)
