"""Model files: what is written is read back, and nothing hostile gets through."""

import contextlib
import io
import json
import os
import struct
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_msd.core.checkpoint import ClassInfo, VersionFigures
from napari_msd.core.class_names import clean_class_name
from napari_msd.core.errors import ExportError, ModelFileError
from napari_msd.core.settings import Settings
from napari_msd.core.space import NetworkInput
from napari_msd.images import model_file
from napari_msd.images.model_content import content_of, require_savable
from napari_msd.images.model_file import ModelRecord, parameter_shapes

NAMES = [
    "می\u200cخواهم",
    "क्\u200dष",
    "👩\u200d👩\u200d👧 ❤\ufe0f",
    "Zell\u00adkern",
    "<b>&amp;\"'\\",
    "a" * 100,
]

PAST = {
    "steps": 40,
    "score": 0.5,
    "pieces": 12,
    "painted": 340,
    "seed": 7,
    "created": "2024-05-01T10:00:00+00:00",
}


def make_record(in_channels=2, n_classes=3, depth=4, width=2, ndim=2, **changes):
    rng = np.random.default_rng(0)
    shapes = parameter_shapes(in_channels, n_classes, depth, width, ndim)
    weights = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes}
    classes = ((1, "background", "#0072b2"), (4, "Zellkern α", "#E69F00"), (255, "", "#000000"))
    record = ModelRecord(
        weights=weights,
        in_channels=in_channels,
        n_classes=n_classes,
        depth=depth,
        width=width,
        dilations=(1, 2, 4),
        classes=tuple(ClassInfo(*info) for info in classes[:n_classes]),
        mean=(10.5,) * in_channels,
        std=(2.25,) * in_channels,
        ndim=ndim,
        pixel_size=(0.25,) * ndim,
        units=("micrometer",) * ndim,
        settings=Settings.from_preset(
            "quick",
            mode="3d" if ndim == 3 else "2d",
            seed=7,
            depth=depth,
            width=width,
            dilations=(1, 2, 4),
        ).to_dict(),
        seed=7,
        steps=1234,
        score=0.875,
        scores={1: 0.9, 4: 0.85},
        history=(VersionFigures(**PAST), VersionFigures(**{**PAST, "score": None})),
        versions={"napari-msd": "0.1.0", "torch": "2.13.0"},
    )
    return replace(record, **changes)


def assert_equal(one, other):
    assert one.weights.keys() == other.weights.keys()
    for name, array in one.weights.items():
        np.testing.assert_array_equal(array, other.weights[name])
    assert replace(one, weights={}) == replace(other, weights={})


def header_of(data):
    (length,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + length])


def with_header(data, header):
    (length,) = struct.unpack("<Q", data[:8])
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data[8 + length :]


def with_value(data, key, value):
    """The same file with one value of our JSON replaced."""
    header = header_of(data)
    ours = json.loads(header["__metadata__"]["napari_msd"])
    ours[key] = value
    header["__metadata__"]["napari_msd"] = json.dumps(ours)
    return with_header(data, header)


GOOD = make_record().to_bytes()
GOOD_BEGINNING = GOOD[: 8 + struct.unpack("<Q", GOOD[:8])[0]]


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("width", [1, 3])
def test_written_file_reads_back_equal(tmp_path, ndim, width):
    record = make_record(ndim=ndim, width=width)
    written = record.write(tmp_path / "model.safetensors")
    assert_equal(model_file.read(written), record)
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]


def test_what_a_network_sees_is_read_back():
    settings = Settings.from_preset("quick", mode="2.5d", context=2).to_dict()
    record = make_record(
        in_channels=10,
        context=2,
        channels=("DAPI", "actin"),
        settings=settings | {"depth": 4, "width": 2, "dilations": [1, 2, 4], "seed": 7},
    )
    read = ModelRecord.from_bytes(record.to_bytes())
    assert_equal(read, record)
    assert (read.n_image_channels, read.network_input) == (2, NetworkInput(2, context=2))
    assert (read.settings["mode"], read.settings["context"]) == ("2.5d", 2)

    record = make_record(ndim=3, dilations_z=(1, 1, 2), anisotropy=4.0)
    read = ModelRecord.from_bytes(record.to_bytes())
    assert_equal(read, record)
    assert read.network_input == NetworkInput(2, convolved=3, anisotropy=4.0)


