"""Exported labels: read back equal with their story, or not written at all."""

import json
from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from napari_msd.core.class_names import clean_class_name
from napari_msd.core.errors import BadInputError, ExportError
from napari_msd.images.export import export_labels
from napari_msd.images.image_files import read_image, read_labels

NAMES = {1: "background", 2: "Zellkern α"}


def labels_of(shape, high=4, dtype=np.uint8):
    return np.random.default_rng(1).integers(0, high, shape).astype(dtype)


@pytest.mark.parametrize("suffix", [".tif", ".TIFF", ".ome.tif", ".png", ".npy"])
@pytest.mark.parametrize("shape", [(1, 1), (7, 3), (3, 4), (33, 65)])
def test_image_reads_back_equal(tmp_path, suffix, shape):
    labels = labels_of(shape)
    path = export_labels(tmp_path / f"labels{suffix}", labels, class_names=NAMES)
    np.testing.assert_array_equal(read_labels(path).data, labels)
    assert [p.name for p in tmp_path.iterdir()] == [f"labels{suffix}"]


@pytest.mark.parametrize("suffix", [".tif", ".ome.tif", ".npy"])
@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((5, 8, 9), "ZYX"),
        ((3, 8, 9), "TYX"),
        ((5, 8, 3), "ZYX"),
        ((2, 5, 8, 9), "TZYX"),
        ((2, 5, 3, 8, 9), "TZCYX"),
    ],
)
def test_stack_reads_back_equal(tmp_path, suffix, shape, axes):
    labels = labels_of(shape)
    path = export_labels(tmp_path / f"labels{suffix}", labels, axes=axes)
    image = read_labels(path)
    np.testing.assert_array_equal(image.data, labels)
    if suffix != ".npy":
        assert image.axes == axes


@pytest.mark.parametrize("suffix", [".tif", ".ome.tif", ".png"])
def test_pixel_size_units_and_class_names_survive(tmp_path, suffix):
    path = export_labels(
        tmp_path / f"labels{suffix}",
        labels_of((20, 30)),
        class_names=NAMES,
        scale=(0.65, 0.325),
        units=("micrometer", "micrometer"),
        axes=("y", "x"),
    )
    image = read_labels(path)
    assert image.scale == (0.65, 0.325)
    assert image.units == ("micrometer", "micrometer")
    assert image.axes == "YX"
    assert image.class_names == NAMES


REAL = {
    1: "می\u200cخواهم",
    2: "क्\u200dष",
    3: "👩\u200d👩\u200d👧 ❤\ufe0f",
    4: "Zell\u00adkern",
    5: "<b>&amp;\"'\\ ]]> =",
    255: "a" * 100,
}


@pytest.mark.parametrize("suffix", [".tif", ".ome.tif", ".png"])
def test_names_in_any_language_come_back(tmp_path, suffix):
    path = export_labels(tmp_path / f"a{suffix}", labels_of((8, 9)), class_names=REAL)
    assert read_labels(path).class_names == REAL


@pytest.mark.parametrize("suffix", [".tif", ".ome.tif", ".png"])
@given(text=st.text(st.characters(codec=None), max_size=150))
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_as_a_name_leaves_a_readable_file(tmp_path, suffix, text):
    path = export_labels(tmp_path / f"a{suffix}", labels_of((8, 9)), class_names={1: text})
    assert read_labels(path).class_names == {1: clean_class_name(text)}
    if suffix == ".ome.tif":
        with tifffile.TiffFile(path) as tif:
            ElementTree.fromstring(tif.ome_metadata)


@pytest.mark.parametrize("suffix", [".tif", ".ome.tif", ".png"])
@pytest.mark.parametrize("size", [1e-300, 1e-12, 1e12, 1e300])
def test_extreme_pixel_sizes_do_not_break_a_file(tmp_path, suffix, size):
    for unit in ("pixel", "micrometer"):
        path = tmp_path / f"a{suffix}"
        export_labels(path, labels_of((8, 9)), scale=(size, size), units=unit)
        assert read_labels(path).scale in (None, (size, size))


