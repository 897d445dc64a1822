"""Images from files: axes and pixel size where known, one sentence for what is no image."""

import json
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image, PngImagePlugin

from napari_msd.core.errors import ImageError
from napari_msd.images import free_memory as room
from napari_msd.images.image_files import read_image, read_labels

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


@pytest.mark.parametrize("name", ["x" * 300, "a\0b.tif"])
def test_an_impossible_name_is_one_sentence(name):
    with pytest.raises(ImageError):
        read_image(name)


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


# --- junk in a file's texts: the pixels are still there ---------------------------------------

PIXELS = (
    'DimensionOrder="XYZCT" SizeX="15" SizeY="12" SizeZ="1" SizeC="1" SizeT="1" Type="uint8"'
    "><TiffData/></Pixels>"
)
ODD_OME = {
    "nothing": "",
    "image without pixels": '<Image ID="Image:0"></Image>',
    "empty image": "<Image/>",
    "text in the image": '<Image ID="Image:0">text</Image>',
    "empty pixels": '<Image ID="Image:0"><Pixels/></Image>',
    "huge size": f'<Image><Pixels PhysicalSizeX="{"9" * 400}" PhysicalSizeY="1" {PIXELS}</Image>',
    "infinite size": f'<Image><Pixels PhysicalSizeX="inf" PhysicalSizeY="nan" {PIXELS}</Image>',
    "two images": f"<Image><Pixels {PIXELS}</Image><Image/>",
}


@pytest.mark.parametrize("kind", ODD_OME)
def test_odd_ome_does_not_hide_the_pixels(tmp_path, kind):
    """ "'NoneType' object has no attribute 'get'" was shown to the person."""
    schema = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
    ome = f'<?xml version="1.0"?><OME xmlns="{schema}">{ODD_OME[kind]}</OME>'
    tifffile.imwrite(tmp_path / "a.ome.tif", GRAY, description=ome, metadata=None)
    image = read_image(tmp_path / "a.ome.tif")
    np.testing.assert_array_equal(image.data, GRAY)
    assert image.axes == "YX"
    assert image.scale in (None, (1.0, 1.0))


def ours(**changes):
    good = {"axes": "YX", "scale": [2.0, 3.0], "units": ["micrometer"] * 2, "class_names": {}}
    return json.dumps({**good, **changes})


JUNK = {
    "400-digit scale": ours(scale=[10**400, 1]),
    "5000-digit scale": ours().replace("2.0", "9" * 5000),
    "infinite scale": ours(scale=[float("inf"), 1]),
    "no scale": ours(scale=None, units=None),
    "text as scale": ours(scale=["wide", "high"]),
    "huge value": ours(class_names={str(10**400): "a"}),
    "5000-digit value": ours(class_names={"9" * 5000: "a"}),
    "list as name": ours(class_names={"1": ["a"]}),
    "list of names": ours(class_names=["a"]),
    "deep": "[" * 100_000,
    "no object": "3",
    "other axes": ours(axes="ZYX"),
}


@pytest.mark.parametrize("suffix", [".png", ".tif", ".ome.tif"])
@pytest.mark.parametrize("kind", JUNK)
def test_junk_in_our_description_does_not_hide_the_pixels(tmp_path, kind, suffix):
    """A 400-digit scale made a good file unreadable."""
    path = tmp_path / f"a{suffix}"
    line = f"napari-msd labels={JUNK[kind]}"
    if suffix == ".png":
        texts = PngImagePlugin.PngInfo()
        texts.add_text("napari-msd labels", JUNK[kind])
        Image.fromarray(GRAY).save(path, pnginfo=texts)
    elif suffix == ".tif":
        tifffile.imwrite(path, GRAY, imagej=True, metadata={"Info": line})
    else:
        tifffile.imwrite(path, GRAY, ome=True, metadata={"axes": "YX", "Description": line})
    image = read_labels(path)
    np.testing.assert_array_equal(image.data, GRAY)
    assert not image.class_names


