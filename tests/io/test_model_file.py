"""Model files: what is written is read back, and nothing hostile gets through."""

import contextlib
import json
import struct
from dataclasses import replace

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_msd.config import Settings
from napari_msd.errors import ExportError, ModelFileError
from napari_msd.io import model_file
from napari_msd.io.model_file import ClassInfo, ModelRecord, VersionFigures, parameter_shapes

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
            "quick", seed=7, depth=depth, width=width, dilations=(1, 2, 4)
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


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("width", [1, 3])
def test_written_file_reads_back_equal(tmp_path, ndim, width):
    record = make_record(ndim=ndim, width=width)
    written = record.write(tmp_path / "model.safetensors")
    assert_equal(model_file.read(written), record)
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]


def test_unknown_things_stay_unknown(tmp_path):
    record = make_record(pixel_size=None, units=None, score=None, scores={})
    assert_equal(ModelRecord.from_bytes(record.to_bytes()), record)


def test_suffix_is_added_to_a_name_without_it(tmp_path):
    assert make_record().write(tmp_path / "net.v2").name == "net.v2.safetensors"


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
        ("format", 2),
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
    data = with_value(make_record().to_bytes(), "format", 2)
    with pytest.raises(ModelFileError, match="newer napari-msd; update"):
        ModelRecord.from_bytes(data)


@pytest.mark.parametrize("key", sorted(set(vars(make_record())) - {"weights", "history"}))
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


GOOD = make_record().to_bytes()


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
