"""The Python front door: fit, predict, save, load."""

import time
import warnings
from pathlib import Path

import numpy as np
import pytest

from napari_msd import MSDSegmenter
from napari_msd.core.errors import (
    BadInputError,
    ExportError,
    ImageError,
    ImageWarning,
    ModelFileError,
    SettingsError,
    StrokesError,
)
from napari_msd.images import model_file

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


def test_names_pixel_size_and_colours_outlive_training_on(tmp_path):
    """They were "class 1", "class 2" and unknown again after load, fit, save."""
    names = {1: "می\u200cخواهم", 2: "cell\nwall", 9: "never painted", 300: "no class"}
    segmenter = MSDSegmenter(**SMALL)
    segmenter.fit(image(), strokes(1, 2), max_steps=2, class_names=names)
    assert segmenter.class_names_ == {1: "می\u200cخواهم", 2: "cell wall"}
    path = segmenter.save(tmp_path / "a", pixel_size=(0.5, 0.25), units=("um", "um"))
    loaded = MSDSegmenter.load(path)
    loaded.fit(image(), strokes(1, 2, 3), max_steps=2, class_names={3: "nucleus"})
    record = model_file.read(loaded.save(tmp_path / "b"))
    assert record.class_names == {1: "می\u200cخواهم", 2: "cell wall", 3: "nucleus"}
    assert (record.pixel_size, record.units) == ((0.5, 0.25), ("um", "um"))


def test_axes_are_remembered(tmp_path):
    stack, painted = np.stack([image()] * 5), np.stack([strokes(1, 2)] * 5)
    segmenter = MSDSegmenter(**SMALL).fit(stack, painted, max_steps=2, axes="ZYX")
    assert segmenter.predict(stack).shape == stack.shape
    assert segmenter.predict(image()).shape == SHAPE
    loaded = MSDSegmenter.load(segmenter.save(tmp_path / "a"))
    assert loaded.predict_proba(stack).shape == (2, *stack.shape)
    with pytest.raises(ModelFileError, match="channel"):
        segmenter.predict(image(3))  # colours are not taken for a stack
    moved = np.moveaxis(image(3), -1, 0)
    colours = MSDSegmenter(**SMALL).fit(moved, strokes(1, 2), max_steps=2, axes="CYX")
    assert np.array_equal(colours.predict(moved), colours.predict(image(3)))


def test_repr():
    segmenter = MSDSegmenter(**SMALL)
    assert repr(segmenter) == "<MSDSegmenter (quick, depth 3, auto), nothing learned yet>"
    segmenter.fit(image(), strokes(1, 2), max_steps=2, class_names={2: "nucleus"})
    assert "2 steps, classes 1 'class 1', 2 'nucleus'>" in repr(segmenter)


# --- images that are not what they seem -----------------------------------------------------


@pytest.fixture(scope="module")
def trained():
    return MSDSegmenter(**SMALL).fit(image(), strokes(1, 2), max_steps=2)


@pytest.fixture(scope="module")
def trained_on_grey_values():
    """As `trained`, but all images are normalised by the first one."""
    segmenter = MSDSegmenter(**SMALL, normalise="first")
    return segmenter.fit(image(), strokes(1, 2), max_steps=2)


def test_images_like_the_first_are_no_reason_to_warn(trained):
    with warnings.catch_warnings(action="error"):
        trained.predict(image())
        trained.predict(np.ones(SHAPE))  # one value tells nothing
        pair = [image(), image() + 10], [strokes(1, 2)] * 2
        MSDSegmenter(**SMALL).fit(*pair, max_steps=1)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (image() * 16, "This image is much brighter than those the model was trained on"),
        (image() / 255, "This image is much darker than"),
        (100 + image() / 30, "much poorer in contrast"),
    ],
)
def test_an_image_unlike_those_of_the_training_is_said(trained_on_grey_values, other, words):
    """All pixels of such an image became one class, and nothing was said."""
    trained = trained_on_grey_values
    for predict in (trained.predict, trained.predict_proba):
        with pytest.warns(ImageWarning, match=words) as caught:
            predict(other)
        (warning,) = caught
        assert warning.filename == __file__
        assert warning.message.unlike
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ImageWarning)
        trained.predict(other)


@pytest.mark.parametrize("factor", [16, 1 / 255])
def test_a_brighter_or_darker_image_is_the_same_image(trained, factor):
    with warnings.catch_warnings(action="error"):
        assert (trained.predict(image() * factor) == trained.predict(image())).mean() > 0.999


