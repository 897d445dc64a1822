"""Results written box by box: every format reads back with sizes, units and names."""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
import tifffile
import zarr
from napari.layers import Labels

from napari_msd.core.axes import AxisOrder
from napari_msd.core.box import Box
from napari_msd.core.checkpoint import ClassInfo
from napari_msd.core.errors import BadInputError, ExportError
from napari_msd.core.space import Space
from napari_msd.images import flat_sinks, napari_reader
from napari_msd.images.image_files import read_image, read_labels
from napari_msd.images.open_sink import ArraySink, open_sink
from napari_msd.images.open_source import open_source
from napari_msd.images.result import Result
from napari_msd.images.zarr_sink import OmeZarrSink, is_complete

CLASSES = (ClassInfo(1, "background", "#0072b2"), ClassInfo(7, "Zellkern α", "#e69f00"))
UM = "micrometer"
SPACES = {
    "YX": Space("YX", (40, 50), pixel_size=(0.5, 0.25), units=(UM,) * 2),
    "ZYX": Space("ZYX", (3, 40, 50), pixel_size=(2.0, 0.5, 0.25), units=(UM,) * 3),
    "TZYX": Space(
        "TZYX", (2, 3, 40, 50), pixel_size=(1.0, 2.0, 0.5, 0.25), units=("s", UM, UM, UM)
    ),
}


def result_of(axes="ZYX", what="labels", **more):
    return Result(SPACES[axes], what, CLASSES, **more)


def values_of(result):
    rng = np.random.default_rng(0)
    if result.what == "labels":
        return np.array([0, 1, 7], np.uint8)[rng.integers(0, 3, result.space.shape)]
    if result.what == "uncertainty":
        return rng.integers(0, 256, result.space.shape).astype(np.uint8)
    return rng.random((*result.space.shape, len(CLASSES))).astype(np.float32)


def boxes_of(space, seed=0):
    """Boxes that cover the image without overlap, in any order."""
    boxes = list(Box.whole(0, space.shape).tiles((1,) * (space.ndim - 2) + (16, 23)))
    np.random.default_rng(seed).shuffle(boxes)
    return boxes


def write_all(sink, values, boxes):
    for box in boxes:
        sink.write(box, values[box.slices])
    return sink


def with_classes_first(values, axes, letters):
    """Values in the order of a Space, as they lie in a file with these axes."""
    return np.transpose(values, [(axes + "C").index(letter) for letter in letters])


@pytest.mark.parametrize("axes", SPACES)
@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif", "a.npy", "a.ome.zarr"])
def test_labels_read_back_with_all_that_is_known(tmp_path, axes, name):
    result = result_of(axes)
    values = values_of(result)
    write_all(open_sink(tmp_path / name, result), values, boxes_of(result.space)).close()
    found = read_labels(tmp_path / name)
    np.testing.assert_array_equal(found.data, values)
    assert found.axes == axes
    assert found.scale == result.space.pixel_size
    assert found.about is not None
    assert found.class_names == {1: "background", 7: "Zellkern α"}
    assert found.about.class_colors == {1: "#0072b2", 7: "#e69f00"}
    assert found.units[-2:] == (UM, UM)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_png_holds_one_plane(tmp_path):
    result = result_of("YX")
    values = values_of(result)
    write_all(open_sink(tmp_path / "a.png", result), values, boxes_of(result.space)).close()
    np.testing.assert_array_equal(read_labels(tmp_path / "a.png").data, values)
    assert read_labels(tmp_path / "a.png").class_names == {1: "background", 7: "Zellkern α"}
    for other in (result_of("ZYX"), result_of("YX", "probabilities")):
        with pytest.raises(BadInputError, match="one plane"):
            open_sink(tmp_path / "b.png", other)


@pytest.mark.parametrize("axes", SPACES)
@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif", "a.npy", "a.ome.zarr"])
def test_probabilities_have_a_channel_for_each_class(tmp_path, axes, name):
    result = result_of(axes, "probabilities")
    values = values_of(result)
    write_all(open_sink(tmp_path / name, result), values, boxes_of(result.space)).close()
    if name.endswith(".npy"):
        np.testing.assert_array_equal(np.load(tmp_path / name), np.moveaxis(values, -1, 0))
        return
    with open_source(tmp_path / name) as source:
        assert source.space.n_channels == 2
        assert source.space.axes == axes
        assert source.space.pixel_size[-2:] == (0.5, 0.25)
        np.testing.assert_array_equal(source.read(source.space.whole(0)), values)
        if axes == "YX" or name != "a.tif":  # ImageJ names planes, not channels
            assert source.space.channel_names == ("background", "Zellkern α")


