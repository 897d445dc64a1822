"""Images opened without reading them: axes in any order, names, sizes, hostile files."""

import json
import pickle
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from napari_msd.core.box import Box
from napari_msd.core.errors import ImageError
from napari_msd.images import free_memory
from napari_msd.images.export import export_labels
from napari_msd.images.image_files import read_image, read_labels
from napari_msd.images.open_source import open_source
from napari_msd.images.told_axes import told_axes

VALUES = np.random.default_rng(0).integers(0, 60_000, (2, 3, 4, 24, 30)).astype(np.uint16)
"""T, C, Z, Y, X."""

BOX = Box(0, (1, 1, 3, 5), (2, 3, 20, 9))
"""T, Z, Y, X."""

EXPECTED = np.moveaxis(VALUES[1:2, :, 1:3, 3:20, 5:9], 1, -1)


def in_order(axes):
    return np.ascontiguousarray(np.transpose(VALUES, ["TCZYX".index(letter) for letter in axes]))


def ome_axes(axes):
    kinds = {"T": "time", "C": "channel"}
    return [{"name": k.lower(), "type": kinds.get(k, "space")} for k in axes]


def write_ome_zarr(path, axes="TCZYX", zarr_format=3, data=None, **more):
    """An OME-Zarr as other programs write it: 0.5 on format 3, 0.4 on format 2."""
    data = in_order(axes) if data is None else data
    group = zarr.create_group(path, zarr_format=zarr_format)
    group.create_array(
        "s0", shape=data.shape, dtype=data.dtype, chunks=(1,) * (data.ndim - 2) + (16, 16)
    )[...] = data
    sizes = {"T": 1.0, "C": 1.0, "Z": 0.5, "Y": 0.2, "X": 0.1}
    named = ome_axes(axes)
    for axis in named:
        if axis["type"] == "space":
            axis["unit"] = "micrometer"
    scale = [{"type": "scale", "scale": [sizes[k] for k in axes]}]
    content = {
        "multiscales": [
            {"axes": named, "datasets": [{"path": "s0", "coordinateTransformations": scale}]}
        ],
        "omero": {"channels": [{"label": name} for name in ("DAPI", "actin", "tubulin")]},
    } | more
    group.attrs.update(content if zarr_format == 2 else {"ome": {"version": "0.5", **content}})
    return path


@pytest.mark.parametrize("axes", ["TCZYX", "TZCYX", "CZTYX", "XYZCT", "YXTZC"])
def test_boxes_of_a_numpy_file_in_any_order(tmp_path, axes):
    np.save(tmp_path / "a.npy", in_order(axes))
    with open_source(tmp_path / "a.npy", axes=axes) as source:
        assert (source.space.axes, source.space.n_channels) == ("TZYX", 3)
        np.testing.assert_array_equal(source.read(BOX), EXPECTED)


@pytest.mark.parametrize("name", ["a.npy", "a.tif", "compressed.tif"])
def test_a_file_that_is_closed_is_not_held(tmp_path, name):
    """Windows lets nobody replace a file that is open; what was read stays."""
    path, image = tmp_path / name, in_order("TCZYX")
    if name == "a.npy":
        np.save(path, image)
    else:
        how = {"compression": "zlib"} if name == "compressed.tif" else {}
        about = {"axes": "TCZYX"}
        tifffile.imwrite(path, image, photometric="minisblack", metadata=about, **how)
    with open_source(path, axes="TCZYX") as source:
        found = source.read(BOX)
    with pytest.raises(ImageError, match="cannot be read as an image"):
        source.read(BOX)
    maps = Path("/proc/self/maps")  # Linux only
    assert str(path) not in (maps.read_text() if maps.exists() else "")
    np.testing.assert_array_equal(found, EXPECTED)


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("axes", ["TCZYX", "TZCYX", "CTZYX"])
def test_ome_zarr_says_its_axes_sizes_and_channels(tmp_path, zarr_format, axes):
    with open_source(write_ome_zarr(tmp_path / "a.zarr", axes, zarr_format)) as source:
        space = source.space
        assert (source.axes, space.axes, space.shape) == (axes, "TZYX", (2, 4, 24, 30))
        assert space.pixel_size == (1.0, 0.5, 0.2, 0.1)
        assert space.units == ("pixel", "micrometer", "micrometer", "micrometer")
        assert space.channel_names == ("DAPI", "actin", "tubulin")
        np.testing.assert_array_equal(source.read(BOX), EXPECTED)


