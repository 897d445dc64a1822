"""The Python front door: fit, predict, save, load."""

import time

import numpy as np
import pytest

from napari_msd import MSDSegmenter
from napari_msd.errors import (
    BadInputError,
    ExportError,
    ImageError,
    ModelFileError,
    SettingsError,
    StrokesError,
)
from napari_msd.io import model_file

SHAPE = (64, 96)
SMALL = {"depth": 3, "patch_size": 32, "learning_rate": 0.02}


def image(channels: int = 0) -> np.ndarray:
    rng = np.random.default_rng(0)
    grey = np.repeat([50.0, 100.0, 150.0], 32)[None, :] + rng.normal(0, 8, SHAPE)
    return np.stack([grey * (i + 1) for i in range(channels)], -1) if channels else grey


def strokes(*values: int) -> np.ndarray:
    labels = np.zeros(SHAPE, np.int32)
    for i, value in enumerate(values):
        labels[2:62, 32 * i + 12 : 32 * i + 17] = value
    return labels


def truth(*values: int) -> np.ndarray:
    return np.broadcast_to(np.repeat(values, 32)[None, :], SHAPE)


def test_fit_and_predict_keep_the_annotations_values():
    segmenter = MSDSegmenter(seed=3, **SMALL).fit(image(), strokes(4, 200, 9), max_steps=120)
    labels = segmenter.predict(image())
    assert labels.dtype == np.uint8
    assert (labels == truth(4, 200, 9)).mean() > 0.95
    assert sorted(segmenter.classes_) == [4, 9, 200]
    probabilities = segmenter.predict_proba(image())
    assert probabilities.shape == (3, *SHAPE)
    assert probabilities.dtype == np.float32
    assert np.allclose(probabilities.sum(0), 1, atol=1e-5)
    assert np.array_equal(segmenter.classes_[probabilities.argmax(0)], labels)
    assert [h["step"] for h in segmenter.history_] == sorted(h["step"] for h in segmenter.history_)
    assert segmenter.history_[-1]["step"] == 120


def test_lists_stacks_and_channels():
    small = MSDSegmenter(**SMALL)
    small.fit([image(), image()[:40]], [strokes(1, 2, 3), strokes(1, 2, 3)[:40]], max_steps=5)
    stack = np.stack([image(), image()])
    painted = np.stack([np.zeros(SHAPE, np.uint8), strokes(1, 2)])
    volume = MSDSegmenter(**SMALL).fit(stack, painted, max_steps=5, axes="ZYX")
    assert volume.predict(stack, axes="ZYX").shape == stack.shape
    colours = MSDSegmenter(**SMALL).fit(image(3), strokes(1, 2), max_steps=5)
    assert colours.predict(image(3)).shape == SHAPE
    moved = np.moveaxis(image(3), -1, 0)
    assert np.array_equal(colours.predict(moved, axes="CYX"), colours.predict(image(3)))


def test_fit_again_continues():
    segmenter = MSDSegmenter(**SMALL).fit(image(), strokes(1, 2), max_steps=10)
    segmenter.fit(image(), strokes(1, 2, 3), max_steps=90)
    assert segmenter.history_[-1]["step"] == 100
    assert set(np.unique(segmenter.predict(image()))) == {1, 2, 3}


def test_seed():
    def fitted(seed: int) -> np.ndarray:
        return (
            MSDSegmenter(seed=seed, **SMALL)
            .fit(image(), strokes(1, 2), max_steps=8)
            .predict_proba(image())
        )

    assert np.array_equal(fitted(1), fitted(1))
    assert not np.array_equal(fitted(1), fitted(2))


def test_save_and_load_then_go_on(tmp_path):
    segmenter = MSDSegmenter(**SMALL).fit(image(), strokes(1, 5), max_steps=30)
    path = segmenter.save(tmp_path / "model", axes="YX", pixel_size=(0.5, 0.5), units=("um", "um"))
    assert path.name == "model.safetensors"
    loaded = MSDSegmenter.load(path)
    assert np.array_equal(loaded.predict_proba(image()), segmenter.predict_proba(image()))
    assert loaded.settings.depth == 3
    assert sorted(loaded.classes_) == [1, 5]
    loaded.fit(image(), strokes(1, 5), max_steps=10)
    assert loaded.history_[-1]["step"] > 10