def test_only_classes_have_names(tmp_path):
    names = {"-5": "a", "0": "b", "1": "c", "255": "d\n", "256": "e", str(10**20): "f"}
    texts = PngImagePlugin.PngInfo()
    texts.add_text("napari-msd labels", ours(class_names=names))
    Image.fromarray(GRAY).save(tmp_path / "a.png", pnginfo=texts)
    image = read_labels(tmp_path / "a.png")
    assert image.class_names == {1: "c", 255: "d"}
    assert image.scale == (2.0, 3.0)


# --- size is looked at before memory is taken -------------------------------------------------


def _png_that_says(width, height):
    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    size = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(1000))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


def _bomb(path):
    """25 000 x 25 000 pixels in 600 kB."""
    tiles = (np.zeros((1264, 1264), np.uint8) for _ in range(400))
    options = {"tile": (1264, 1264), "compression": "zlib"}
    tifffile.imwrite(path, tiles, shape=(25_000, 25_000), dtype=np.uint8, **options)


def _declared(path, shape):
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        file.write(bytes(1000))


def _short(path):
    tifffile.imwrite(path, np.zeros((2000, 2000), np.uint8))
    path.write_bytes(path.read_bytes()[:5000])


def _without_strips(path):
    """Twenty rows that say they are half a billion: minutes were spent on looking for them."""
    data = np.zeros((20, 30), np.uint8)
    tifffile.imwrite(path, data, compression="zlib", rowsperstrip=20)
    with tifffile.TiffFile(path, mode="r+") as tif:
        tif.pages[0].tags["ImageLength"].overwrite(570_425_364, dtype="I")


def test_a_damaged_length_is_no_long_wait(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "available", lambda: 2**60)
    _without_strips(tmp_path / "a.tif")
    with pytest.raises(ImageError, match="most of its pixels are missing"):
        read_image(tmp_path / "a.tif")


BOMBS = {
    "bomb.tif": (_bomb, r"25000 × 25000\) needs 0.6 GiB of memory, and 0.0 GiB are free"),
    "large.png": (lambda p: p.write_bytes(_png_that_says(9000, 9000)), "9000 × 9000"),
    "larger.png": (lambda p: p.write_bytes(_png_that_says(12_000, 12_000)), "12000 × 12000"),
    "huge.png": (lambda p: p.write_bytes(_png_that_says(2**30, 2**30)), "save it as TIFF"),
    "declared.npy": (lambda p: _declared(p, (10**6, 10**6)), "cannot be read"),
    "short.tif": (_short, "cut short"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_before_memory_is_taken(tmp_path, monkeypatch, name):
    make, words = BOMBS[name]
    make(tmp_path / name)
    monkeypatch.setattr(room, "available", lambda: 50_000_000)
    tracemalloc.start()
    with pytest.raises(ImageError, match=words) as caught:
        read_image(tmp_path / name)
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()
    assert str(caught.value).endswith(".")
    assert name in str(caught.value)


def test_more_values_than_the_window_takes_are_refused(monkeypatch):
    monkeypatch.setattr(room, "available", lambda: 2**60)
    room.require_room("a", (2**18, 2**18), 1)
    with pytest.raises(ImageError, match=r"more than 6\.9e"):
        room.require_room("a", (2**18, 2**18, 2), 1)


def test_large_images_with_room_are_read(tmp_path):
    """Pillow warns from 89 million pixels on, which is not an error of the person."""
    Image.fromarray(np.zeros((9500, 9500), np.uint8)).save(tmp_path / "a.png", compress_level=1)
    assert read_image(tmp_path / "a.png").data.shape == (9500, 9500)


def test_labels_that_are_bytes_are_not_copied(tmp_path, monkeypatch):
    data = np.zeros((12, 15), np.uint8)
    np.save(tmp_path / "a.npy", data)
    seen = []
    read = room.require_room
    monkeypatch.setattr(
        "napari_msd.images.image_files.require_room", lambda *a: seen.append(read(*a))
    )
    labels = read_labels(tmp_path / "a.npy").data
    assert labels.flags.owndata
    assert seen == [None]
