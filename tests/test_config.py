"""Presets are the documented ones; wrong settings are named in one sentence."""

import pytest

from napari_msd.config import PRESETS, Settings
from napari_msd.errors import SettingsError


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
    ],
)
def test_wrong_settings(preset, overrides, sentence):
    with pytest.raises(SettingsError, match=sentence):
        Settings.from_preset(preset, **overrides)