@pytest.mark.parametrize(
    ("changes", "version"),
    [
        ({}, 1),
        ({"channels": ("a", "b")}, 1),
        ({"ndim": 3}, 1),
        ({"normalise": "plane"}, 2),
        ({"in_channels": 6, "context": 1}, 3),
        ({"ndim": 3, "dilations_z": (1, 1, 1)}, 3),
    ],
)
def test_a_file_has_the_lowest_version_that_holds_it(changes, version):
    header = header_of(make_record(**changes).to_bytes())
    ours = json.loads(header["__metadata__"]["napari_msd"])
    assert ours["format"] == version
    if version == 1 and "channels" not in changes:  # as earlier versions wrote it
        assert not {"context", "channels", "dilations_z"} & ours.keys()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("context", 1),  # 2 channels are not those of 3 slices
        ("context", -1),
        ("context", 11),
        ("context", True),
        ("context", None),
        ("channels", ["one"]),
        ("channels", ["a", 3]),
        ("channels", ["a", "b" * 3000]),
        ("channels", "ab"),
        ("dilations_z", [1, 1, 1]),  # it has no axis Z
    ],
)
def test_wrong_input_of_the_network_is_refused(key, value):
    with pytest.raises(ModelFileError, match=f"'{key}' in its header"):
        ModelRecord.from_bytes(with_value(GOOD, key, value))


@pytest.mark.parametrize("value", [[1, 1], [0, 1, 1], [1, 1, 20_000], [1.0, 1, 1], "111", {}])
def test_wrong_dilations_along_z_are_refused(value):
    good = make_record(ndim=3).to_bytes()
    with pytest.raises(ModelFileError, match="'dilations_z' in its header"):
        ModelRecord.from_bytes(with_value(good, "dilations_z", value))


def test_names_of_channels_are_cleaned():
    read = ModelRecord.from_bytes(with_value(GOOD, "channels", ["DA\nPI", "\u202e"]))
    assert read.channels == ("DA PI", "channel 2")


def test_neighbouring_slices_are_no_channels_of_the_image():
    record = make_record(in_channels=6, context=1, channels=("DAPI", "actin"))
    record.require_channels(2)
    with pytest.raises(ModelFileError, match=r"2 channels \('DAPI', 'actin'\), this image has 6"):
        record.require_channels(6)


def test_unknown_things_stay_unknown(tmp_path):
    record = make_record(pixel_size=None, units=None, score=None, scores={})
    assert_equal(ModelRecord.from_bytes(record.to_bytes()), record)


def test_suffix_is_added_to_a_name_without_it(tmp_path):
    assert make_record().write(tmp_path / "net").name == "net.safetensors"
    assert make_record().write(tmp_path / "other.SafeTensors").name == "other.SafeTensors"


@pytest.mark.parametrize("name", ["x.pt", "x.pth", "net.v2", "x.safetensors.bak"])
def test_another_suffix_is_refused(tmp_path, name):
    """`x.pt` became `x.pt.safetensors`, which nobody had asked for."""
    with pytest.raises(ModelFileError, match=f"saved as '{name}'; end its name in .safetensors"):
        make_record().write(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", "/", "."])
def test_no_name_is_refused(name):
    with pytest.raises(ModelFileError, match="not a model file name"):
        make_record().write(name)


# --- class names ------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_names_in_any_language_come_back(name):
    """The window took them, and saving was refused: "must be a printable text"."""
    record = make_record().with_classes({1: name})
    assert ModelRecord.from_bytes(record.to_bytes()).class_names[1] == name


@given(text=st.text(st.characters(codec=None), max_size=150))
def test_every_clean_name_comes_back(text):
    name = clean_class_name(text)
    record = make_record(depth=1, width=1).with_classes({1: name})
    assert ModelRecord.from_bytes(record.to_bytes()).class_names[1] == name


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("two\nlines", "two lines"),
        ("\u202egnp.exe", "gnp.exe"),
        ("\ufeffa\0b", "ab"),
        ("lone \ud800 half", "lone half"),
        ("x" * 1500, "x" * 100),
        (" \u202e\0", "class 4"),
    ],
)
def test_odd_names_are_cleaned(name, read):
    classes = [
        {"value": 4, "name": name, "color": "#0072b2"},
        {"value": 5, "name": "b", "color": "#0072b2"},
        {"value": 6, "name": "", "color": "#0072b2"},
    ]
    data = with_value(make_record(scores={}).to_bytes(), "classes", classes)
    assert ModelRecord.from_bytes(data).class_names == {4: read, 5: "b", 6: ""}
    record = make_record().with_classes({4: name})
    assert ModelRecord.from_bytes(record.to_bytes()).class_names[4] == read