def test_settings_stay_those_of_the_network(tmp_path):
    segmenter = MSDSegmenter(depth=5, learning_rate=0.02, seed=99, patch_size=32)
    segmenter.fit(image(), strokes(1, 2), max_steps=2).save(tmp_path / "a")
    loaded = MSDSegmenter.load(tmp_path / "a.safetensors")
    assert loaded.settings == segmenter.settings
    loaded.fit(image(), strokes(1, 2), max_steps=2).save(tmp_path / "b")
    record = model_file.read(tmp_path / "b.safetensors")
    assert record.settings == segmenter.settings.to_dict()
    assert (record.depth, record.seed, record.steps) == (5, 99, 4)


def test_the_callback_can_stop_and_the_time_is_kept():
    seen = []
    segmenter = MSDSegmenter(**SMALL)
    segmenter.fit(image(), strokes(1, 2), seconds=1e6, callback=lambda p: seen.append(p) or True)
    assert len(seen) == 1
    assert 0 <= seen[0].fraction < 1


def test_seconds_are_kept(monkeypatch):
    """One more step and a look at the result are foreseen, however slow the machine."""
    now = [0.0]

    def clock() -> float:
        now[0] += 0.05
        return now[0]

    monkeypatch.setattr(time, "monotonic", clock)
    seen = []
    MSDSegmenter(**SMALL).fit(image(), strokes(1, 2), seconds=4, callback=seen.append)
    assert len(seen) > 3
    assert [p.fraction for p in seen] == sorted(p.fraction for p in seen)
    assert 3.5 < now[0] <= 4.4


@pytest.mark.parametrize(
    ("images", "labels", "error", "sentence"),
    [
        (image(), np.zeros(SHAPE, int), StrokesError, "The annotation is empty"),
        (image(), strokes(2), StrokesError, "at least two classes"),
        (image(), strokes(1, 2)[:10], StrokesError, "has shape"),
        (image(), strokes(1, 300), StrokesError, "from 1 to 255"),
        (image(), strokes(-1, 2), StrokesError, "from 1 to 255"),
        (image(), strokes(1, 2) * 0.5, StrokesError, "whole numbers"),
        (np.ones(SHAPE), strokes(1, 2), ImageError, "same value"),
        (np.full(SHAPE, np.nan), strokes(1, 2), ImageError, "no numbers"),
        (np.zeros((0, 4)), np.zeros((0, 4), int), ImageError, "empty"),
        (np.ones((1, 1)), np.ones((1, 1), int), BadInputError, "at least two classes"),
        ([image(), image()], [strokes(1, 2)], StrokesError, "2 images but 1 annotation"),
        ([image(), image(3)], [strokes(1, 2), strokes(1, 2)], ImageError, "one channel"),
        ([], [], StrokesError, "at least one"),
    ],
)
def test_bad_input(images, labels, error, sentence):
    with pytest.raises(error, match=sentence):
        MSDSegmenter(**SMALL).fit(images, labels, max_steps=1)


def test_bad_use(tmp_path):
    with pytest.raises(SettingsError, match="no preset"):
        MSDSegmenter("slow")
    with pytest.raises(SettingsError, match="max_steps"):
        MSDSegmenter(**SMALL).fit(image(), strokes(1, 2), max_steps=0)
    with pytest.raises(ModelFileError, match="Nothing was learned"):
        MSDSegmenter().predict(image())
    with pytest.raises(ModelFileError, match="Nothing was learned"):
        MSDSegmenter().save(tmp_path / "m")
    with pytest.raises(ModelFileError, match="no model file"):
        MSDSegmenter.load(tmp_path / "missing.safetensors")
    segmenter = MSDSegmenter(**SMALL).fit(image(), strokes(1, 2), max_steps=2)
    with pytest.raises(ModelFileError, match="channel"):
        segmenter.predict(image(3))
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(ExportError):
        segmenter.save(blocked / "model")


def test_a_failed_fit_loses_nothing():
    segmenter = MSDSegmenter(**SMALL).fit(image(), strokes(1, 2), max_steps=10)
    before = segmenter.predict(image())
    with pytest.raises(StrokesError):
        segmenter.fit(image(), strokes(1, 2)[:5], max_steps=1)
    assert np.array_equal(segmenter.predict(image()), before)
