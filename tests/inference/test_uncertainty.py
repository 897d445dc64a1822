"""Entropy by hand."""

import numpy as np
import torch

from napari_msd.inference.uncertainty import uncertainty_of


def test_from_sure_to_a_guess():
    p = torch.tensor([[1.0, 0.5, 0.9], [0.0, 0.5, 0.1]])
    wanted = -(0.9 * np.log2(0.9) + 0.1 * np.log2(0.1))
    assert uncertainty_of(p.log(), 1.0).tolist() == [0, 255, round(255 * wanted)]


def test_a_temperature_changes_how_sure_not_what():
    logits = torch.tensor([[2.0], [0.0]])
    cold, as_is, hot = (int(uncertainty_of(logits, t)[0]) for t in (0.5, 1, 4))
    assert cold < as_is < hot


def test_impossible_classes_take_no_part():
    silenced = torch.full((1, 4), float("-inf"))
    two = torch.tensor([[1.0, 0, 3, 2], [0.0, 0, 1, 5]])
    with_third = uncertainty_of(torch.cat([two, silenced]), 1.0)
    assert torch.equal(with_third, uncertainty_of(two, 1.0))
    assert with_third[1] == 255
    assert not uncertainty_of(torch.cat([two[:1], silenced]), 1.0).any()