def test_odd_units_are_kept_readable(tmp_path):
    for suffix in (".tif", ".ome.tif", ".png"):
        path = tmp_path / f"a{suffix}"
        export_labels(path, labels_of((8, 9)), scale=(2, 2), units=["a\0b\n", "\ud800"])
        assert read_labels(path).units == ("ab", "pixel")


def test_imagej_sees_axes_pixel_size_and_visible_classes(tmp_path):
    path = export_labels(
        tmp_path / "labels.tif",
        labels_of((5, 20, 30)),
        class_names=NAMES,
        scale=(2000, 650, 325),
        units="nanometer",
        axes="ZYX",
    )
    with tifffile.TiffFile(path) as tif:
        about = tif.imagej_metadata
        x, y = tif.pages[0].resolution
        assert tif.series[0].axes == "ZYX"
    assert (about["unit"], about["spacing"], about["slices"]) == ("micron", 2.0, 5)
    assert (1 / x, 1 / y) == pytest.approx((0.325, 0.65))
    assert (about["min"], about["max"]) == (0.0, 3.0)
    assert "class 2: Zellkern α" in about["Info"]


def test_ome_carries_pixel_size_and_class_names(tmp_path):
    path = export_labels(
        tmp_path / "labels.ome.tif",
        labels_of((20, 30)),
        class_names=NAMES,
        scale=(0.65, 0.325),
        units="micrometer",
    )
    with tifffile.TiffFile(path) as tif:
        ome = tifffile.xml2dict(tif.ome_metadata)["OME"]
    pixels = ome["Image"]["Pixels"]
    assert (pixels["PhysicalSizeX"], pixels["PhysicalSizeXUnit"]) == (0.325, "µm")
    assert "Zellkern α" in json.dumps(ome["StructuredAnnotations"], ensure_ascii=False)


def test_png_says_its_resolution(tmp_path):
    path = export_labels(
        tmp_path / "a.png", labels_of((9, 9)), scale=(2e-3, 1e-3), units="millimeter"
    )
    with Image.open(path) as png:
        assert png.info["dpi"] == pytest.approx((25400, 12700), rel=1e-3)


@pytest.mark.parametrize(("high", "kind"), [(256, "imagej"), (65536, "imagej"), (2**20, "ome")])
def test_smallest_type_and_format_that_hold_the_values(tmp_path, high, kind):
    labels = labels_of((50, 50), high, np.int64)
    labels[0, 0] = high - 1
    path = export_labels(tmp_path / "labels.tif", labels)
    with tifffile.TiffFile(path) as tif:
        assert tif.series[0].kind == kind
        np.testing.assert_array_equal(tif.asarray(), labels)


@pytest.mark.parametrize(
    ("name", "values"),
    [("a.tif", [-1, 3]), ("a.tif", [-70_000, 0]), ("a.npy", [-1, 2**40]), ("a.npy", [0, 2**62])],
)
def test_labels_of_other_plugins_are_not_lost(tmp_path, name, values):
    labels = np.array([values] * 2)
    path = export_labels(tmp_path / name, labels)
    np.testing.assert_array_equal(read_image(path).data, labels)


def test_axes_out_of_order_become_ome(tmp_path):
    path = export_labels(tmp_path / "labels.tif", labels_of((3, 4, 8, 9)), axes="ZTYX")
    with tifffile.TiffFile(path) as tif:
        assert (tif.series[0].kind, tif.series[0].axes) == ("ome", "ZTYX")


def test_unknown_axis_names_mean_the_usual_axes(tmp_path):
    path = export_labels(tmp_path / "labels.tif", labels_of((3, 8, 9)), axes=("-3", "-2", "-1"))
    assert read_labels(path).axes == "ZYX"


