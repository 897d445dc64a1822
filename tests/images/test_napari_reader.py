"""Exported labels as napari opens them: what was written comes back, other files are left alone."""

import fnmatch
import json

import numpy as np
import pytest
import tifffile
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from napari.layers import Labels
from PIL import Image, PngImagePlugin
from vispy.color import Color

from napari_msd.core.errors import ImageError
from napari_msd.core.palette import class_color
from napari_msd.images import napari_reader
from napari_msd.images.export import SUFFIXES, export_labels
from napari_msd.images.image_files import read_image
from napari_msd.images.label_metadata import METADATA_KEY, LabelMetadata
from napari_msd.images.napari_reader import read_layers, reader_of
from napari_msd.images.napari_writer import CLASSES_KEY, write_labels
from napari_msd.images.our_labels import holds_our_labels

from ..test_project import ROOT

EVERY = [".tif", ".tiff", ".ome.tif", ".png", ".npy"]
CLASSES = {
    "1": {"name": "background", "color": "#112233"},
    "3": {"name": "Zellkern α", "color": "#ff00aa"},
}


def strokes(shape=(20, 30), dtype=np.uint8):
    return np.random.default_rng(0).choice([0, 1, 3], shape).astype(dtype)


def labels_layer(data=None, **changes):
    about = {"scale": (0.5, 0.25), "units": ("um", "um"), "axis_labels": ("y", "x")}
    data = strokes() if data is None else data
    return Labels(data, metadata={CLASSES_KEY: CLASSES}, **(about | changes))


def written(folder, name, layer):
    (path,) = write_labels(str(folder / name), *layer.as_layer_data_tuple()[:2])
    return path


def opened(path):
    ((data, attributes, kind),) = reader_of(path)(path)
    assert kind == "labels"
    return Labels(data, **attributes)


@pytest.mark.parametrize("suffix", EVERY)
def test_a_layer_comes_back_as_it_was_saved(tmp_path, suffix):
    layer = labels_layer()
    again = opened(written(tmp_path, f"a{suffix}", layer))
    np.testing.assert_array_equal(again.data, layer.data)
    assert again.metadata[CLASSES_KEY]["1"] == CLASSES["1"]
    assert again.metadata[CLASSES_KEY]["3"] == CLASSES["3"]
    assert set(again.metadata[CLASSES_KEY]) == {"1", "3"}
    np.testing.assert_allclose(again.get_color(3), [1, 0, 0xAA / 255, 1], atol=1e-3)
    assert again.get_color(0) is None or again.get_color(0)[3] == 0
    assert tuple(again.scale) == (0.5, 0.25)
    assert [str(unit) for unit in again.units] == ["micrometer", "micrometer"]
    assert again.axis_labels == ("y", "x")


@pytest.mark.parametrize("suffix", [".tif", ".ome.tif", ".npy"])
def test_a_stack_with_sizes_in_pixels_comes_back(tmp_path, suffix):
    data = strokes((4, 8, 9))
    layer = labels_layer(data, scale=(3, 1, 1), units=("pixel",) * 3, axis_labels=("t", "y", "x"))
    again = opened(written(tmp_path, f"a{suffix}", layer))
    np.testing.assert_array_equal(again.data, data)
    assert tuple(again.scale) == (3, 1, 1)
    assert again.axis_labels == ("t", "y", "x")


def test_values_above_all_classes_stay_visible(tmp_path):
    data = strokes(dtype=np.uint16)
    data[0, 0] = 700
    again = opened(written(tmp_path, "a.tif", labels_layer(data)))
    np.testing.assert_array_equal(again.data, data)
    assert again.get_color(700)[3] == 1
    assert again.colormap.color_dict[2].tolist() == Color(class_color(2)).rgba.tolist()


def test_labels_without_classes_keep_the_colours_of_napari(tmp_path):
    path = export_labels(tmp_path / "a.tif", strokes())
    ((_, attributes, _),) = read_layers(str(path))
    assert "colormap" not in attributes
    assert "metadata" not in attributes


def test_a_unit_that_napari_does_not_know_does_not_prevent_opening(tmp_path):
    path = export_labels(tmp_path / "a.npy", strokes(), units=("um", "glorp"), scale=(2, 3))
    layer = opened(str(path))
    assert [str(unit) for unit in layer.units] == ["micrometer", "pixel"]


@pytest.mark.parametrize("suffix", EVERY)
def test_files_of_versions_without_colours_open(tmp_path, suffix, monkeypatch):
    to_json = LabelMetadata.to_json

    def earlier(about):
        data = json.loads(to_json(about))
        del data["class_colors"]
        return json.dumps(data)

    monkeypatch.setattr(LabelMetadata, "to_json", earlier)
    layer = opened(written(tmp_path, f"a{suffix}", labels_layer()))
    assert layer.metadata[CLASSES_KEY]["1"] == {"name": "background", "color": class_color(1)}


# --- files of others -----------------------------------------------------------------------------


def test_files_of_others_are_left_to_others(tmp_path):
    data = strokes()
    tifffile.imwrite(tmp_path / "a.tif", data)
    tifffile.imwrite(tmp_path / "b.tif", data, imagej=True, metadata={"Info": "class 1: cell"})
    tifffile.imwrite(tmp_path / "c.ome.tif", data, ome=True)
    Image.fromarray(data).save(tmp_path / "d.png")
    np.save(tmp_path / "e.npy", data)
    (tmp_path / "f.npy").write_bytes((tmp_path / "e.npy").read_bytes() + b"\nother text\n")
    (tmp_path / "g.tif").write_bytes(b"")
    (tmp_path / "h.txt").write_text(f"{METADATA_KEY}=")
    (tmp_path / "i.npy").mkdir()
    paths = [*map(str, sorted(tmp_path.iterdir())), str(tmp_path / "missing.tif"), "a\0.png"]
    assert len(paths) == 11
    assert [path for path in paths if reader_of(path) is not None] == []