@pytest.mark.parametrize(("z", "found"), [(2.5, (2.5, 0.5, 0.5)), (0.5, None)])
def test_sizes_without_a_unit_tell_how_far_apart_slices_are(tmp_path, z, found):
    """The format does not require units; all sizes alike are no measurement then."""
    scale = [{"type": "scale", "scale": [z, 0.5, 0.5]}]
    multiscale = {
        "axes": ome_axes("ZYX"),
        "datasets": [{"path": "s0", "coordinateTransformations": scale}],
    }
    data = np.arange(6 * 4 * 5, dtype=np.uint16).reshape(6, 4, 5)
    path = write_ome_zarr(tmp_path / "a.zarr", "ZYX", data=data, multiscales=[multiscale])
    with open_source(path) as source:
        assert source.space.pixel_size == found
        assert source.space.anisotropy == pytest.approx(z / 0.5)
    told = told_axes(path)
    assert {k: size for k, (size, _) in told.sizes.items()} == dict(
        zip("ZYX", found or (), strict=False)
    )


def test_tiff_of_ome_and_imagej_say_axes_and_channels(tmp_path):
    names = {"Channel": {"Name": ["DAPI", "actin", "tubulin"]}}
    tifffile.imwrite(
        tmp_path / "a.ome.tif",
        VALUES,
        tile=(16, 16),
        compression="zlib",
        metadata={"axes": "TCZYX", "PhysicalSizeZ": 2.0, **names},
    )
    with open_source(tmp_path / "a.ome.tif") as source:
        assert source.space.channel_names == ("DAPI", "actin", "tubulin")
        assert source.space.pixel_size == (1.0, 2.0, 1.0, 1.0)
        np.testing.assert_array_equal(source.read(BOX), EXPECTED)
    tifffile.imwrite(tmp_path / "a.tif", in_order("TZCYX"), imagej=True, metadata={"axes": "TZCYX"})
    with open_source(tmp_path / "a.tif") as source:
        assert (source.axes, source.space.axes) == ("TZCYX", "TZYX")
        np.testing.assert_array_equal(source.read(BOX), EXPECTED)
    labels = {"axes": "CYX", "Labels": ["DAPI", "actin", "tubulin"]}
    tifffile.imwrite(tmp_path / "c.tif", VALUES[0, :, 0], imagej=True, metadata=labels)
    with open_source(tmp_path / "c.tif") as source:
        assert source.space.channel_names == ("DAPI", "actin", "tubulin")


@pytest.mark.parametrize(
    "options", [{}, {"compression": "zlib"}, {"tile": (16, 16)}, {"byteorder": ">"}]
)
def test_every_layout_of_a_tiff_gives_the_same_boxes(tmp_path, options):
    tifffile.imwrite(tmp_path / "a.tif", VALUES[0, 0], photometric="minisblack", **options)
    with open_source(tmp_path / "a.tif") as source:
        assert source.space.axes == "ZYX"
        box = Box(0, (1, 3, 5), (3, 20, 9))
        np.testing.assert_array_equal(source.read(box), VALUES[0, 0][box.slices])


