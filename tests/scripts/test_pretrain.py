"""A step of the learning that makes the starting weights."""

from __future__ import annotations

import numpy as np
import pretrain
import pytest
import torch
from pretrain_tasks import task
from safetensors.torch import load_file

from napari_msd.training.start_weights import START_DILATIONS


@pytest.fixture
def question():
    random = np.random.default_rng(0)
    made = task(random, [])
    while (found := pretrain.question_of(random, made)) is None:
        pass
    return found


def test_a_question_tells_the_truth_where_it_is_painted(question):
    painted = question.strokes >= 0
    assert len(question.strokes[painted].unique()) >= 2
    assert torch.equal(question.strokes[painted], question.truth[painted])
    n, side = pretrain.PATCHES, pretrain.PATCH
    assert question.images.shape == (n, 1, side, side)
    assert question.truth.shape == question.strokes.shape == (n, side, side)
    assert question.responses.shape[-2:] == (side, side)


@pytest.mark.parametrize("head", pretrain.HEADS)
def test_every_read_out_teaches_the_layers(question, head, monkeypatch):
    shares = tuple(float(name == head) for name in pretrain.HEADS)
    monkeypatch.setattr(pretrain, "HEAD_SHARES", shares)
    learner = pretrain.Learner(0)
    for seed in range(3):  # with and without a second round
        loss = learner.loss(np.random.default_rng(seed), question)
        loss.backward()
        assert torch.isfinite(loss)
    assert torch.isfinite(learner.network.weight.grad).all()
    assert learner.network.weight.grad.abs().max() > 0
    if head != "maps":  # that has the trainer's ridge
        assert [value != 0 for value in learner.log_ridge.grad] == [share > 0 for share in shares]


def test_a_seed_decides_a_loss(question):
    losses = [
        float(pretrain.Learner(1).loss(np.random.default_rng(seed), question).detach())
        for seed in (2, 2, 3)
    ]
    assert losses[0] == losses[1] != losses[2]


def test_a_silent_layer_is_drawn_anew_and_the_others_stay_as_they_are():
    learner = pretrain.Learner(0)
    network = learner.network
    optimiser = torch.optim.Adam(learner.layers)
    images = torch.randn(2, 1, 40, 40, generator=torch.Generator().manual_seed(0))
    network(images).sum().backward()
    optimiser.step()
    with torch.no_grad():
        network.bias[4] = -100
        before = network(images)
    learner.activity.copy_(before.movedim(1, -1).flatten(0, 2).std(0))
    assert learner.revive(optimiser) == 1
    after = network(images).detach()
    others = [number for number in range(31) if number != 5]
    assert before[:, 5].std() == 0
    assert after[:, 5].std() > 0.1
    torch.testing.assert_close(after[:, others], before[:, others], atol=1e-4, rtol=1e-4)
    assert learner.revive(optimiser) == 0


def test_hidden_layers_alone_are_written(tmp_path):
    network = pretrain.Learner(0, START_DILATIONS).network
    pretrain.save(network, tmp_path / "w.safetensors")
    written = load_file(tmp_path / "w.safetensors")
    assert set(written) == {f"layers.{i}.{p}" for i in range(30) for p in ("weight", "bias")}
    assert torch.equal(written["layers.0.weight"], network.state_dict()["layers.0.weight"])