def test_unknown_unit_is_kept(tmp_path):
    path = export_labels(tmp_path / "a.tif", labels_of((8, 9)), scale=(2, 2), units="furlong")
    assert read_labels(path).units == ("furlong", "furlong")


def test_lazy_labels(tmp_path):
    dask = pytest.importorskip("dask.array")
    labels = labels_of((30, 40))
    path = export_labels(tmp_path / "a.npy", dask.from_array(labels, chunks=16))
    np.testing.assert_array_equal(np.load(path), labels)


@pytest.mark.parametrize(
    ("name", "labels", "sentence"),
    [
        ("a.jpg", labels_of((4, 4)), r"end the name in \.tif"),
        ("a", labels_of((4, 4)), "cannot be saved as"),
        ("a.png", labels_of((2, 4, 4)), "PNG holds one image.*save them as TIFF"),
        ("a.png", labels_of((4, 4), 2**20, np.int32), "PNG holds values from 0"),
        ("a.tif", np.zeros((4, 4)), "whole numbers"),
        ("a.tif", np.zeros((0, 4), np.uint8), "empty"),
        ("a.png", np.full((4, 4), -1), "PNG holds values from 0"),
        ("a.tif", np.full((4, 4), 2**40), "32 bits; save these labels as NPY"),
        ("a.tif", np.zeros((1,) * 6, np.uint8), "6 axes"),
    ],
)
def test_what_cannot_be_saved_is_one_sentence(tmp_path, name, labels, sentence):
    with pytest.raises(BadInputError, match=sentence):
        export_labels(tmp_path / name, labels)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("scale", [(1.0,), (0.0, 1.0), (float("nan"), 1.0)])
def test_wrong_pixel_size(tmp_path, scale):
    with pytest.raises(BadInputError, match=r"[Pp]ixel"):
        export_labels(tmp_path / "a.tif", labels_of((4, 4)), scale=scale)


@pytest.mark.parametrize("suffix", [".tif", ".ome.tif", ".png", ".npy"])
@pytest.mark.parametrize("room", [0, 700])
def test_full_disk_leaves_nothing_and_loses_nothing(tmp_path, full_disk, suffix, room):
    target = tmp_path / f"labels{suffix}"
    target.write_bytes(b"older result")
    with full_disk(room), pytest.raises(ExportError, match="disk is full"):
        export_labels(target, labels_of((200, 200)))
    assert target.read_bytes() == b"older result"
    assert [p.name for p in tmp_path.iterdir()] == [target.name]


def test_unwritable_folder(tmp_path, unwritable):
    with unwritable(), pytest.raises(ExportError, match="may not be written to; choose another"):
        export_labels(tmp_path / "a.tif", labels_of((4, 4)))


def test_missing_folder_and_folder_in_the_way(tmp_path):
    with pytest.raises(ExportError, match="folder does not exist"):
        export_labels(tmp_path / "none" / "a.tif", labels_of((4, 4)))
    (tmp_path / "b.tif").mkdir()
    with pytest.raises(ExportError, match="a folder has this name"):
        export_labels(tmp_path / "b.tif", labels_of((4, 4)))
    assert [p.name for p in tmp_path.iterdir()] == ["b.tif"]


def test_link_is_followed(tmp_path):
    real = tmp_path / "real.npy"
    real.write_bytes(b"old")
    try:
        (tmp_path / "link.npy").symlink_to(real)
    except OSError:
        pytest.skip("links need a permission here")
    export_labels(tmp_path / "link.npy", labels_of((4, 4)))
    np.testing.assert_array_equal(np.load(real), labels_of((4, 4)))
    assert (tmp_path / "link.npy").is_symlink()


@pytest.mark.parametrize("name", ["a\0b.tif", "a\0.npy", "\0.png"])
def test_an_impossible_name_is_our_error(tmp_path, name):
    with pytest.raises(ExportError, match="name is impossible"):
        export_labels(f"{tmp_path}/{name}", labels_of((4, 4)))
