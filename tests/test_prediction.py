"""Stacks, volumes and images larger than memory, from Python: exact, lazy, resumable."""

import tracemalloc

import dask.array
import numpy as np
import pytest
import zarr

from napari_msd import MSDSegmenter, open_source, prediction
from napari_msd.core.box import Box
from napari_msd.core.errors import (
    ImageError,
    ImageWarning,
    ModelFileError,
    SettingsError,
    StrokesError,
)
from napari_msd.core.space import Space
from napari_msd.images import model_file
from napari_msd.images.export import export_labels
from napari_msd.images.image_files import read_image, read_labels
from napari_msd.images.sources import AxesSource
from napari_msd.images.zarr_sink import OmeZarrSink
from napari_msd.inference import slab_pixels

SMALL = {"depth": 3, "patch_size": 16, "learning_rate": 0.02, "trees": False, "pretrained": False}
SHAPE = (10, 40, 52)
MODES = ("2d", "2.5d", "3d")


def volume(channels=0):
    rng = np.random.default_rng(0)
    grey = np.repeat([50.0, 120.0], SHAPE[2] // 2) + rng.normal(0, 8, SHAPE)
    grey = grey.astype(np.float32)
    return np.stack([grey * (i + 1) for i in range(channels)]) if channels else grey


def strokes(*slices):
    labels = np.zeros(SHAPE, np.uint8)
    for z in slices:
        labels[z, 4:36, 8:12] = 1
        labels[z, 4:36, 38:42] = 2
    return labels


@pytest.fixture(scope="module", params=MODES)
def fitted(request):
    segmenter = MSDSegmenter(mode=request.param, **SMALL)
    return segmenter.fit(volume(), strokes(4), max_steps=12, axes="ZYX")


@pytest.fixture
def small_tiles(monkeypatch):
    """Many tiles and blocks, as a large image has."""
    monkeypatch.setattr(prediction, "TILE", {2: (16, 16), 3: (8, 16, 16)})
    monkeypatch.setattr(slab_pixels, "ONE_BLOCK", 100)
    monkeypatch.setattr(slab_pixels, "BLOCK_SHAPE", {2: (12, 12), 3: (4, 12, 12)})


class Watched:
    """An array that remembers which parts of it were read."""

    def __init__(self, array):
        self._array, self.shape, self.dtype = array, array.shape, array.dtype
        self.read = []

    def __getitem__(self, index):
        part = self._array[index]
        self.read.append((index, part.size))
        return part


def test_every_mode_learns_a_stack(fitted):
    labels = fitted.predict(volume())
    assert labels.shape == SHAPE
    wanted = np.repeat([1, 2], SHAPE[2] // 2)[None, None, :]
    assert (labels == wanted).mean() > 0.9
    probabilities = fitted.predict_proba(volume())
    assert probabilities.shape == (2, *SHAPE)
    np.testing.assert_allclose(probabilities.sum(axis=0), 1, atol=1e-5)


def test_a_model_remembers_how_it_sees(fitted, tmp_path):
    loaded = MSDSegmenter.load(fitted.save(tmp_path / "a"))
    assert loaded.settings.mode == fitted.settings.mode
    np.testing.assert_array_equal(loaded.predict(volume()), fitted.predict(volume()))
    loaded.fit(volume(), strokes(4), max_steps=2, axes="ZYX")
    assert loaded.steps_ == 14


def test_tiles_fit_together_exactly(fitted, monkeypatch):
    whole = fitted.predict_proba(volume())
    monkeypatch.setattr(prediction, "TILE", {2: (16, 16), 3: (8, 16, 16)})
    np.testing.assert_allclose(fitted.predict_proba(volume()), whole, atol=1e-5)


def test_blocks_give_the_same_as_whole_slabs(fitted, monkeypatch):
    """Grey values of a large slab are those of some blocks: here of all."""
    monkeypatch.setattr(slab_pixels, "SAMPLED", 100)
    whole = fitted.predict_proba(volume())
    monkeypatch.setattr(prediction, "TILE", {2: (16, 16), 3: (8, 16, 16)})
    monkeypatch.setattr(slab_pixels, "ONE_BLOCK", 100)
    monkeypatch.setattr(slab_pixels, "BLOCK_SHAPE", {2: (12, 12), 3: (4, 12, 12)})
    np.testing.assert_allclose(fitted.predict_proba(volume()), whole, atol=1e-4)


@pytest.mark.parametrize("axes", ["ZYX", "XYZ", "YXZ"])
def test_axes_come_in_any_order(fitted, axes):
    moved = volume().transpose(["ZYX".index(letter) for letter in axes])
    labels = fitted.predict(moved, axes=axes)
    assert labels.shape == moved.shape
    back = labels.transpose([axes.index(letter) for letter in "ZYX"])
    np.testing.assert_array_equal(back, fitted.predict(volume()))


@pytest.mark.parametrize("mode", MODES)
def test_channels_and_frames(mode, tmp_path):
    frames = np.stack([volume(2), volume(2)])  # T, C, Z, Y, X
    painted = np.stack([strokes(), strokes(3)])
    segmenter = MSDSegmenter(mode=mode, **SMALL).fit(frames, painted, max_steps=3, axes="TCZYX")
    assert segmenter.predict(frames).shape == (2, *SHAPE)
    record = model_file.read(segmenter.save(tmp_path / "a"))
    assert (record.n_image_channels, record.axes) == (2, "TCZYX")
    assert record.network_input.mode == mode
    with pytest.raises(ModelFileError, match="2 channels, this image has 1"):
        segmenter.predict(volume(), axes="ZYX")


def test_a_model_says_what_its_images_were(tmp_path):
    source = AxesSource.of(
        volume(2),
        "CZYX",
        pixel_size=(1.0, 0.5, 0.1, 0.1),
        units=("pixel", "um", "um", "um"),
        channel_names=("DAPI", "actin"),
    )
    for mode, ndim in (("2.5d", 2), ("3d", 3)):
        segmenter = MSDSegmenter(mode=mode, **SMALL).fit(source, strokes(3), max_steps=2)
        record = model_file.read(segmenter.save(tmp_path / "a"))
        assert record.channels == ("DAPI", "actin")
        assert record.pixel_size == (0.5, 0.1, 0.1)[-ndim:]
        assert record.units == ("um",) * ndim
    assert record.anisotropy == pytest.approx(5.0)


def test_an_image_without_slices_is_refused_where_they_are_needed(fitted):
    plane = volume()[0]
    if fitted.settings.mode == "2d":
        assert fitted.predict(plane).shape == plane.shape
        return
    with pytest.raises(ModelFileError, match="sees several slices at once"):
        fitted.predict(plane)
    with pytest.raises(ModelFileError, match="train in 2-D"):
        fitted.fit(plane, strokes(4)[4], max_steps=1)


def test_an_image_without_slices_is_learned_in_2d():
    for mode in MODES:
        segmenter = MSDSegmenter(mode=mode, **SMALL)
        segmenter.fit(volume()[4], strokes(4)[4], max_steps=2)
        assert segmenter.predict(volume()[4]).shape == SHAPE[1:]


# --- nothing is read that is not needed -----------------------------------------------------


def test_only_slices_with_strokes_are_read_to_learn(monkeypatch):
    monkeypatch.setattr("napari_msd.inference.domain_shift._ALL", 0)
    monkeypatch.setattr("napari_msd.inference.domain_shift._PLANES", 1)
    for mode, slices in (("2d", {4}), ("2.5d", {3, 4, 5})):
        image = Watched(volume())
        MSDSegmenter(mode=mode, **SMALL).fit(image, strokes(4), max_steps=1, axes="ZYX")
        read = {z for index, _ in image.read for z in range(*index[0].indices(SHAPE[0]))}
        assert read - {0} == slices  # the first one tells the grey values


def test_a_large_plane_is_never_read_as_a_whole(fitted, small_tiles):
    image = Watched(volume())
    fitted.predict(image)
    largest = max(size for _, size in image.read[1:])  # the first are all, for the grey values
    assert largest <= 4 * 12 * 12 * (3 if fitted.settings.mode == "2.5d" else 1)


@pytest.mark.parametrize("kind", ["dask", "zarr"])
def test_lazy_arrays_give_the_same(fitted, kind, tmp_path):
    if kind == "dask":
        image = dask.array.from_array(volume(), chunks=(1, 16, 16))
        painted = dask.array.from_array(strokes(4), chunks=(1, 16, 16))
    else:
        image = zarr.create_array(tmp_path / "a", data=volume(), chunks=(2, 16, 16))
        painted = zarr.create_array(tmp_path / "b", data=strokes(4), chunks=(2, 16, 16))
    np.testing.assert_array_equal(fitted.predict(image), fitted.predict(volume()))
    lazy = MSDSegmenter(**SMALL).fit(image, painted, max_steps=3, axes="ZYX")
    usual = MSDSegmenter(**SMALL).fit(volume(), strokes(4), max_steps=3, axes="ZYX")
    np.testing.assert_array_equal(lazy.predict_proba(image), usual.predict_proba(image))


def test_files_may_be_image_and_annotation(tmp_path):
    np.save(tmp_path / "image.npy", volume(2).transpose(1, 0, 2, 3))  # Z, C, Y, X
    export_labels(tmp_path / "strokes.tif", strokes(4), axes="ZYX")
    usual = MSDSegmenter(**SMALL).fit(volume(2), strokes(4), max_steps=3, axes="CZYX")
    with (
        open_source(tmp_path / "image.npy", axes="ZCYX") as image,
        open_source(tmp_path / "strokes.tif") as painted,
    ):
        segmenter = MSDSegmenter(**SMALL).fit(image, painted, max_steps=3)
        np.testing.assert_array_equal(segmenter.predict(image), usual.predict(volume(2)))
    np.save(tmp_path / "wrong.npy", strokes(4)[:5])
    np.save(tmp_path / "floats.npy", strokes(4).astype(np.float32))
    for name, sentence in (("wrong", "has shape"), ("floats", "whole numbers")):
        with pytest.raises(StrokesError, match=sentence):
            segmenter.fit(image, open_source(tmp_path / f"{name}.npy"), max_steps=1)


def test_lazy_annotations_are_checked_too():
    image = volume()
    for wrong, sentence in (
        (strokes(4)[:5], "has shape"),
        (strokes(4).astype(np.int16) * 200, "values from 0 to 400"),
        (strokes(4).astype(np.float32), "whole numbers"),
        (np.zeros(SHAPE, np.uint8), "at least two classes"),
    ):
        lazy = dask.array.from_array(wrong, chunks=(1, 16, 16))
        with pytest.raises(StrokesError, match=sentence):
            MSDSegmenter(**SMALL).fit(image, lazy, max_steps=1, axes="ZYX")


def test_a_reader_that_fails_says_so(fitted):
    class Broken(Watched):
        def __getitem__(self, index):
            if self.read:
                raise ImageError("The drive is gone.")
            return super().__getitem__(index)

    with pytest.raises(ImageError, match="The drive is gone"):
        fitted.predict(Broken(volume()))


class Ramp:
    """An image without memory of its own: (Y, X), float64."""

    dtype = np.dtype(np.float64)

    def __init__(self, rows):
        self.shape = (rows, 600)

    def __getitem__(self, index):
        ends = (part.indices(n) for part, n in zip(index, self.shape, strict=True))
        rows, columns = (np.arange(*end) for end in ends)
        return rows[:, None] * 7.0 % 50 + columns[None]


def test_memory_does_not_grow_with_the_image(monkeypatch, tmp_path):
    monkeypatch.setattr(prediction, "TILE", {2: (128, 128)})
    monkeypatch.setattr(slab_pixels, "ONE_BLOCK", 100)
    monkeypatch.setattr(slab_pixels, "BLOCK_SHAPE", {2: (128, 128)})
    monkeypatch.setattr("napari_msd.inference.domain_shift._ALL", 0)
    painted = np.zeros((1000, 600), np.uint8)
    painted[10:60, 20:40], painted[10:60, 500:520] = 1, 2
    segmenter = MSDSegmenter(**SMALL | {"depth": 1})
    segmenter.fit(Ramp(1000), painted, max_steps=2, axes="YX")
    most = []
    for rows in (1000, 1000, 4000):  # the first imports and prepares
        tracemalloc.start()
        segmenter.predict_to(Ramp(rows), tmp_path / "a.npy")
        most.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert most[2] < 1.2 * most[1]


# --- into files -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.tif", "a.npy", "a.ome.zarr"])
def test_files_hold_what_python_gives(fitted, tmp_path, name):
    fitted.predict_to(volume(), tmp_path / name)
    np.testing.assert_array_equal(read_labels(tmp_path / name).data, fitted.predict(volume()))
    assert read_labels(tmp_path / name).class_names == {1: "class 1", 2: "class 2"}
    fitted.predict_to(volume(), tmp_path / name, what="probabilities")
    image = read_image(tmp_path / name)
    found = (
        image.data if name.endswith("npy") else np.moveaxis(image.data, image.axes.index("C"), 0)
    )
    np.testing.assert_array_equal(found, fitted.predict_proba(volume()))
    fitted.predict_to(volume(), tmp_path / name, what="uncertainty")
    found = read_image(tmp_path / name).data
    sure = fitted.predict_proba(volume()).max(axis=0)
    assert found[sure > 0.99].max(initial=0) < found[sure < 0.8].min(initial=255)


def test_an_interrupted_prediction_is_gone_on_with(fitted, tmp_path, small_tiles):
    fractions = []

    def interrupt(fraction):
        fractions.append(fraction)
        if fraction > 0.5:
            raise KeyboardInterrupt

    path = tmp_path / "a.ome.zarr"
    with pytest.raises(KeyboardInterrupt):
        fitted.predict_to(volume(), path, origin="a", callback=interrupt)
    assert not path.exists()
    rest = []
    fitted.predict_to(volume(), path, origin="a", callback=rest.append)
    assert rest[0] > 0.5
    assert len(fractions) + len(rest) == len(prediction.tiles_of(space_of(fitted)))
    np.testing.assert_array_equal(read_image(path).data, fitted.predict(volume()))
    assert [found.name for found in tmp_path.iterdir()] == ["a.ome.zarr"]


def space_of(segmenter):
    return Space("ZYX", SHAPE).in_mode(segmenter.settings.mode)


def test_another_network_does_not_go_on(fitted, tmp_path, small_tiles):
    def interrupt(_fraction):
        raise KeyboardInterrupt

    path = tmp_path / "a.ome.zarr"
    with pytest.raises(KeyboardInterrupt):
        fitted.predict_to(volume(), path, callback=interrupt)
    other = MSDSegmenter(mode=fitted.settings.mode, **SMALL)
    other.fit(volume(), strokes(5), max_steps=2, axes="ZYX")
    fractions = []
    other.predict_to(volume(), path, callback=fractions.append)
    assert len(fractions) == len(prediction.tiles_of(space_of(fitted)))


def test_an_own_sink_is_not_closed(fitted, tmp_path):
    sink = OmeZarrSink(
        tmp_path / "a.ome.zarr", fitted._result(fitted._source(volume(), None), "labels", "")
    )
    fitted.predict_to(volume(), sink)
    assert not (tmp_path / "a.ome.zarr").exists()
    assert sink.missing([Box.whole(0, SHAPE)]) == []
    sink.close()


def test_unknown_kind_of_result(fitted, tmp_path):
    with pytest.raises(SettingsError, match="labels, probabilities, uncertainty"):
        fitted.predict_to(volume(), tmp_path / "a.tif", what="mask")
    assert list(tmp_path.iterdir()) == []


def test_the_same_channels_in_another_order_are_said():
    """Names are not enough to change what somebody gives: those of a file may be wrong."""
    image = volume(2)
    usual = AxesSource.of(image, "CZYX", channel_names=("DAPI", "actin"))
    other = AxesSource.of(image[::-1], "CZYX", channel_names=("actin", "DAPI"))
    segmenter = MSDSegmenter(**SMALL)
    with pytest.warns(ImageWarning, match="another order \\(actin, DAPI\\)") as said:
        segmenter.fit([usual, other], [strokes(4), strokes(4)], max_steps=2)
    assert [warning.message.number for warning in said] == [1]
    with pytest.warns(ImageWarning, match="than the network \\(DAPI, actin\\)"):
        segmenter.predict(other)
    segmenter.predict(usual)
    segmenter.predict(other.choose_channels([1, 0]))