@pytest.mark.parametrize("name", ["x" * 3000, 5, None, ["a"]])
def test_what_is_no_name_is_refused(name):
    classes = [{"value": v, "name": name, "color": "#0072b2"} for v in (1, 2, 3)]
    with pytest.raises(ModelFileError, match="'name' in its header must be a text"):
        ModelRecord.from_bytes(with_value(make_record().to_bytes(), "classes", classes))


# --- size ----------------------------------------------------------------------------------


class Counting(io.BytesIO):
    taken = 0

    def read(self, size=-1):
        data = super().read(size)
        self.taken += len(data)
        return data


def test_a_file_of_another_size_is_refused_before_its_weights_are_read():
    header = GOOD_BEGINNING
    for size in (5 * 2**30, len(GOOD) + 1, len(GOOD) - 1):
        file = Counting(header)
        with pytest.raises(ModelFileError, match="size does not match its network"):
            content_of(file, size)
        assert file.taken == len(header)
    assert content_of(io.BytesIO(GOOD), len(GOOD)) == GOOD


@pytest.mark.parametrize("beginning", [b"", GOOD_BEGINNING])
def test_a_sparse_file_of_5_gb_costs_nothing(tmp_path, monkeypatch, beginning):
    path = tmp_path / "a.safetensors"
    with path.open("wb") as file:
        file.write(beginning)
        try:
            file.truncate(5 * 2**30)
        except OSError:
            pytest.skip("no sparse files here")
    taken = []
    monkeypatch.setattr(ModelRecord, "from_bytes", lambda data, name: taken.append(len(data)))
    tracemalloc.start()
    with pytest.raises(ModelFileError):
        model_file.read(path)
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()
    assert taken == []


def test_a_network_too_large_for_a_file_is_refused_when_read_and_when_saved():
    large = {"in_channels": 1, "n_classes": 2, "depth": 1000, "width": 10, "ndim": 2}
    with pytest.raises(ModelFileError, match=r"1715 MiB and a model file holds 1024; use fewer"):
        require_savable(large)
    require_savable({**large, "depth": 500})
    require_savable({**large, "width": 1})
    data = GOOD
    for key, value in large.items():
        data = with_value(data, key, value)
    classes = [{"value": v, "name": "", "color": "#000000"} for v in (1, 4)]
    data = with_value(with_value(data, "classes", classes), "mean", [1.0])
    data = with_value(with_value(data, "std", [1.0]), "dilations", [1])
    with pytest.raises(ModelFileError, match="a model file holds 1024"):
        ModelRecord.from_bytes(data)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_not_waited_at(tmp_path):
    os.mkfifo(tmp_path / "a.safetensors")
    with pytest.raises(ModelFileError, match="is not a file"):
        model_file.read(tmp_path / "a.safetensors")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("boundary", "x" * 50_000),
        ("depth", 10**4000),
        ("created", "x" * 50_000),
        ("axes", "Y" * 50_000),
        ("units", ["x" * 50_000]),
        ("scores", {"x" * 50_000: 1}),
        ("versions", {"x" * 50_000: "1"}),
    ],
)
def test_no_sentence_repeats_a_huge_value(key, value):
    with pytest.raises(ModelFileError) as caught:
        ModelRecord.from_bytes(with_value(GOOD, key, value))
    assert len(str(caught.value)) < 250


def test_names_and_colours_can_be_given_at_save_time():
    record = make_record().with_classes({4: "nucleus"}, {1: "#ffffff"})
    assert record.class_names == {1: "background", 4: "nucleus", 255: ""}
    assert [info.color for info in record.classes] == ["#ffffff", "#E69F00", "#000000"]


