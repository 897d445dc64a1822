"""The settings in a model file are those of its network, whatever the file says."""

import json
import struct
from dataclasses import fields, replace

import numpy as np
import pytest

from napari_msd.core.checkpoint import ClassInfo
from napari_msd.core.errors import SettingsError
from napari_msd.core.settings import PRESETS, Settings
from napari_msd.images.model_file import ModelRecord, parameter_shapes
from napari_msd.images.model_settings import agreeing, settings_of


def record_of(settings, *, depth=4, width=2, dilations=(1, 2, 4), boundary="zeros", seed=7):
    shapes = parameter_shapes(1, 2, depth, width)
    return ModelRecord(
        weights={name: np.zeros(shape, np.float32) for name, shape in shapes},
        in_channels=1,
        n_classes=2,
        depth=depth,
        width=width,
        dilations=dilations,
        boundary=boundary,
        classes=(ClassInfo(1, "a", "#000000"), ClassInfo(2, "b", "#ffffff")),
        mean=(0.0,),
        std=(1.0,),
        settings=settings,
        seed=seed,
    )


def test_the_architecture_is_the_records():
    settings = settings_of(record_of(PRESETS["paper"].to_dict()), "torch")
    assert (settings.depth, settings.width, settings.boundary) == (4, 2, "zeros")
    assert settings.dilations == (1, 2, 4)
    assert (settings.seed, settings.device) == (7, "torch")
    assert (settings.preset, settings.learning_rate) == ("paper", 1e-3)


def test_dilations_stay_a_cycle_where_it_is_the_same_network():
    full = (1, 2, 4, 1, 2, 4, 1, 2)
    told = Settings(depth=4, width=2, dilations=(1, 2, 4)).to_dict()
    assert settings_of(record_of(told, dilations=full), "cpu").dilations == (1, 2, 4)
    assert settings_of(record_of({}, dilations=full), "cpu").dilations == full


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, {"preset": "quick", "patch_size": 96}),
        ({"preset": "fast", "patch_size": 48}, {"preset": "quick", "patch_size": 48}),
        ({"preset": 3}, {"preset": "quick"}),
        ({"preset": ["paper"]}, {"preset": "quick"}),
        ({"preset": "paper", "learning_rate": "high"}, {"learning_rate": 1e-3}),
        ({"learning_rate": float("nan")}, {"learning_rate": 3e-3}),
        ({"learning_rate": 0}, {"learning_rate": 3e-3}),
        ({"patch_size": 4.5}, {"patch_size": 96}),
        ({"patch_size": True}, {"patch_size": 96}),
        ({"patches_per_step": 10**400}, {"patches_per_step": 4}),
        ({"consistency": 10**400}, {"consistency": 0.3}),
        ({"pretrained": "no"}, {"pretrained": True}),
        ({"dilations": 3}, {"dilations": (1, 2, 4)}),
        ({"momentum": 0.9}, {}),
    ],
)
def test_what_is_unknown_or_invalid_is_as_in_the_preset(settings, expected):
    for record in (record_of(settings), reread(settings)):
        found = settings_of(record, "auto")
        assert {name: getattr(found, name) for name in expected} == expected
        assert found.depth == 4


def reread(settings):
    """What comes of a file with these settings, in the way an old version wrote it."""
    data = record_of({}).to_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    ours = json.loads(header["__metadata__"]["napari_msd"])
    settings = {k: None if v != v else v for k, v in settings.items()}  # NaN is no JSON
    header["__metadata__"]["napari_msd"] = json.dumps({**ours, "settings": settings})
    text = json.dumps(header).encode()
    return ModelRecord.from_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])


def test_files_are_written_and_read_with_the_networks_settings():
    """D15: depth 30 and seed 0 stood beside 20 layers of weights."""
    for record in (reread(Settings().to_dict()), reread({"depth": "deep"})):
        assert record.settings["depth"] == record.depth == 4
        assert record.settings["seed"] == record.seed == 7
    written = ModelRecord.from_bytes(record_of(Settings().to_dict()).to_bytes())
    assert (written.settings["depth"], written.settings["boundary"]) == (4, "zeros")
    assert set(written.settings) == {field.name for field in fields(Settings)}


def test_a_device_nobody_knows():
    with pytest.raises(SettingsError, match="device"):
        settings_of(record_of({}), "tpu")


def test_a_negative_seed_of_a_file_is_not_trained_on_with():
    assert settings_of(record_of({}, seed=-5), "auto").seed == 0


def test_record_is_not_changed():
    record = record_of({"depth": 9})
    settings_of(record, "auto")
    assert record == replace(record)
    assert record.settings == {"depth": 9}


@pytest.mark.parametrize(
    ("architecture", "expected"),
    [
        ({}, ("2d", 1)),
        ({"context": 3}, ("2.5d", 3)),
        ({"ndim": 3}, ("3d", 1)),
    ],
)
def test_mode_is_what_the_network_sees(architecture, expected):
    told = {"preset": "quick", "mode": "2.5d", "context": 1}
    network = {"depth": 4, "width": 1, "dilations": (1,), "boundary": "zeros", "seed": 0}
    for settings in (told, {"mode": 7, "context": "many"}, {}):  # the last: an older file
        found = agreeing(settings, network | architecture)
        assert (found.mode, found.context) == expected


def test_patches_of_volumes_are_small_where_a_file_does_not_say():
    network = {"depth": 4, "width": 1, "dilations": (1,), "boundary": "zeros", "seed": 0}
    assert agreeing({}, network | {"ndim": 3}).patch_size == 32
