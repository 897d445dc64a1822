"""An image unlike those of the model is noticed, one like them is not."""

import numpy as np
import pytest

from napari_msd.inference import Normalisation
from napari_msd.inference.domain_shift import difference

MODEL = Normalisation((100.0,), (20.0,))


@pytest.mark.parametrize(
    ("mean", "std", "words"),
    [
        (100, 20, ""),
        (130, 35, ""),
        (70, 9, ""),
        (145, 20, "much brighter"),
        (55, 20, "much darker"),
        (100, 65, "much richer in contrast"),
        (100, 5, "much poorer in contrast"),
        (2000, 400, "much brighter"),
    ],
)
def test_grey_values(mean, std, words):
    assert difference(MODEL, Normalisation((float(mean),), (float(std),))) == words


def test_channels_are_named():
    model = Normalisation((100.0, 100.0), (20.0, 20.0))
    image = Normalisation((100.0, 200.0), (2.0, 20.0))
    assert difference(model, image) == (
        "much poorer in contrast in channel 1, much brighter in channel 2"
    )


def test_halves_of_one_image_resemble_each_other():
    pixels = np.random.default_rng(0).gamma(2, 50, (1, 64, 64))
    left, right = (Normalisation.of(half) for half in np.split(pixels, 2, axis=2))
    assert difference(left, right) == ""