def test_a_stack_is_compared_as_a_whole(trained_on_grey_values):
    """Dark planes at the ends of a stack are no other kind of image."""
    trained = trained_on_grey_values
    stack = np.stack([image() * share for share in (0.01, 0.7, 1, 1, 1, 0.7)])
    with warnings.catch_warnings(action="error"):
        trained.predict(stack, axes="ZYX")
    with pytest.warns(ImageWarning, match="much brighter"):
        trained.predict(stack * 16, axes="ZYX")


@pytest.mark.parametrize(("rows", "words"), [(16, "25.0% of the pixels"), (0, "less than 0.1%")])
def test_pixels_that_are_no_numbers_are_said(trained, rows, words):
    holed = image()
    holed[:rows] = np.nan
    holed[-1, -1] = np.inf
    with pytest.warns(ImageWarning, match=rf"{words}.*; they are treated as average grey\."):
        trained.predict(holed)
    with pytest.warns(ImageWarning, match=rf"Image 1 has NaN or infinite values \({words}"):
        MSDSegmenter(**SMALL).fit(holed, strokes(1, 2), max_steps=1)


def test_learning_from_images_of_other_grey_values_is_said():
    segmenter = MSDSegmenter(**SMALL, normalise="first")
    with pytest.warns(ImageWarning, match="Image 2 is much brighter than the first one") as caught:
        segmenter.fit([image(), image() * 16], [strokes(1, 2)] * 2, max_steps=1)
    assert [w.message.number for w in caught] == [1]
    with pytest.warns(ImageWarning, match="Image 1 is much darker than those the model was"):
        segmenter.fit(image() / 255, strokes(1, 2), max_steps=1)


# --- interrupted ------------------------------------------------------------------------------


def test_interrupted_training_keeps_the_best_so_far():
    segmenter = MSDSegmenter(**SMALL)

    def interrupt(progress):
        if progress.step > 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        segmenter.fit(image(), strokes(1, 2), seconds=1e6, callback=interrupt)
    assert segmenter.predict(image()).shape == SHAPE
    assert segmenter.history_[-1]["step"] > 5


@pytest.mark.parametrize("settings", [{}, {"pretrained": False}])
def test_interrupted_at_the_first_look(settings, monkeypatch):
    def interrupt(progress):
        raise KeyboardInterrupt

    segmenter = MSDSegmenter(**SMALL, **settings)
    with pytest.raises(KeyboardInterrupt):
        segmenter.fit(image(), strokes(1, 2), max_steps=1, callback=interrupt)
    assert segmenter.predict(image()).shape == SHAPE


def test_a_network_too_large_to_be_saved_is_refused_before_it_is_trained():
    segmenter = MSDSegmenter(depth=1000, width=10)
    with pytest.raises(ModelFileError, match="could not be saved: its weights need 1715 MiB"):
        segmenter.fit(image(), strokes(1, 2), max_steps=1)
    assert repr(segmenter).endswith("nothing learned yet>")


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
        (None, strokes(1, 2), ImageError, "There is no image: None was given; give an array"),
        (image(), None, StrokesError, "There is no annotation: None was given"),
        ("cells.tif", strokes(1, 2), ImageError, "not the name of a file; open 'cells.tif' first"),
        (image(), Path("a.tif"), StrokesError, "annotation must be an array, not the name"),
        ([image(), None], [strokes(1, 2)] * 2, ImageError, "There is no image"),
        ([[[1, 2], [3]]], strokes(1, 2), ImageError, "not an array of numbers"),
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
    with pytest.raises(SettingsError, match="seconds"):
        MSDSegmenter(**SMALL).fit(image(), strokes(1, 2), seconds="long")
    with pytest.raises(SettingsError, match="seed must be"):
        MSDSegmenter(seed=-1)
    with pytest.raises(ModelFileError, match="Nothing was learned"):
        MSDSegmenter().predict(image())
    with pytest.raises(ModelFileError, match="Nothing was learned"):
        MSDSegmenter().save(tmp_path / "m")
    with pytest.raises(ModelFileError, match="no model file"):
        MSDSegmenter.load(tmp_path / "missing.safetensors")
    segmenter = MSDSegmenter(**SMALL).fit(image(), strokes(1, 2), max_steps=2)
    with pytest.raises(ModelFileError, match="channel"):
        segmenter.predict(image(3))
    for nothing, words in ((None, "None was given"), ("a.tif", "not the name of a file")):
        with pytest.raises(ImageError, match=words):
            segmenter.predict(nothing)
    with pytest.raises(ImageError, match="Axes are up to 8 letters"):
        segmenter.predict(image(), axes=2)
    with pytest.raises(ModelFileError, match=r"saved as 'x\.pt'"):
        segmenter.save(tmp_path / "x.pt")
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