def test_weights_are_float32_in_any_reader(tmp_path):
    weights = {
        name: value.astype(">f8") if name == "output.bias" else value[...]
        for name, value in make_record().weights.items()
    }
    data = make_record(weights=weights).to_bytes()
    arrays = safetensors.numpy.load(data)
    assert {array.dtype for array in arrays.values()} == {np.dtype(np.float32)}
    np.testing.assert_array_equal(arrays["output.bias"], weights["output.bias"].astype(np.float32))


def test_read_weights_are_writable_and_own_their_memory():
    record = ModelRecord.from_bytes(make_record().to_bytes())
    assert all(array.flags.writeable and array.flags.owndata for array in record.weights.values())


def test_image_of_other_channels_is_refused():
    make_record().require_channels(2)
    with pytest.raises(ModelFileError, match=r"2 channels, this image has 1;"):
        make_record().require_channels(1)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("depth", 0),
        ("depth", 5),
        ("depth", 10**9),
        ("depth", True),
        ("depth", 4.0),
        ("width", 101),
        ("in_channels", 0),
        ("n_classes", 256),
        ("ndim", 4),
        ("dilations", []),
        ("dilations", [0]),
        ("dilations", [1, 10**9]),
        ("dilations", [1] * 20_000),
        ("boundary", "wrap"),
        ("boundary", ["reflect"]),
        ("classes", None),
        ("classes", [1, 2, 3]),
        ("classes", [{"value": 1, "name": "a", "color": "#000000"}] * 3),
        ("mean", [1.0]),
        ("mean", [1.0, "2"]),
        ("mean", [1.0, 10**400]),
        ("std", [0.0, 1.0]),
        ("std", [-1.0, 1.0]),
        ("axes", "yx; rm"),
        ("pixel_size", [0.0, 1.0]),
        ("pixel_size", [1.0, 1.0, 1.0]),
        ("units", "micrometer"),
        ("settings", ["quick"]),
        ("seed", 2**70),
        ("steps", -1),
        ("score", 1.5),
        ("scores", {"9": 0.5}),
        ("scores", {"1": "good"}),
        ("versions", ["0.1.0"]),
        ("history", {"steps": 1}),
        ("history", [17]),
        ("history", [{"steps": 1}]),
        ("history", [{**PAST, "score": 2}]),
        ("history", [{**PAST, "steps": -3}]),
        ("history", [{**PAST, "created": "a\nb"}]),
        ("history", [PAST] * 1001),
        ("created", 5),
        ("citation", "x" * 3000),
        ("citation", "line\nline"),
        ("format", 4),
        ("format", "1"),
    ],
)
def test_wrong_value_in_the_header_is_one_sentence(key, value):
    data = with_value(make_record().to_bytes(), key, value)
    with pytest.raises(ModelFileError) as caught:
        ModelRecord.from_bytes(data)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")


def test_future_version_says_to_update():
    data = with_value(make_record().to_bytes(), "format", 4)
    with pytest.raises(ModelFileError, match="newer napari-msd; update"):
        ModelRecord.from_bytes(data)


LATER = {"history", "normalise", "trees", "context", "channels", "dilations_z", "anisotropy"}
"""Values that files of earlier versions lack."""


@pytest.mark.parametrize("key", sorted(set(vars(make_record())) - {"weights"} - LATER))
def test_missing_value_is_named(key):
    data = make_record().to_bytes()
    header = header_of(data)
    ours = json.loads(header["__metadata__"]["napari_msd"])
    del ours[key]
    header["__metadata__"]["napari_msd"] = json.dumps(ours)
    with pytest.raises(ModelFileError, match=f"lacks '{key}'"):
        ModelRecord.from_bytes(with_header(data, header))


def test_file_from_before_there_was_a_history():
    data = make_record().to_bytes()
    header = header_of(data)
    ours = json.loads(header["__metadata__"]["napari_msd"])
    del ours["history"]
    header["__metadata__"]["napari_msd"] = json.dumps(ours)
    assert ModelRecord.from_bytes(with_header(data, header)).history == ()


def test_setting_of_a_later_version_is_left_out():
    settings = {**make_record().settings, "momentum": 0.9}
    data = with_value(make_record().to_bytes(), "settings", settings)
    assert ModelRecord.from_bytes(data).settings == make_record().settings