@pytest.mark.parametrize("name", ["a.tif", "a.npy", "a.ome.zarr"])
def test_uncertainty_is_no_label_image(tmp_path, name):
    result = result_of("ZYX", "uncertainty")
    values = values_of(result)
    write_all(open_sink(tmp_path / name, result), values, boxes_of(result.space)).close()
    found = read_image(tmp_path / name)
    np.testing.assert_array_equal(found.data, values)
    assert found.about is None


def test_what_others_read_of_a_tiff(tmp_path):
    result = result_of("TZYX", "probabilities")
    values = values_of(result)
    write_all(open_sink(tmp_path / "a.tif", result), values, boxes_of(result.space)).close()
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        assert tif.series[0].axes == "TZCYX"
        assert tif.is_imagej
        assert tif.imagej_metadata["spacing"] == 2.0
        assert tif.imagej_metadata["Labels"][:2] == ["background", "Zellkern α"]
        found = tif.asarray()
    np.testing.assert_array_equal(found, with_classes_first(values, "TZYX", "TZCYX"))


def test_large_ones_are_bigtiff_with_ome(tmp_path, monkeypatch):
    space = Space("ZYX", (4, 40_000, 40_000))
    monkeypatch.setattr(
        flat_sinks.shutil, "disk_usage", lambda _: type("Free", (), {"free": 2**40})
    )
    sink = open_sink(tmp_path / "a.tif", Result(space, classes=CLASSES))
    corner = Box(0, (3, 39_998, 39_997), (4, 40_000, 40_000))
    sink.write(corner, np.full(corner.shape, 7, np.uint8))
    sink.close()
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        assert tif.is_bigtiff
        assert tif.is_ome
    with open_source(tmp_path / "a.tif") as source:
        assert source.space.shape == space.shape
        read = source.read(corner.grow((1, 1, 1)).clip(space.shape))
    assert read.sum() == 7 * corner.size
    assert (read[1, 1:, 1:] == 7).all()


def test_ome_zarr_is_what_the_format_says(tmp_path):
    space = Space("ZYX", (2, 1500, 2100), pixel_size=(2.0, 0.5, 0.25), units=(UM,) * 3)
    result = Result(space, classes=CLASSES, network="0123")
    sink = OmeZarrSink(tmp_path / "cells.ome.zarr", result)
    values = np.arange(np.prod(space.shape), dtype=np.uint32).reshape(space.shape) % 251
    values = values.astype(np.uint8)
    for box in Box.whole(0, space.shape).tiles((1, 333, 512)):
        sink.write(box, values[box.slices])
    sink.close()
    group = zarr.open_group(str(tmp_path / "cells.ome.zarr"), mode="r")
    ome = group.attrs["ome"]
    (multiscale,) = ome["multiscales"]
    assert ome["version"] == "0.5"
    assert multiscale["name"] == "cells"
    assert multiscale["axes"] == [{"name": letter, "type": "space", "unit": UM} for letter in "zyx"]
    assert ome["image-label"]["colors"][1] == {"label-value": 7, "rgba": [230, 159, 0, 255]}
    assert ome["image-label"]["properties"][1] == {"label-value": 7, "name": "Zellkern α"}
    scales = []
    for level, dataset in enumerate(multiscale["datasets"]):
        array = group[dataset["path"]]
        step = 2**level
        np.testing.assert_array_equal(array[...], values[:, ::step, ::step])
        assert array.metadata.dimension_names == ("z", "y", "x")
        scales += [step_["scale"] for step_ in dataset["coordinateTransformations"]]
    assert scales == [[2.0, 0.5, 0.25], [2.0, 1.0, 0.5], [2.0, 2.0, 1.0]]


# --- going on with an unfinished one --------------------------------------------------------


