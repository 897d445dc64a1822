"""Images from files: axes and pixel size where known, one sentence for what is no image."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_msd.errors import ImageError
from napari_msd.io.images import read_image, read_labels

GRAY = np.random.default_rng(0).integers(0, 255, (12, 15)).astype(np.uint8)


@pytest.mark.parametrize(
    ("shape", "kwargs", "axes"),
    [
        ((12, 15), {}, "YX"),
        ((5, 12, 15), {}, "ZYX"),
        ((12, 15, 3), {"photometric": "rgb"}, "YXC"),
        ((5, 12, 15), {"imagej": True, "metadata": {"axes": "TYX"}}, "TYX"),
        ((2, 12, 15), {"ome": True, "metadata": {"axes": "CYX"}}, "CYX"),
        ((5, 12, 15, 3), {"photometric": "rgb"}, "ZYXC"),
    ],
)
def test_axes_of_tiff(tmp_path, shape, kwargs, axes):
    data = np.zeros(shape, np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", data, **kwargs)
    image = read_image(tmp_path / "a.tif")
    assert image.axes == axes
    assert image.data.shape == shape


def test_pixel_size_of_imagej_and_ome(tmp_path):
    stack = np.zeros((3, 12, 15), np.uint16)
    tifffile.imwrite(
        tmp_path / "ij.tif",
        stack,
        imagej=True,
        resolution=(4, 2),
        metadata={"axes": "ZYX", "unit": "\\u00B5m", "spacing": 1.5},
    )
    sizes = {"PhysicalSizeX": 0.25, "PhysicalSizeY": 0.5, "PhysicalSizeZ": 1.5}
    tifffile.imwrite(tmp_path / "ome.tif", stack, ome=True, metadata={"axes": "ZYX", **sizes})
    for name in ("ij.tif", "ome.tif"):
        image = read_image(tmp_path / name)
        assert image.scale == (1.5, 0.5, 0.25)
        assert len(image.units) == 3
        assert set(image.units) == {"micrometer"}


def test_alpha_is_not_a_channel_to_learn_from(tmp_path):
    Image.fromarray(np.zeros((12, 15, 4), np.uint8)).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").data.shape == (12, 15, 3)


def test_npy_and_png(tmp_path):
    np.save(tmp_path / "a.npy", GRAY.astype(np.float32))
    Image.fromarray(GRAY).save(tmp_path / "a.png")
    for name in ("a.npy", "a.png"):
        image = read_image(tmp_path / name)
        np.testing.assert_array_equal(image.data, GRAY)
        assert (image.axes, image.scale) == ("YX", None)


def _pickle(path):
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)


def _cut(path):
    tifffile.imwrite(path, np.zeros((200, 200), np.uint8), compression="zlib")
    path.write_bytes(path.read_bytes()[:-50])


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("missing.tif", lambda path: None),
        ("folder.tif", lambda path: path.mkdir()),
        ("empty.tif", lambda path: path.write_bytes(b"")),
        ("text.tif", lambda path: path.write_text("not an image")),
        ("text.png", lambda path: path.write_text("not an image")),
        ("text.npy", lambda path: path.write_text("not an image")),
        ("text.xyz", lambda path: path.write_text("not an image")),
        ("none", lambda path: path.write_text("not an image")),
        ("pickle.npy", _pickle),
        ("cut.tif", _cut),
        ("line.npy", lambda path: np.save(path, np.zeros(5))),
        ("nothing.npy", lambda path: np.save(path, np.zeros((0, 5)))),
        ("complex.npy", lambda path: np.save(path, np.zeros((5, 5), complex))),
        ("many.npy", lambda path: np.save(path, np.zeros((1,) * 7))),
    ],
)
def test_bad_file_is_one_sentence(tmp_path, name, make):
    path = tmp_path / name
    make(path)
    with pytest.raises(ImageError) as caught:
        read_image(path)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize(
    "values", [[[0.5, 1]], [[-1, 1]], [[0, 256]], [[0, float("nan")]], [[0, float("inf")]]]
)
def test_labels_are_whole_numbers_to_255(tmp_path, values):
    np.save(tmp_path / "a.npy", np.array(values))
    with pytest.raises(ImageError, match=r"labels in .* must be"):
        read_labels(tmp_path / "a.npy")


def test_labels_saved_as_numbers_with_a_point(tmp_path):
    np.save(tmp_path / "a.npy", np.array([[0.0, 2.0]]))
    labels = read_labels(tmp_path / "a.npy").data
    assert labels.dtype == np.uint8
    assert labels.tolist() == [[0, 2]]