def test_a_tiff_of_several_images(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(VALUES[0, 0, 0])
        writer.write(VALUES[0, 0, 1, :10])
    with open_source(tmp_path / "a.tif", series=1) as source:
        assert source.space.shape == (10, 30)
    with pytest.raises(ImageError, match="images are 0 to 1"):
        open_source(tmp_path / "a.tif", series=2)


@pytest.mark.parametrize("options", [{}, {"compression": "zlib", "rowsperstrip": 64}])
def test_one_page_of_a_stack_is_read_without_the_others(tmp_path, options):
    stack = np.random.default_rng(0).integers(0, 255, (64, 512, 512), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", stack, **options)
    with open_source(tmp_path / "a.tif") as source:
        source.read(Box(0, (0, 0, 0), (1, 512, 512)))  # imports are no part of it
        tracemalloc.start()
        plane = source.read(Box(0, (40, 0, 0), (41, 512, 512)))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    np.testing.assert_array_equal(plane[0], stack[40])
    assert most < 8 * stack[0].nbytes


def test_unnamed_axes_follow_the_old_rule_and_named_ones_are_kept(tmp_path):
    np.save(tmp_path / "a.npy", VALUES[0, 0])
    assert open_source(tmp_path / "a.npy").axes == "ZYX"
    Image.fromarray(np.zeros((12, 15, 3), np.uint8)).save(tmp_path / "a.png")
    with open_source(tmp_path / "a.png") as source:
        assert (source.axes, source.space.n_channels) == ("YXC", 3)
    group = zarr.create_array(
        tmp_path / "named", shape=(3, 2, 5, 6), dtype="u1", dimension_names=["c", "slice", "y", "x"]
    )
    assert group.shape == (3, 2, 5, 6)
    with open_source(tmp_path / "named") as source:
        assert (source.space.axes, source.space.n_channels) == ("ZYX", 3)


def test_chosen_channels_come_in_the_order_asked_for(tmp_path):
    source = open_source(write_ome_zarr(tmp_path / "a.zarr")).choose_channels([2, 0])
    assert (source.space.n_channels, source.space.channel_names) == (2, ("tubulin", "DAPI"))
    np.testing.assert_array_equal(source.read(BOX), EXPECTED[..., [2, 0]])
    one = source.choose_channels([1])
    assert one.space.channel_names == ("DAPI",)
    np.testing.assert_array_equal(one.read(BOX), EXPECTED[..., 0])


def test_images_of_bioformats2raw_are_numbered(tmp_path):
    root = zarr.create_group(tmp_path / "a.zarr", zarr_format=2)
    root.attrs["bioformats2raw.layout"] = 3
    write_ome_zarr(tmp_path / "a.zarr" / "0", zarr_format=2)
    write_ome_zarr(tmp_path / "a.zarr" / "1", "ZYX", 2, data=VALUES[0, 0])
    assert open_source(tmp_path / "a.zarr").space.axes == "TZYX"
    assert open_source(tmp_path / "a.zarr", series=1).space.axes == "ZYX"
    with pytest.raises(ImageError, match="it has no image 2"):
        open_source(tmp_path / "a.zarr", series=2)


def test_labels_of_an_ome_zarr_have_classes(tmp_path):
    about = {
        "colors": [{"label-value": 1, "rgba": [255, 0, 16, 255]}, {"label-value": 0, "rgba": [0]}],
        "properties": [{"label-value": 1, "name": "nucleus"}, {"label-value": 7.5, "name": "x"}],
    }
    data = np.ones((4, 24, 30), np.uint8)
    write_ome_zarr(tmp_path / "a.zarr", "ZYX", data=data, **{"image-label": about})
    image = read_labels(tmp_path / "a.zarr")
    assert image.class_names == {1: "nucleus"}
    assert image.about is not None
    assert image.about.class_colors == {1: "#ff0010"}
    assert image.scale == (0.5, 0.2, 0.1)
    np.testing.assert_array_equal(image.data, data)


def test_our_own_labels_keep_their_axes(tmp_path):
    labels = np.ones((4, 24, 30), np.uint8)
    for name in ("a.tif", "a.npy"):
        export_labels(
            tmp_path / name, labels, axes="TYX", scale=(1, 0.5, 0.5), units=("s", "um", "um")
        )
        with open_source(tmp_path / name) as source:
            assert (source.axes, source.space.pixel_size) == ("TYX", (1.0, 0.5, 0.5))


# --- hostile and damaged files --------------------------------------------------------------


def damaged(tmp_path, change):
    """An OME-Zarr whose JSON was changed."""
    path = write_ome_zarr(tmp_path / "a.zarr")
    file = path / "zarr.json"
    content = json.loads(file.read_text("utf-8"))
    change(content["attributes"]["ome"])
    file.write_text(json.dumps(content), "utf-8")
    return path


def multiscale(key, value):
    return lambda ome: ome["multiscales"][0].update({key: value})


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda ome: ome.pop("multiscales"), "holds no OME-Zarr image"),
        (lambda ome: ome.update(multiscales=[]), "metadata are damaged"),
        (lambda ome: ome.update(multiscales={"a": 1}), "metadata are damaged"),
        (multiscale("datasets", []), "metadata are damaged"),
        (multiscale("datasets", [{"path": 3}]), "metadata are damaged"),
        (multiscale("datasets", [{"path": "../other"}]), "outside of the image"),
        (multiscale("datasets", [{"path": "/etc"}]), "outside of the image"),
        (multiscale("datasets", [{"path": "s9"}]), "'s9' is missing"),
        (multiscale("axes", ome_axes("YX")), "other axes than its array"),
        (lambda ome: ome.update(plate={}), "plate of many images"),
    ],
)
def test_wrong_metadata_are_one_sentence(tmp_path, change, sentence):
    path = damaged(tmp_path, change)
    with pytest.raises(ImageError, match=sentence) as caught:
        open_source(path)
    assert str(caught.value).endswith(".")
    with pytest.raises(ImageError, match=sentence):
        read_image(path)