def test_an_unfinished_result_is_gone_on_with(tmp_path):
    result = result_of(network="abc", origin="image")
    values, boxes = values_of(result), boxes_of(result.space)
    first = OmeZarrSink(tmp_path / "a.ome.zarr", result)
    assert not first.resumed
    write_all(first, values, boxes[:10]).leave()
    assert not (tmp_path / "a.ome.zarr").exists()

    again = OmeZarrSink(tmp_path / "a.ome.zarr", result)
    assert again.resumed
    assert again.missing(boxes) == boxes[10:]
    write_all(again, values, boxes[10:])
    assert again.missing([Box.whole(0, result.space.shape)]) == []  # also in other pieces
    again.close()
    np.testing.assert_array_equal(read_labels(tmp_path / "a.ome.zarr").data, values)
    assert [path.name for path in tmp_path.iterdir()] == ["a.ome.zarr"]


@pytest.mark.parametrize(
    "change", [{"network": "other"}, {"origin": "other"}, {"what": "uncertainty"}]
)
def test_another_network_starts_anew(tmp_path, change):
    result = result_of(network="abc", origin="image")
    values, boxes = values_of(result), boxes_of(result.space)
    write_all(OmeZarrSink(tmp_path / "a.ome.zarr", result), values, boxes).leave()
    other = OmeZarrSink(
        tmp_path / "a.ome.zarr", result_of(**{"network": "abc", "origin": "image"} | change)
    )
    assert other.missing(boxes) == boxes
    other.close()
    assert not read_image(tmp_path / "a.ome.zarr").data.any()


def test_a_killed_process_loses_no_block_but_its_last(tmp_path):
    program = f"""
import os, sys
from pathlib import Path
sys.path[:0] = {sys.path!r}
import numpy as np
import psutil
from napari_msd.core.box import Box
from napari_msd.core.space import Space
from napari_msd.images.result import Result
from napari_msd.images.zarr_sink import OmeZarrSink, is_complete
path = Path({str(tmp_path / "a.ome.zarr")!r})
sink = OmeZarrSink(path, Result(Space("ZYX", (3, 40, 50))))
for z in range(2):
    sink.write(Box(0, (z, 0, 0), (z + 1, 40, 50)), np.full((1, 40, 50), z + 5, np.uint8))
os._exit(9)
"""
    killed = subprocess.run([sys.executable, "-c", program], capture_output=True)
    assert killed.returncode == 9, killed.stderr
    progress = next(tmp_path.iterdir()) / "progress.jsonl"
    with progress.open("a", encoding="utf-8") as file:
        file.write("[[2, 0, 0], [3, 4")  # half a line
    sink = OmeZarrSink(tmp_path / "a.ome.zarr", Result(Space("ZYX", (3, 40, 50))))
    planes = list(Box.whole(0, (3, 40, 50)).tiles((1, 40, 50)))
    assert sink.missing(planes) == planes[2:]
    sink.close()
    assert read_image(tmp_path / "a.ome.zarr").data[:, 0, 0].tolist() == [5, 6, 0]


@pytest.mark.parametrize("text", ["", "{", "[" * 10_000, "null\n", '{"format": 1}\n'])
def test_damaged_progress_starts_anew(tmp_path, text):
    result = result_of()
    boxes = boxes_of(result.space)
    sink = write_all(OmeZarrSink(tmp_path / "a.ome.zarr", result), values_of(result), boxes)
    sink.leave()
    next(path for path in tmp_path.iterdir()).joinpath("progress.jsonl").write_text(text, "utf-8")
    again = OmeZarrSink(tmp_path / "a.ome.zarr", result)
    assert again.missing(boxes) == boxes
    again.discard()
    assert list(tmp_path.iterdir()) == []


def test_a_complete_result_is_known_again(tmp_path):
    result = result_of(network="abc", origin="image")
    values, boxes = values_of(result), boxes_of(result.space)
    path = tmp_path / "a.ome.zarr"
    assert not is_complete(path, result)
    write_all(OmeZarrSink(path, result), values, boxes[1:]).close()
    assert not is_complete(path, result)
    write_all(OmeZarrSink(path, result), values, boxes).close()
    assert is_complete(path, result)
    assert not is_complete(path, result_of(network="other", origin="image"))
    assert not is_complete(path, result_of(network="abc", origin="another image"))
    (path / "zarr.json").write_text("[]", "utf-8")
    assert not is_complete(path, result)


def test_overlapping_boxes_do_not_claim_what_lies_between_them(tmp_path):
    space = Space("YX", (3, 4))
    sink = OmeZarrSink(tmp_path / "a.zarr", Result(space))
    for box in (Box(0, (0, 0), (2, 3)), Box(0, (1, 1), (3, 4))):
        sink.write(box, np.ones(box.shape, np.uint8))
    assert not sink.is_done(Box.whole(0, (3, 4)))
    assert sink.is_done(Box(0, (0, 0), (3, 3)).intersect(Box(0, (1, 1), (3, 4))))
    sink.discard()


