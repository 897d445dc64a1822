"""Steps on a real GPU: what `test_repeated_step.py` and `test_sixteen_bits.py` only emulate.

`benchmarks/gpu_check.sh training` runs these; they need what the package itself needs.
"""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

from napari_msd import MSDNet
from napari_msd.core.box import Box
from napari_msd.core.settings import Settings
from napari_msd.core.space import NetworkInput
from napari_msd.native.libraries import library_status
from napari_msd.training import Trainer
from napari_msd.training.learner import Learner
from napari_msd.training.patches import Batch
from napari_msd.training.repeated_step import WARM_UP
from napari_msd.training.stepper import WAY_VARIABLE, way_of

pytestmark = pytest.mark.gpu
EVERY = [0, 1, 2]
WAYS = ("float32", "float16", "float32-graph", "float16-graph")


@pytest.fixture(autouse=True)
def gpu() -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA GPU")
    if not library_status("cuda").usable:
        pytest.skip(library_status("cuda").reason)


@pytest.fixture
def learner(monkeypatch: pytest.MonkeyPatch):
    def make(way: str, ndim: int = 2) -> Learner:
        monkeypatch.setenv(WAY_VARIABLE, way)
        generator = torch.Generator().manual_seed(0)
        network = MSDNet(1, 3, depth=12, ndim=ndim, generator=generator).cuda()
        found = way_of(network)
        assert found.sixteen_bits == way.startswith("float16")
        assert (found.recorder is not None) == way.endswith("graph")
        return Learner(network, Settings.from_preset(), found)

    return make


def batch(seed: int, shape: tuple[int, ...] = (40, 52)) -> Batch:
    random = np.random.default_rng(seed)
    images = random.standard_normal((4, 1, *shape)).astype(np.float32)
    return Batch(images, random.integers(-1, 2, (4, *shape)))


def learned(learner: Learner, first: int, last: int, **options) -> list[float]:
    active = options.pop("active", EVERY)
    return [learner.learn(batch(i, **options), active) for i in range(first, last)]


def recorded(learner: Learner) -> bool:
    step = learner._stepper._step
    assert step is not None
    assert not step.refused
    return step._recorded is not None


def weights(learner: Learner) -> list[torch.Tensor]:
    learner.learn(batch(99), EVERY)
    answer = learner.answer(np.zeros(learner.network.n_classes, np.float32))
    torch.cuda.synchronize()
    return [p.detach().clone() for p in (*learner.network.parameters(), *answer.parameters())]


@pytest.mark.parametrize("kind", ["float32", "float16"])
@pytest.mark.parametrize("shape", [(40, 52), (7, 12, 20)])
def test_repeated_steps_are_the_plain_steps(learner, kind, shape):
    pair = [learner(kind + graph, ndim=len(shape)) for graph in ("", "-graph")]
    plain, graph = (learned(each, 0, WARM_UP + 8, shape=shape) for each in pair)
    assert recorded(pair[1])
    assert not recorded(pair[0])
    np.testing.assert_allclose(graph, plain, rtol=1e-4)
    for mine, theirs in zip(
        pair[1].network.parameters(), pair[0].network.parameters(), strict=True
    ):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-6)


def test_16_bits_learn_what_32_learn(learner):
    runs = {way: learned(learner(way), 0, 40) for way in WAYS}
    for way in WAYS[1:]:
        np.testing.assert_allclose(runs[way], runs["float32"], rtol=0.01)


def test_other_outputs_shapes_and_networks_are_recorded_anew(learner):
    pair = [learner(way) for way in ("float16", "float16-graph")]
    for each in pair:
        learned(each, 0, 6)
        learned(each, 6, 12, active=[0, 2])
        learned(each, 12, 18, shape=(33, 40))
        each.grow(4)
        learned(each, 18, 24)
        each.spare_memory()
        learned(each, 24, 30)
    assert recorded(pair[1])
    assert_close(*map(weights, pair))


def assert_close(one: list[torch.Tensor], other: list[torch.Tensor]) -> None:
    for mine, theirs in zip(one, other, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-6)


def test_a_scale_too_large_is_found_in_a_graph_too(learner):
    each = learner("float16-graph")
    learned(each, 0, WARM_UP + 2)
    assert recorded(each)
    each._stepper._scale.factor.fill_(2.0**60)
    before = [p.detach().clone() for p in each.network.parameters()]
    learned(each, 6, 8)
    torch.cuda.synchronize()
    assert all(map(torch.equal, before, each.network.parameters()))
    assert float(each._stepper._scale.factor) == 2.0**58
    learned(each, 8, 60)
    assert each._stepper.way.sixteen_bits
    assert float(each._stepper._scale.factor) < 2.0**50


def test_the_trainer_uses_both_from_another_thread_too(monkeypatch):
    monkeypatch.delenv(WAY_VARIABLE, raising=False)
    random = np.random.default_rng(0)
    image = random.normal(size=(96, 96)).astype(np.float32)
    image[:, 48:] += 3
    strokes = np.zeros((96, 96), np.uint8)
    strokes[10:80, 10:13], strokes[10:80, 80:83] = 1, 2
    everything = Box.whole(0, image.shape)
    trainer = Trainer(Settings.from_preset(device="cuda", patch_size=48), NetworkInput())
    trainer.set_pixels(everything, image)
    trainer.paint(everything, strokes)

    def train() -> None:
        for _ in range(60):
            trainer.step()

    thread = threading.Thread(target=train)
    thread.start()
    for _ in range(50):  # another user of the GPU meanwhile, also while a graph is recorded
        torch.randn(100, 100, device="cuda").sum().item()
    thread.join()
    assert trainer.steps == 60
    assert trainer._learner._stepper.way.sixteen_bits
    assert recorded(trainer._learner)
    labels = trainer.predictor().labels(next(iter(trainer.slabs.values())), everything)
    truth = np.repeat([1, 2], 48)
    assert (labels == truth).mean() > 0.9