def test_file_of_another_program():
    data = safetensors.numpy.save({"a": np.zeros(3, np.float32)})
    with pytest.raises(ModelFileError, match="not made by napari-msd"):
        ModelRecord.from_bytes(data)


@pytest.mark.parametrize(
    "change",
    [
        lambda weights: weights.pop("output.bias"),
        lambda weights: weights.update(extra=np.zeros(1, np.float32)),
        lambda weights: weights.update({"output.bias": np.zeros(4, np.float32)}),
        lambda weights: weights.update({"output.bias": np.zeros(3, np.float64)}),
        lambda weights: weights.update({"output.bias": np.full(3, np.nan, np.float32)}),
    ],
)
def test_arrays_that_do_not_belong(change):
    data = make_record().to_bytes()
    weights = dict(safetensors.numpy.load(data))
    change(weights)
    foreign = safetensors.numpy.save(weights, header_of(data)["__metadata__"])
    with pytest.raises(ModelFileError, match=r"array|finite"):
        ModelRecord.from_bytes(foreign)


def test_half_precision_is_refused_not_crashed_on():
    header = header_of(make_record().to_bytes())
    header["output.bias"]["dtype"] = "BF16"
    with pytest.raises(ModelFileError):
        ModelRecord.from_bytes(with_header(make_record().to_bytes(), header))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x",
        b"\x80\x02}q\x00.",
        b"PK\x03\x04" + bytes(100),
        struct.pack("<Q", 2**63) + b"{}",
        struct.pack("<Q", 2**25) + bytes(2**25),
        struct.pack("<Q", 2) + b"{}",
        struct.pack("<Q", 2) + b"[]",
        struct.pack("<Q", 4) + b"null",
        struct.pack("<Q", 200_000) + b"[" * 200_000,
        struct.pack("<Q", 3) + b"\xff\xfe\x00",
    ],
)
def test_not_a_model_file(data):
    with pytest.raises(ModelFileError):
        ModelRecord.from_bytes(data)


@given(data=st.binary(max_size=300))
def test_random_bytes(data):
    with pytest.raises(ModelFileError):
        ModelRecord.from_bytes(data)


@given(data=st.data())
@settings(max_examples=300)
def test_flipped_bytes_never_crash(data):
    good = bytearray(GOOD)
    header_end = 8 + struct.unpack("<Q", GOOD[:8])[0]
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, header_end + 40))
        good[position] ^= data.draw(st.integers(1, 255))
    # a flip inside a name, a number or a weight can be a legal file
    with contextlib.suppress(ModelFileError):
        record = ModelRecord.from_bytes(bytes(good))
        assert ModelRecord.from_bytes(record.to_bytes()).n_classes == 3


@given(length=st.integers(0, len(make_record().to_bytes()) - 1))
def test_truncated_files(length):
    with pytest.raises(ModelFileError):
        ModelRecord.from_bytes(GOOD[:length])


def test_garbage_after_the_end():
    with pytest.raises(ModelFileError):
        ModelRecord.from_bytes(GOOD + b"x")


def test_missing_file_folder_and_impossible_name(tmp_path):
    with pytest.raises(ModelFileError, match="There is no model file"):
        model_file.read(tmp_path / "none.safetensors")
    with pytest.raises(ModelFileError, match="is a folder"):
        model_file.read(tmp_path)
    with pytest.raises(ModelFileError, match="Cannot read"):
        model_file.read("a\0b.safetensors")


def test_unsavable_record_is_said_before_anything_is_written(tmp_path):
    for bad in (make_record(std=(0.0, 1.0)), make_record(mean=(float("nan"), 1.0))):
        with pytest.raises(ModelFileError, match="cannot be saved"):
            bad.write(tmp_path / "model.safetensors")
    weights = {**make_record().weights, "output.bias": np.full(3, np.inf)}
    with pytest.raises(ModelFileError, match=r"output\.bias"):
        make_record(weights=weights).write(tmp_path / "model.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_failed_write_keeps_the_old_file(tmp_path, full_disk):
    path = make_record().write(tmp_path / "model.safetensors")
    before = path.read_bytes()
    with full_disk(), pytest.raises(ExportError, match="disk is full"):
        make_record(steps=9).write(path)
    assert path.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]
