"""Training with maps in 16 bits, emulated on the CPU.

Maps and their gradients are rounded to float16 where the CUDA core stores them, and overflow as
there. Not emulated: filters in 16 bits (tests/native/test_training_step.py runs the core's own
sources), and what only a card does: streams, graphs, the order of sums in its matrix units.
"""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from napari_msd import MSDNet
from napari_msd.core.box import Box
from napari_msd.core.settings import Settings
from napari_msd.core.space import NetworkInput
from napari_msd.training import Trainer, learner, stepper
from napari_msd.training.adam import Adam
from napari_msd.training.learner import Learner
from napari_msd.training.loss_scale import LossScale
from napari_msd.training.patches import Batch
from napari_msd.training.step import Step
from napari_msd.training.stepper import Way

from ..native.oracle import reference_with_rounded_maps
from .test_repeated_step import EVERY, SETTINGS, assert_same_weights, batch, learned, network

SHAPE = (64, 96)
EVERYTHING = Box.whole(0, SHAPE)
STEPS, SEEDS = 60, (0, 1, 2)
HALF = Way(sixteen_bits=True)
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def emulation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under autocast `MSDNet` rounds as the CUDA core does."""
    exact = MSDNet.forward

    def forward(self: MSDNet, image: torch.Tensor) -> torch.Tensor:
        if torch.is_autocast_enabled("cpu"):
            with torch.autocast("cpu", enabled=False):
                return reference_with_rounded_maps(self, image, torch.float16, gradients=True)
        return exact(self, image)

    monkeypatch.setattr(MSDNet, "forward", forward)


def trained(seed: int) -> tuple[np.ndarray, float]:
    """Losses of all steps, and the share of pixels that are right in the end."""
    random = np.random.default_rng(7)
    truth = np.repeat([1, 2, 3], 32)[None].repeat(64, axis=0)
    image = (60 * truth + random.normal(0, 40, SHAPE)).astype(np.float32)
    strokes = np.zeros(SHAPE, np.uint8)
    strokes[4:60, 12:15] = strokes[4:60, 44:47] = strokes[4:60, 76:79] = 1
    settings = Settings.from_preset(
        depth=6, patch_size=32, trees=False, pretrained=False, seed=seed, learning_rate=0.01
    )
    trainer = Trainer(settings, NetworkInput())
    trainer.set_pixels(EVERYTHING, image)
    trainer.paint(EVERYTHING, (strokes * truth).astype(np.uint8))
    losses = np.array([trainer.step() for _ in range(STEPS)])
    labels = trainer.predictor().labels(next(iter(trainer.slabs.values())), EVERYTHING)
    return losses, float((labels == truth).mean())


def test_learning_curves_are_those_of_float32(monkeypatch):
    curves, rights = {}, {}
    for way in (Way(), HALF):
        monkeypatch.setattr(learner, "way_of", lambda network, way=way: way)
        found = [trained(seed) for seed in SEEDS]
        # means of ten steps: single batches differ in how hard they are
        curves[way.sixteen_bits] = np.array([losses.reshape(-1, 10).mean(1) for losses, _ in found])
        rights[way.sixteen_bits] = np.array([right for _, right in found])
    assert not np.array_equal(curves[True], curves[False])
    spread = curves[False].std(axis=0, ddof=1)
    difference = np.abs(curves[True] - curves[False])
    assert (difference < 0.01 * spread).all()  # seeds differ a hundred times as much
    assert curves[True][:, -1].max() < 0.8 * curves[True][:, 0].min()
    assert np.abs(rights[True] - rights[False]).max() < 0.005


def test_gradients_are_too_small_for_16_bits_unless_the_loss_is_scaled():
    far_off = {}
    exact = gradient_of(LossScale(CPU, scales=False), sixteen_bits=False)
    for scales in (True, False):
        found = gradient_of(LossScale(CPU, scales), sixteen_bits=True)
        far_off[scales] = float((found - exact).norm() / exact.norm())
    assert far_off[True] < 2**-8
    assert far_off[False] > 10 * far_off[True]


def gradient_of(scale: LossScale, sixteen_bits: bool) -> torch.Tensor:
    """Of the layers, by a step whose loss is a mean over many pixels."""
    net = begun(0.001)
    adam = Adam(list(net.parameters()), 0.01)
    step = Step(net, copy.deepcopy(net), adam, Settings(), EVERY, scale, sixteen_bits)
    images, labels = (torch.from_numpy(x) for x in (batch(0, 96).images, batch(0, 96).labels))
    outcome = step(images, labels)
    assert outcome.finite
    return outcome.gradient[: net.weight.numel()]


def begun(size: float = 1.0) -> MSDNet:
    """A network whose output weights are not 0 any more, so that its layers have gradients."""
    net = network()
    generator = torch.Generator().manual_seed(1)
    torch.nn.init.normal_(net.output_weight, std=size, generator=generator)
    return net


def test_a_scale_too_large_is_found_without_a_wrong_step(caplog):
    plain, half = (Learner(begun(), SETTINGS, way) for way in (Way(), HALF))
    half._stepper._scale.factor.fill_(2.0**50)
    learned(half, 0, 3)
    assert_same_weights(half, plain)
    assert float(half._stepper._scale.factor) == 2.0**47
    learned(half, 3, 60)
    assert not torch.equal(half.network.weight, plain.network.weight)
    assert float(half._stepper._scale.factor) < 2.0**40
    assert not caplog.records


def test_maps_too_large_for_16_bits_are_stored_in_32_from_then_on(caplog):
    bright = batch(0)
    bright = Batch(1e6 * bright.images, bright.labels)
    plain, half = (Learner(network(), SETTINGS, way) for way in (Way(), HALF))
    assert not np.isfinite(half.learn(bright, EVERY))
    assert_same_weights(half, plain)  # that step changed nothing
    assert learned(half, 1, 6) == learned(plain, 1, 6)
    half.grow(3)
    learned(half, 6, 8)
    (record,) = caplog.records
    assert "float32" in record.getMessage()


def test_a_scale_that_fell_to_nothing_ends_16_bits(caplog):
    half = Learner(network(), SETTINGS, HALF)
    half._stepper._scale.factor.fill_(0.25)
    learned(half, 0, 2)
    assert not half._stepper.way.sixteen_bits
    assert half._stepper._scale.factor == 1
    (record,) = caplog.records
    assert "float32" in record.getMessage()


def test_the_scale_goes_on_when_a_network_grows_and_after_a_wait_that_gave_up(monkeypatch):
    half = Learner(network(), SETTINGS, HALF)
    half._stepper._scale.factor.fill_(8.0)
    learned(half, 0, 1)
    half.grow(4)
    assert half._stepper._scale.factor == 8
    learned(half, 1, 2)
    monkeypatch.setattr(stepper, "times_given_up", lambda _: 1)
    learned(half, 2, 3)
    assert half._stepper._scale.factor == 8


def test_what_the_last_step_before_a_new_class_found_is_not_lost():
    bright = batch(0)
    half = Learner(network(), SETTINGS, HALF)
    half.learn(Batch(1e6 * bright.images, bright.labels), EVERY)
    half.grow(4)
    assert not half._stepper.way.sixteen_bits