def test_a_list_of_paths_is_left_to_others(tmp_path):
    path = written(tmp_path, "a.tif", labels_layer())
    assert reader_of([path, path]) is None


@pytest.mark.parametrize("suffix", EVERY)
def test_a_file_is_claimed_without_its_pixels(tmp_path, suffix, monkeypatch):
    path = written(tmp_path, f"a{suffix}", labels_layer())

    def read(*args, **kwargs):
        pytest.fail("pixels were read")

    for place, name in [(tifffile.TiffPage, "asarray"), (np, "load"), (Image.Image, "load")]:
        monkeypatch.setattr(place, name, read)
    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", read)
    assert holds_our_labels(path)


@pytest.mark.parametrize("suffix", EVERY)
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_files_are_refused_in_one_sentence_or_read(tmp_path, suffix, data):
    whole = tmp_path / f"whole{suffix}"
    if not whole.exists():
        written(tmp_path, whole.name, labels_layer())
    content = bytearray(whole.read_bytes())
    for _ in range(data.draw(st.integers(0, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    reader = reader_of(str(path))
    if reader is None:
        return
    problem = ""
    try:
        ((labels, attributes, _),) = reader(str(path))
        Labels(labels, **attributes)
    except ImageError as error:
        problem = str(error)
    assert "\n" not in problem
    assert len(problem) < 1000


HOSTILE = {
    "a scale of 400 digits": {"scale": [int("9" * 400), 1]},
    "infinity": {"scale": [float("inf"), 1]},
    "a scale of nothing": {"scale": None, "units": 3},
    "a name that is no text": {"class_names": {"1": ["cell"]}},
    "an empty name for a value": {"class_names": {"": "cell"}},
    "values of 10000 digits": {"class_names": {"9" * 10_000: "cell"}},
    "a list for a table": {"class_names": ["cell"]},
    "colours in a list": {"class_colors": ["#112233"]},
    "a text of more than a megabyte": {"axes": "Y" * (1 << 20)},
    "nothing": {"axes": None, "scale": None, "units": None, "class_names": None},
}


@pytest.mark.parametrize("what", HOSTILE)
@pytest.mark.parametrize("suffix", [".tif", ".ome.tif", ".png", ".npy"])
def test_hostile_metadata_are_one_sentence(tmp_path, suffix, what, monkeypatch):
    good = {"axes": "YX", "scale": [1, 1], "units": ["um", "um"], "class_names": {"1": "cell"}}
    text = json.dumps(good | HOSTILE[what])
    monkeypatch.setattr(LabelMetadata, "to_json", lambda about: text)
    path = str(export_labels(tmp_path / f"a{suffix}", strokes()))
    np.testing.assert_array_equal(read_image(path).data, strokes())  # the pixels are good
    assert LabelMetadata.from_json(text, 2) is None
    reader = reader_of(path)
    if reader is not None:  # a text that is too long is not looked at
        with pytest.raises(ImageError, match=r"^The names and sizes in .* are damaged; open it"):
            reader(path)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
        lambda inner: (
            st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
        ),
        max_leaves=12,
    ),
    st.sampled_from(["axes", "scale", "units", "class_names", "class_colors", ""]),
)
def test_any_json_as_metadata(value, key):
    good = {"axes": "YX", "scale": [1, 1], "units": ["um", "um"], "class_names": {"1": "cell"}}
    about = LabelMetadata.from_json(json.dumps(good | {key: value} if key else value), 2)
    if about is not None:
        assert (
            about.normalise(2, about.class_names, about.scale, about.units, about.axes) is not None
        )
        assert all(color.startswith("#") for color in about.class_colors.values())


def test_numbers_behind_the_trailer_are_not_read(tmp_path):
    path = export_labels(tmp_path / "a.npy", strokes(), class_names={1: "cell"})
    np.testing.assert_array_equal(np.load(path), strokes())
    np.testing.assert_array_equal(np.load(path, mmap_mode="r"), strokes())


# --- what napari asks for ------------------------------------------------------------------------


def patterns():
    manifest = yaml.safe_load((ROOT / "napari.yaml").read_text("utf-8"))
    readers = manifest["contributions"]["readers"]
    (reader,) = [r for r in readers if r["command"] == "napari-msd.read_labels"]
    return reader["filename_patterns"]


def claimed(name):
    return any(fnmatch.fnmatch(name, pattern) for pattern in patterns())


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    "stem", ["cells-labels", "cells segmentation", "cells_segmentation", "strokes", "strokes 2"]
)
def test_names_that_the_plugin_suggests_are_claimed(stem, suffix):
    assert claimed(stem + suffix)


@pytest.mark.parametrize(
    "name", ["cells.tif", "labels.png", "brushstrokes.tif", "segmentation.npy"]
)
def test_other_names_are_not(name):
    assert not claimed(name)


def test_every_unit_is_known_to_napari():
    for unit in napari_reader._UNITS.values():
        Labels(np.ones((1, 1), int), units=(unit, unit))