def test_two_writers_at_once_are_refused(tmp_path):
    sink = OmeZarrSink(tmp_path / "a.ome.zarr", result_of())
    with pytest.raises(ExportError, match="being written already"):
        OmeZarrSink(tmp_path / "a.ome.zarr", result_of())
    sink.discard()


def test_an_owner_that_has_ended_does_not_count(tmp_path):
    sink = OmeZarrSink(tmp_path / "a.ome.zarr", result_of())
    sink.leave()
    work = next(tmp_path.iterdir())
    about = {"process": os.getpid(), "started": 1.0}  # a process of the same number, long ago
    (work / "owner.json").write_text(json.dumps(about), "utf-8")
    OmeZarrSink(tmp_path / "a.ome.zarr", result_of()).discard()


def test_an_owner_on_another_machine_counts_as_long_as_it_goes_on(tmp_path, monkeypatch):
    """Results are often written to network drives."""
    monkeypatch.setattr(platform, "node", lambda: "another")
    theirs = OmeZarrSink(tmp_path / "a.ome.zarr", result_of())
    monkeypatch.setattr(platform, "node", lambda: "this one")
    monkeypatch.setattr(psutil, "Process", lambda *_: pytest.fail("asked for its process here"))
    with pytest.raises(ExportError, match="being written already"):
        OmeZarrSink(tmp_path / "a.ome.zarr", result_of())
    monkeypatch.undo()
    work = next(tmp_path.iterdir())
    os.utime(work / "progress.jsonl", (1.0, 1.0))
    OmeZarrSink(tmp_path / "a.ome.zarr", result_of()).discard()
    theirs.leave()


# --- what goes wrong ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.tif", "a.npy", "a.ome.zarr", "a.png"])
def test_an_old_result_stays_until_the_new_one_is_complete(tmp_path, name):
    result = result_of("YX")
    values = values_of(result)
    write_all(open_sink(tmp_path / name, result), values, boxes_of(result.space)).close()
    sink = open_sink(tmp_path / name, result)
    sink.write(Box.whole(0, (40, 50)), np.zeros((40, 50), np.uint8))
    np.testing.assert_array_equal(read_labels(tmp_path / name).data, values)
    sink.discard()
    np.testing.assert_array_equal(read_labels(tmp_path / name).data, values)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    write_all(open_sink(tmp_path / name, result), values[::-1], boxes_of(result.space)).close()
    np.testing.assert_array_equal(read_labels(tmp_path / name).data, values[::-1])