@pytest.mark.parametrize("scale", [[0.0] * 5, [1.0], "transform/path", [-1.0] * 5])
def test_impossible_pixel_sizes_count_as_unknown(tmp_path, scale):
    step = [{"type": "scale", "scale": scale}]
    path = damaged(
        tmp_path, multiscale("datasets", [{"path": "s0", "coordinateTransformations": step}])
    )
    assert open_source(path).space.pixel_size is None


def test_strange_channels_count_as_unnamed(tmp_path):
    path = damaged(tmp_path, lambda ome: ome.update(omero={"channels": "many"}))
    assert open_source(path).space.channel_names is None


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"zarr_format": 3}', "\x00" * 9])
def test_damaged_json_is_one_sentence(tmp_path, text):
    path = write_ome_zarr(tmp_path / "a.zarr")
    (path / "zarr.json").write_text(text, "utf-8")
    with pytest.raises(ImageError, match="cannot be read as an image"):
        open_source(path)


def test_damaged_chunk_is_one_sentence_when_it_is_read(tmp_path):
    path = write_ome_zarr(tmp_path / "a.zarr", "ZYX", data=VALUES[0, 0])
    (path / "s0" / "c" / "1" / "0" / "0").write_bytes(b"damaged")
    source = open_source(path)
    source.read(Box(0, (0, 0, 0), (1, 24, 30)))  # the others are good
    with pytest.raises(ImageError, match="cannot be read as an image"):
        source.read(Box(0, (1, 0, 0), (2, 24, 30)))


def test_missing_chunk_has_the_fill_value(tmp_path):
    path = write_ome_zarr(tmp_path / "a.zarr", "ZYX", data=VALUES[0, 0])
    (path / "s0" / "c" / "1" / "0" / "0").unlink()
    plane = open_source(path).read(Box(0, (1, 0, 0), (2, 16, 16)))
    assert not plane.any()


def test_chunks_larger_than_memory_are_refused(tmp_path):
    zarr.create_array(tmp_path / "a", shape=(2**30, 2**30), chunks=(2**30, 2**30), dtype="f8")
    with pytest.raises(ImageError, match="use a part of it"):
        open_source(tmp_path / "a")


class Bomb:
    """Unpickling it would be seen."""

    def __reduce__(self):
        return (pytest.fail, ("the pickle was opened",))


def test_no_pickle_is_opened(tmp_path):
    """zarr's format 2 has a codec that unpickles chunks."""
    path = tmp_path / "a.zarr"
    path.mkdir()
    about = {
        "zarr_format": 2,
        "shape": [4, 4],
        "chunks": [4, 4],
        "dtype": "|u1",
        "compressor": {"id": "pickle"},
        "fill_value": 0,
        "order": "C",
        "filters": None,
    }
    (path / "0.0").write_bytes(pickle.dumps(Bomb()))
    for change in ({}, {"compressor": None, "filters": [{"id": "pickle"}]}):
        (path / ".zarray").write_text(json.dumps(about | change), "utf-8")
        with pytest.raises(ImageError, match=r"'pickle'|cannot be read"):
            open_source(path)


