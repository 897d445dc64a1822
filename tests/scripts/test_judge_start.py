"""The judge of starting weights."""

from __future__ import annotations

from importlib import resources

import numpy as np
import pytest
import tifffile
import torch
from judge_start import image_and_truth, mean_iou, network_of, read_out

from napari_msd.training.ridge_head import maps_of
from napari_msd.training.start_weights import START_DILATIONS


@pytest.fixture
def shipped():
    return resources.files("napari_msd.training") / "start_weights.safetensors"


def test_mean_iou_counts_every_class_of_the_truth_alike():
    truth = np.array([1, 1, 1, 1, 2, 2], np.uint8)
    found = np.array([1, 1, 1, 2, 2, 2], np.uint8)
    assert mean_iou(truth, found) == pytest.approx((3 / 4 + 2 / 3) / 2)


def test_several_channels_are_judged_through_their_mean(shipped):
    grey, colour = (network_of(shipped, START_DILATIONS, channels) for channels in (1, 3))
    plane = torch.randn(1, 1, 20, 24, generator=torch.Generator().manual_seed(0))
    there = maps_of(colour, plane.expand(-1, 3, -1, -1))[:, 3:]
    torch.testing.assert_close(there, maps_of(grey, plane)[:, 1:], atol=1e-4, rtol=1e-4)


def test_the_read_out_answers_with_the_classes_that_were_painted(shipped, tmp_path):
    labels = np.full((48, 64), 2, np.uint8)
    labels[:, 32:] = 5
    tifffile.imwrite(tmp_path / "00-labels.tif", labels)
    tifffile.imwrite(tmp_path / "00-image.tif", 40 * labels)
    image, truth = image_and_truth(tmp_path, 0)
    strokes = np.zeros_like(truth)
    strokes[10:30, 8:12] = 2
    strokes[10:30, 50:54] = 5
    network = network_of(shipped, START_DILATIONS, 1)
    answer = read_out(network, image, strokes)
    maps = maps_of(network, torch.from_numpy(image)[None])[0].numpy()
    found = answer(maps.reshape(len(maps), -1)).reshape(truth.shape)
    assert mean_iou(truth, found) > 0.9