def test_a_process_killed_while_it_replaces_loses_neither(tmp_path, monkeypatch):
    result = result_of()
    values = values_of(result)
    write_all(open_sink(tmp_path / "a.zarr", result), values, boxes_of(result.space)).close()
    sink = write_all(OmeZarrSink(tmp_path / "a.zarr", result), values[::-1], boxes_of(result.space))
    rename = Path.rename

    def killed(self, target):
        if self.name == "image.zarr":
            raise KeyboardInterrupt
        return rename(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", killed)
        with pytest.raises(KeyboardInterrupt):
            sink.close()
    assert not (tmp_path / "a.zarr").exists()
    again = OmeZarrSink(tmp_path / "a.zarr", result)
    np.testing.assert_array_equal(read_labels(tmp_path / "a.zarr").data, values)
    assert again.missing(boxes_of(result.space)) == []
    again.close()
    np.testing.assert_array_equal(read_labels(tmp_path / "a.zarr").data, values[::-1])


def test_nothing_but_an_image_is_replaced(tmp_path):
    (tmp_path / "a.ome.zarr").mkdir()
    (tmp_path / "a.ome.zarr" / "thesis.tex").write_text("years of work", "utf-8")
    with pytest.raises(ExportError, match="something else of this name"):
        OmeZarrSink(tmp_path / "a.ome.zarr", result_of())
    assert [path.name for path in tmp_path.iterdir()] == ["a.ome.zarr"]


@pytest.mark.parametrize("name", ["a.tif", "a.npy"])
def test_too_little_room_is_said_at_once(tmp_path, name, monkeypatch):
    monkeypatch.setattr(flat_sinks.shutil, "disk_usage", lambda _: type("Free", (), {"free": 1000}))
    with pytest.raises(ExportError, match="free some space"):
        open_sink(tmp_path / name, result_of())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.tif", "a.npy", "a.ome.zarr", "a.png"])
def test_a_folder_that_is_not_there_is_one_sentence(tmp_path, name):
    with pytest.raises(ExportError, match="choose another"):
        open_sink(tmp_path / "none" / name, result_of("YX"))


def test_a_full_disk_is_one_sentence(tmp_path, monkeypatch):
    sink = OmeZarrSink(tmp_path / "a.ome.zarr", result_of())

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(zarr.Array, "__setitem__", full)
    box = Box.whole(0, (3, 40, 50))
    with pytest.raises(ExportError, match="the disk is full"):
        sink.write(box, np.ones(box.shape, np.uint8))
    assert not sink.is_done(box)
    sink.discard()


def test_names_that_hold_nothing():
    with pytest.raises(BadInputError, match=r"end the name in \.tif"):
        open_sink("a.jpg", result_of())


def test_an_array_has_its_axes_in_any_order():
    result = result_of("ZYX", "probabilities")
    values = values_of(result)
    order = AxisOrder("CXYZ", (2, 50, 40, 3))
    sink = write_all(ArraySink(order, np.float32), values, boxes_of(result.space))
    np.testing.assert_array_equal(sink.array, values.transpose(3, 2, 1, 0))


# --- as napari opens them -------------------------------------------------------------------


def test_napari_opens_our_labels_with_their_classes(tmp_path, monkeypatch):
    result = result_of("TZYX")
    values = values_of(result)
    path = tmp_path / "cells_segmentation.ome.zarr"
    write_all(open_sink(path, result), values, boxes_of(result.space)).close()
    reader = napari_reader.reader_of(str(path))
    for data_type, limit in ((np.ndarray, napari_reader._IN_MEMORY), (list, 0)):
        monkeypatch.setattr(napari_reader, "_IN_MEMORY", limit)
        ((data, attributes, kind),) = reader(str(path))
        assert (kind, type(data)) == ("labels", data_type)
        layer = Labels(data, **attributes)
        assert tuple(layer.scale) == (1.0, 2.0, 0.5, 0.25)
        assert [str(unit) for unit in layer.units] == ["second", *["micrometer"] * 3]
        assert layer.metadata["napari_msd_classes"]["7"]["name"] == "Zellkern α"
        level = data[0] if isinstance(data, list) else data
        np.testing.assert_array_equal(np.asarray(level[...]), values)


@pytest.mark.parametrize("suffix", [".tif", ".ome.tif", ".npy"])
def test_napari_opens_our_files_written_by_boxes(tmp_path, suffix):
    result = result_of("ZYX")
    values = values_of(result)
    path = tmp_path / f"cells_segmentation{suffix}"
    write_all(open_sink(path, result), values, boxes_of(result.space)).close()
    ((data, attributes, _),) = napari_reader.reader_of(str(path))(str(path))
    layer = Labels(data, **attributes)
    assert tuple(layer.scale) == (2.0, 0.5, 0.25)
    assert [str(unit) for unit in layer.units] == ["micrometer"] * 3
    assert layer.axis_labels == ("z", "y", "x")
    assert layer.metadata["napari_msd_classes"]["7"] == {"name": "Zellkern α", "color": "#e69f00"}
    np.testing.assert_array_equal(layer.data, values)


def test_a_pyramid_is_opened_as_one(tmp_path, monkeypatch):
    result = Result(Space("YX", (1500, 1100)), classes=CLASSES)
    sink = open_sink(tmp_path / "a-labels.zarr", result)
    sink.write(Box.whole(0, (1500, 1100)), np.full((1500, 1100), 7, np.uint8))
    sink.close()
    monkeypatch.setattr(napari_reader, "_IN_MEMORY", 0)
    ((data, attributes, _),) = napari_reader.read_layers(str(tmp_path / "a-labels.zarr"))
    assert Labels(data, **attributes).multiscale


def test_what_is_no_label_image_is_left_to_others(tmp_path):
    result = result_of("ZYX", "uncertainty")
    open_sink(tmp_path / "a.zarr", result).close()
    assert napari_reader.reader_of(str(tmp_path / "a.zarr")) is None
    (tmp_path / "a.zarr" / "zarr.json").write_text("{", "utf-8")
    assert napari_reader.reader_of(str(tmp_path / "a.zarr")) is None