def test_a_large_tiff_is_opened_and_a_large_tile_refused(tmp_path, monkeypatch):
    """25 000 x 25 000 pixels in 600 kB: they fit where only a tile is read at once."""
    tiles = (np.full((1264, 1264), 7, np.uint8) for _ in range(400))
    options = {"tile": (1264, 1264), "compression": "zlib"}
    tifffile.imwrite(tmp_path / "a.tif", tiles, shape=(25_000, 25_000), dtype=np.uint8, **options)
    monkeypatch.setattr(free_memory, "available", lambda: 50_000_000)
    with open_source(tmp_path / "a.tif") as source:
        assert (source.read(Box(0, (9000, 9000), (9100, 9100))) == 7).all()
    monkeypatch.setattr(free_memory, "available", lambda: 1_000_000)
    with pytest.raises(ImageError, match="are free"):
        open_source(tmp_path / "a.tif")


def test_damaged_tiffs_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "short.tif", np.zeros((2000, 2000), np.uint8))
    short = (tmp_path / "short.tif").read_bytes()[:5000]
    (tmp_path / "short.tif").write_bytes(short)
    with pytest.raises(ImageError, match="cut short"):
        open_source(tmp_path / "short.tif")
    data = np.zeros((20, 30), np.uint8)
    tifffile.imwrite(tmp_path / "strips.tif", data, compression="zlib", rowsperstrip=20)
    with tifffile.TiffFile(tmp_path / "strips.tif", mode="r+") as tif:
        tif.pages[0].tags["ImageLength"].overwrite(570_425_364, dtype="I")
    with pytest.raises(ImageError, match="most of its pixels are missing"):
        open_source(tmp_path / "strips.tif")
    (tmp_path / "text.tif").write_text("no TIFF", "utf-8")
    with pytest.raises(ImageError, match="cannot be read as an image"):
        open_source(tmp_path / "text.tif")


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.text(),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(), inside, max_size=3),
    max_leaves=5,
)


def places(content, path=()):
    """Paths to everything in a JSON document."""
    yield path
    items = content.items() if isinstance(content, dict) else enumerate(content)
    for key, value in items:
        if isinstance(value, dict | list):
            yield from places(value, (*path, key))
        else:
            yield (*path, key)


@given(data=st.data())
@settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_no_json_of_a_zarr_leads_to_anything_but_a_sentence(tmp_path, zarr_format, data):
    """Or to an image: many values do not matter."""
    path = tmp_path / f"{zarr_format}.zarr"
    if not path.exists():
        write_ome_zarr(path, "ZYX", zarr_format, data=VALUES[0, 0])
    names = ("zarr.json", "s0/zarr.json") if zarr_format == 3 else (".zattrs", "s0/.zarray")
    file = path / data.draw(st.sampled_from(names))
    good = file.read_text("utf-8")
    content = json.loads(good)
    (*way, last) = data.draw(st.sampled_from([place for place in places(content) if place]))
    inside = content
    for key in way:
        inside = inside[key]
    inside[last] = data.draw(JSON)
    file.write_text(json.dumps(content), "utf-8")
    said = "."
    try:
        with open_source(path) as source:
            box = Box.whole(0, source.space.shape)
            source.read(box.clip((2,) * box.ndim))
    except ImageError as error:
        said = str(error)
    finally:
        file.write_text(good, "utf-8")
    assert said.endswith(".")


def test_a_folder_is_no_image(tmp_path):
    with pytest.raises(ImageError, match="is a folder"):
        open_source(tmp_path)
    with pytest.raises(ImageError, match="There is no image"):
        open_source(tmp_path / "none.npy")
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY\x01\x00")
    with pytest.raises(ImageError, match="cannot be read as an image"):
        open_source(tmp_path / "a.npy")
    np.save(tmp_path / "b.npy", VALUES)
    with pytest.raises(ImageError, match="do not fit"):
        open_source(tmp_path / "b.npy", axes="YX")
    with pytest.raises(ImageError, match="one image only"):
        open_source(tmp_path / "b.npy", series=1)
