"""Presets are the documented ones; wrong settings are named in one sentence."""

import json

import numpy as np
import pytest

from napari_msd.core.errors import SettingsError
from napari_msd.core.settings import PRESETS, Settings


def test_presets():
    assert (PRESETS["quick"].depth, PRESETS["quick"].dilations) == (30, (1, 2, 3, 4, 1, 2, 4, 8))
    assert PRESETS["balanced"].depth == 50
    assert (PRESETS["paper"].depth, PRESETS["paper"].dilations) == (100, tuple(range(1, 11)))
    assert {name: preset.preset for name, preset in PRESETS.items()} == {n: n for n in PRESETS}


def test_round_trip():
    settings = Settings.from_preset("paper", depth=7, dilations=[3, 1], seed=4)
    assert Settings.from_dict(settings.to_dict()) == settings


@pytest.mark.parametrize(
    ("preset", "overrides", "sentence"),
    [
        ("fast", {}, "no preset 'fast'"),
        ("quick", {"layers": 3}, "no setting 'layers'"),
        ("quick", {"depth": 0}, "depth must be 1 to 1000"),
        ("quick", {"dilations": []}, "dilations must be"),
        ("quick", {"dilations": [0]}, "dilations must be"),
        ("quick", {"boundary": "wrap"}, "boundary must be"),
        ("quick", {"device": "tpu"}, "device must be"),
        ("quick", {"label_smoothing": 0.6}, "label_smoothing must be 0 to 0.5"),
        ("quick", {"held_out_fraction": 0.9}, "held_out_fraction must be"),
        ("quick", {"seed": -1}, "seed must be 0 to"),
        ("quick", {"seed": "today"}, "seed must be 0 to"),
        ("quick", {"depth": 4.5}, "depth must be 1 to 1000"),
        ("quick", {"depth": True}, "depth must be 1 to 1000"),
        ("quick", {"depth": None}, "depth must be 1 to 1000"),
        ("quick", {"learning_rate": "high"}, "learning_rate must be 0 to 1"),
        ("quick", {"learning_rate": 0}, "learning_rate must be above 0"),
        ("quick", {"dilations": 3}, "dilations must be"),
        ("quick", {"dilations": "12"}, "dilations must be"),
        (["quick"], {}, "no preset"),
    ],
)
def test_wrong_settings(preset, overrides, sentence):
    with pytest.raises(SettingsError, match=sentence):
        Settings.from_preset(preset, **overrides)


def test_numbers_of_numpy_are_plain_numbers():
    settings = Settings.from_preset(
        depth=np.int64(4), dilations=np.array([1, 2]), learning_rate=np.float32(0.5)
    )
    assert json.loads(json.dumps(settings.to_dict()))["depth"] == 4
    assert (settings.dilations, settings.learning_rate) == ((1, 2), 0.5)


HUGE = {"number": 10**100_000, "text": "x" * 10**6, "list": [0] * 10**6, "nested": [10**100_000]}


@pytest.mark.parametrize("kind", HUGE)
def test_sentences_stay_short(kind):
    with pytest.raises(SettingsError) as caught:
        Settings.from_preset(dilations=HUGE[kind])
    assert len(str(caught.value)) < 200
