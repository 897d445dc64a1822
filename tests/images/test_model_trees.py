"""Trees in model files: what is written is read back, and nothing hostile gets through."""

import json
import re
import struct
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import safetensors.numpy
import torch

from napari_msd.core.box import Box
from napari_msd.core.checkpoint import ClassInfo
from napari_msd.core.errors import ModelFileError
from napari_msd.core.settings import Settings
from napari_msd.core.space import NetworkInput
from napari_msd.images import model_file
from napari_msd.images.model_file import ModelRecord, TreesRecord, parameter_shapes
from napari_msd.inference import EachPlane, Normalisation, Predictor, SlabPixels
from napari_msd.inference.ensemble import Ensemble, Trees
from napari_msd.inference.features import PixelFeatures
from napari_msd.network import MSDNet
from napari_msd.training import Trainer
from napari_msd.training.bank import bank_of, ensemble_of, trees_record
from napari_msd.trees import Forest, grow
from napari_msd.trees.forest import MAX_NODES

CHANNELS = 2
DILATIONS = (1, 2, 4)
N_FEATURES = 25 * CHANNELS + CHANNELS + len(DILATIONS) + 1
FIELDS = ("feature", "threshold", "child", "answers", "roots")
CPU = torch.device("cpu")


def make_trees(**changes) -> TreesRecord:
    rng = np.random.default_rng(0)
    samples = rng.normal(size=(120, N_FEATURES)).astype(np.float32)
    labels = (samples[:, 0] > 0).astype(np.int64) + (samples[:, 3] > 1)
    layers = {}
    for i in range(len(DILATIONS)):
        layers[f"layers.{i}.weight"] = rng.normal(size=(1, 1 + i, 3, 3)).astype(np.float32)
        layers[f"layers.{i}.bias"] = rng.normal(size=1).astype(np.float32)
    record = TreesRecord(
        grow(samples, labels, 3, trees=5),
        values=(4, 1, 9),
        weight=0.5,
        offsets=(0.25, -0.5, 0.0),
        layers=layers,
        dilations=DILATIONS,
    )
    return replace(record, **changes)


def make_record(trees: TreesRecord | None = None, **changes) -> ModelRecord:
    rng = np.random.default_rng(1)
    shapes = parameter_shapes(CHANNELS, 3, 4, 1)
    record = ModelRecord(
        weights={name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes},
        in_channels=CHANNELS,
        n_classes=3,
        depth=4,
        width=1,
        dilations=(1, 2, 4),
        classes=tuple(ClassInfo(value, f"class {value}", "#0072b2") for value in (1, 4, 7)),
        mean=(0.0,) * CHANNELS,
        std=(1.0,) * CHANNELS,
        normalise="plane",
        trees=trees,
        settings=Settings.from_preset(depth=4, dilations=(1, 2, 4)).to_dict(),
    )
    return replace(record, **changes)


GOOD = make_record(make_trees()).to_bytes()


def ours_of(data: bytes) -> dict:
    (length,) = struct.unpack("<Q", data[:8])
    return json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["napari_msd"])


def rebuilt(ours: dict, arrays: dict) -> bytes:
    """A file with these values and arrays, whatever they are."""
    return safetensors.numpy.save(arrays, {"napari_msd": json.dumps(ours)})


def with_values(**changes) -> bytes:
    """The good file with values of what it says of its trees replaced; None: taken out."""
    ours = ours_of(GOOD)
    ours["trees"].update(changes)
    ours["trees"] = {key: value for key, value in ours["trees"].items() if value is not None}
    return rebuilt(ours, safetensors.numpy.load(GOOD))


def with_arrays(change) -> bytes:
    """The good file with its arrays changed, and its header as it was."""
    arrays = {name: array.copy() for name, array in safetensors.numpy.load(GOOD).items()}
    change(arrays)
    return rebuilt(ours_of(GOOD), arrays)


def refused(data: bytes) -> str:
    """Read what cannot be used: one sentence is said, and little memory taken."""
    tracemalloc.start()
    try:
        with pytest.raises(ModelFileError) as caught:
            ModelRecord.from_bytes(data)
        assert tracemalloc.get_traced_memory()[1] < 3 * len(data) + 2_000_000
    finally:
        tracemalloc.stop()
    said = str(caught.value)
    assert said.startswith("This model cannot be used: ")
    assert said.endswith(".")
    assert said.count(". ") == 0
    assert "\n" not in said
    assert len(said) < 250
    return said


# --- round trips ------------------------------------------------------------------------


def assert_same_trees(one: TreesRecord, other: TreesRecord) -> None:
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(one.forest, name), getattr(other.forest, name))
    assert one.layers.keys() == other.layers.keys()
    for name, array in one.layers.items():
        np.testing.assert_array_equal(array, other.layers[name])
    assert one.header() == other.header()


def test_written_trees_read_back_equal(tmp_path):
    record = make_record(make_trees())
    found = model_file.read(record.write(tmp_path / "model.safetensors"))
    assert_same_trees(found.trees, record.trees)
    assert found.trees.values == (4, 1, 9)
    assert (found.trees.weight, found.trees.offsets) == (0.5, (0.25, -0.5, 0.0))
    assert found.trees.dilations == DILATIONS
    assert replace(found, trees=None, weights={}) == replace(record, trees=None, weights={})
    assert found.to_bytes() == record.to_bytes()


def test_read_arrays_are_writable_and_own_their_memory():
    trees = ModelRecord.from_bytes(GOOD).trees
    for array in (*(getattr(trees.forest, name) for name in FIELDS), *trees.layers.values()):
        assert array.flags.writeable
        assert array.flags.owndata


def test_trees_of_a_file_answer_as_those_that_were_written():
    record = make_record(make_trees())
    grey = np.random.default_rng(2).normal(size=(CHANNELS, 40, 50)).astype(np.float32)
    plane = SlabPixels.whole(grey)
    answers = []
    for trees in (record.trees, ModelRecord.from_bytes(GOOD).trees):
        mix = ensemble_of(trees, NetworkInput(CHANNELS), EachPlane(), CPU)
        assert mix.trees.values == (4, 1, 9)
        answers.append(mix.trees.probabilities(plane, Box.whole(0, (40, 50))))
        assert_same_trees(trees_record(mix), record.trees)
    np.testing.assert_array_equal(answers[0], answers[1])
    assert np.ptp(answers[0]) > 0.3


def test_trees_of_a_volume_have_no_layers():
    rng = np.random.default_rng(4)
    given = NetworkInput(1, convolved=3, anisotropy=2.0)
    slab = SlabPixels.whole(rng.normal(size=(1, 5, 30, 20)).astype(np.float32))
    features = PixelFeatures(None, EachPlane(), given)
    samples = rng.normal(size=(120, features.count(1))).astype(np.float32)
    forest = grow(samples, (samples[:, 0] > 0).astype(np.int64), 2, trees=5)
    mix = Ensemble(Trees(forest, (1, 4), features), 0.5, (0.0, 0.0))
    record = ModelRecord.from_bytes(make_record(trees_record(mix)).to_bytes()).trees
    assert (record.layers, record.dilations) == ({}, ())
    again = ensemble_of(record, given, EachPlane(), CPU)
    box = Box.whole(0, (5, 30, 20))
    expected = mix.trees.probabilities(slab, box)
    assert np.ptp(expected) > 0.3
    np.testing.assert_array_equal(again.trees.probabilities(slab, box), expected)
    with pytest.raises(ModelFileError, match="other features"):
        ensemble_of(record, NetworkInput(1), EachPlane(), CPU)


def test_the_bank_is_the_layers_and_nothing_else():
    trees = make_trees()
    bank = bank_of(trees.layers, trees.dilations)
    image = torch.from_numpy(np.random.default_rng(3).normal(size=(1, 1, 20, 20))).float()
    maps = bank(image)[0]
    assert maps.shape == (len(DILATIONS) + 1, 20, 20)
    np.testing.assert_allclose(maps[0], image[0, 0], atol=1e-6)
    assert (maps[1:] >= 0).all()
    assert not any(parameter.requires_grad for parameter in bank.parameters())
    bank.bias[0] += 1  # the record's arrays are its own
    assert_same_trees(trees, make_trees())


# --- the number of the format -----------------------------------------------------------


@pytest.mark.parametrize(
    ("trees", "normalise", "number"),
    [(True, "plane", 2), (True, "fixed", 2), (False, "plane", 2), (False, "fixed", 1)],
)
def test_the_format_rises_only_where_an_old_reader_would_answer_otherwise(trees, normalise, number):
    record = make_record(make_trees() if trees else None, normalise=normalise)
    data = record.to_bytes()
    assert ours_of(data)["format"] == number
    found = ModelRecord.from_bytes(data)
    assert found.normalise == normalise
    assert (found.trees is not None) == trees


def old_file() -> bytes:
    """As the version before wrote it: no word of trees or planes, here or in the settings."""
    record = make_record(normalise="fixed", mean=(100.0, 7.0), std=(20.0, 3.0))
    ours = ours_of(record.to_bytes())
    for key in ("trees", "normalise"):
        del ours[key]
        del ours["settings"][key]
    ours["format"] = 1
    return rebuilt(ours, dict(record.weights))


def test_an_old_file_answers_as_it_always_did():
    """A plain network, and grey values that stand in the file."""
    data = old_file()
    assert "trees" not in ours_of(data)
    record = ModelRecord.from_bytes(data)
    assert (record.trees, record.normalise) == (None, "fixed")
    network = MSDNet(CHANNELS, 3, depth=4, dilations=(1, 2, 4))
    network.load_state_dict(
        {name: torch.from_numpy(array) for name, array in record.weights.items()}
    )
    fixed = Normalisation((100.0, 7.0), (20.0, 3.0))
    grey = np.random.default_rng(2).normal([[[90]], [[9]]], 10, (CHANNELS, 40, 50))
    plane = SlabPixels.whole(grey)
    expected = Predictor(network, fixed, [1, 4, 7]).probabilities(plane, Box.whole(0, (40, 50)))
    trainer = Trainer(Settings.from_preset(device="cpu"), NetworkInput(CHANNELS), record)
    found = trainer.predictor().probabilities(plane, Box.whole(0, (40, 50)))
    np.testing.assert_array_equal(found, expected)
    again = ModelRecord.from_bytes(trainer.record().to_bytes())
    assert (again.trees, again.normalise, again.mean) == (None, "fixed", (100.0, 7.0))


def test_a_later_format_is_not_guessed_at():
    ours = ours_of(GOOD) | {"format": 4}
    assert "newer napari-msd" in refused(rebuilt(ours, safetensors.numpy.load(GOOD)))


# --- hostile headers --------------------------------------------------------------------


@pytest.mark.parametrize("key", sorted(make_trees().header()))
def test_a_missing_value_is_named(key):
    assert f"lacks {key!r}" in refused(with_values(**{key: None}))


@pytest.mark.parametrize("key", sorted(make_trees().header()))
@pytest.mark.parametrize(
    "value", ["1", True, {}, [], [[1]], [None], 1.5, -1, 0, 10**400, [10**400]]
)
def test_values_of_other_types_and_ranges(key, value):
    data = with_values(**{key: value})
    if (key, value) == ("weight", 0):
        assert ModelRecord.from_bytes(data).trees.weight == 0
    else:
        refused(data)


@pytest.mark.parametrize("value", [None, [], [1], "trees", 5, True, {}])
def test_arrays_of_trees_whose_header_does_not_describe_them(value):
    refused(rebuilt(ours_of(GOOD) | {"trees": value}, safetensors.numpy.load(GOOD)))


@pytest.mark.parametrize("value", [[], [1], "trees", 5, True, {}, ours_of(GOOD)["trees"]])
def test_trees_without_arrays(value):
    arrays = {k: v for k, v in safetensors.numpy.load(GOOD).items() if not k.startswith("trees.")}
    refused(rebuilt(ours_of(GOOD) | {"trees": value}, arrays))


@pytest.mark.parametrize("value", ["first", "Plane", "", 1, ["plane"], True])
def test_other_ways_to_normalise(value):
    ours = ours_of(GOOD) | {"normalise": value}
    assert "'normalise'" in refused(rebuilt(ours, safetensors.numpy.load(GOOD)))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"weight": 2}, "'weight'.* from 0 to 1"),
        ({"weight": -0.001}, "'weight'"),
        ({"offsets": [1e9, 0.0, 0.0]}, "'offsets'.* from -100 to 100"),
        ({"offsets": [0.0, 0.0, -101]}, "'offsets'"),
        ({"offsets": [0.0, 0.0]}, "'offsets'.* list of 3"),
        ({"offsets": [0.0] * 4}, "'offsets'.* list of 3"),
        ({"values": [4, 1, 4]}, "different class values"),
        ({"values": [0, 1, 2]}, "'values'.* from 1 to 255"),
        ({"values": [256, 1, 2]}, "'values'"),
        ({"values": [1, 2], "offsets": [0.0, 0.0]}, "arrays"),
        ({"values": [1, 2, 3, 4], "offsets": [0.0] * 4}, "arrays"),
        ({"values": [*range(1, 256), 1], "offsets": [0.0] * 256}, "'values'"),
        ({"dilations": [1, 2]}, "arrays"),
        ({"dilations": [1, 2, 4, 8]}, "arrays"),
        ({"dilations": [1] * 201}, "'dilations'"),
        ({"dilations": [1, 2, 10_001]}, "'dilations'"),
        ({"features": 4097}, "'features'.* from 1 to 4096"),
        ({"features": 1}, "features that there are not"),
        ({"nodes": MAX_NODES + 1}, "'nodes'"),
        ({"leaves": MAX_NODES + 1}, "'leaves'"),
        ({"trees": 1001}, "'trees'"),
    ],
)
def test_values_that_do_not_fit(changes, words):
    said = refused(with_values(**changes))
    assert re.search(words, said), said


@pytest.mark.parametrize("key", ["nodes", "leaves", "trees"])
@pytest.mark.parametrize("step", [-1, 1])
def test_every_count_is_compared_with_the_arrays(key, step):
    assert "arrays" in refused(with_values(**{key: ours_of(GOOD)["trees"][key] + step}))


@pytest.mark.parametrize(
    "changes",
    [
        {"nodes": MAX_NODES},
        {"leaves": MAX_NODES},
        {"leaves": MAX_NODES, "values": list(range(1, 256)), "offsets": [0.0] * 255},
        {"nodes": MAX_NODES, "leaves": MAX_NODES, "trees": 1000, "dilations": [1] * 200},
    ],
)
@pytest.mark.parametrize("arrays_agree", [True, False])
def test_large_counts_in_a_small_file_cost_nothing(tmp_path, changes, arrays_agree):
    """Also where the arrays are described as large as that, and the file is cut short."""
    data = with_values(**changes)
    if arrays_agree:
        data = lying(changes)
    refused(data)
    path = tmp_path / "a.safetensors"
    path.write_bytes(data)
    tracemalloc.start()
    with pytest.raises(ModelFileError):
        model_file.read(path)
    assert tracemalloc.get_traced_memory()[1] < 2_000_000
    tracemalloc.stop()


def lying(changes: dict) -> bytes:
    """A file whose header describes arrays that it does not hold."""
    header = ours_of(GOOD)["trees"] | changes
    shapes = {name: ("F32", array.shape) for name, array in make_record().weights.items()}
    shapes |= {
        "trees.feature": ("I32", (header["nodes"],)),
        "trees.threshold": ("F32", (header["nodes"],)),
        "trees.child": ("I32", (header["nodes"],)),
        "trees.answers": ("F32", (header["leaves"], len(header["values"]))),
        "trees.roots": ("I32", (header["trees"],)),
    }
    for i in range(len(header["dilations"])):
        shapes[f"trees.layers.{i}.weight"] = ("F32", (1, 1 + i, 3, 3))
        shapes[f"trees.layers.{i}.bias"] = ("F32", (1,))
    end, entries = 0, {}
    for name, (dtype, shape) in shapes.items():
        start, end = end, end + 4 * int(np.prod(shape))
        entries[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}
    ours = ours_of(GOOD) | {"trees": header}
    entries["__metadata__"] = {"napari_msd": json.dumps(ours)}
    text = json.dumps(entries).encode()
    return struct.pack("<Q", len(text)) + text + bytes(1000)


# --- hostile arrays ---------------------------------------------------------------------

OF_TREES = sorted(name for name in safetensors.numpy.load(GOOD) if name.startswith("trees."))


def test_all_arrays_are_there():
    assert len(OF_TREES) == 5 + 2 * len(DILATIONS)


@pytest.mark.parametrize("name", OF_TREES)
def test_a_missing_array(name):
    assert "arrays" in refused(with_arrays(lambda arrays: arrays.pop(name)))


@pytest.mark.parametrize("name", ["trees.extra", "trees.", "trees.layers.3.bias", "extra"])
def test_an_array_too_many(name):
    extra = np.zeros(1, np.float32)
    assert "arrays" in refused(with_arrays(lambda arrays: arrays.update({name: extra})))


@pytest.mark.parametrize("name", OF_TREES)
@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int64, np.uint32, np.int8, "other"])
def test_another_type_of_numbers(name, dtype):
    def change(arrays):
        own = arrays[name].dtype
        other = np.int32 if own == np.float32 else np.float32
        arrays[name] = arrays[name].astype(other if dtype == "other" else dtype)

    assert "arrays" in refused(with_arrays(change))


@pytest.mark.parametrize("name", OF_TREES)
@pytest.mark.parametrize(
    "shape", [lambda a: a[None], lambda a: a[:-1], lambda a: a.repeat(2, axis=0), lambda a: a[:0]]
)
def test_another_shape(name, shape):
    def change(arrays):
        arrays[name] = np.ascontiguousarray(shape(arrays[name]))

    assert "arrays" in refused(with_arrays(change))


def test_a_file_of_another_length():
    refused(GOOD[:-4])
    refused(GOOD + bytes(4))


@pytest.mark.parametrize(
    ("name", "where", "value", "words"),
    [
        ("feature", 0, N_FEATURES, "features that there are not"),
        ("feature", 0, -2, "features that there are not"),
        ("threshold", 0, np.nan, "finite"),
        ("threshold", 0, np.inf, "finite"),
        ("child", 0, 0, "after their parents"),  # a loop
        ("child", 0, -1, "after their parents"),
        ("child", 0, 2**31 - 1, "after their parents"),
        ("child", -1, 2**31 - 1, "answers that there are not"),
        ("child", -1, -1, "answers that there are not"),
        ("answers", (0, 0), np.nan, "sum 1"),
        ("answers", (0, 0), 1e30, "sum 1"),
        ("answers", 0, (-1, 1, 1), "sum 1"),
        ("roots", 0, 1, "roots"),
        ("roots", 1, 0, "roots"),
        ("roots", -1, 2**31 - 1, "roots"),
        ("layers.0.weight", (0, 0, 0, 0), np.nan, "finite"),
        ("layers.2.bias", 0, np.inf, "finite"),
    ],
)
def test_one_wrong_number(name, where, value, words):
    def change(arrays):
        arrays["trees." + name][where] = value

    assert words in refused(with_arrays(change))


def test_a_walk_back_to_the_parent_is_no_tree():
    def change(arrays):
        inner = np.flatnonzero(arrays["trees.feature"] >= 0)
        arrays["trees.child"][inner[-1]] = inner[0]

    assert "after their parents" in refused(with_arrays(change))


def test_trees_for_other_images_are_refused_when_they_are_to_be_used():
    with pytest.raises(
        ModelFileError, match=r"cannot be used: its trees ask for other features.*\.$"
    ):
        ensemble_of(make_trees(), NetworkInput(CHANNELS + 1), EachPlane(), CPU)
    other = ModelRecord.from_bytes(with_values(features=N_FEATURES + 1))
    with pytest.raises(ModelFileError, match="other features"):
        Trainer(Settings.from_preset(device="cpu"), NetworkInput(CHANNELS), other)


# --- what cannot be saved ---------------------------------------------------------------


def broken_forest(**changes) -> Forest:
    return replace(make_trees().forest, **changes)


@pytest.mark.parametrize(
    "trees",
    [
        make_trees(weight=2.0),
        make_trees(offsets=(1e9, 0.0, 0.0)),
        make_trees(offsets=(0.0,)),
        make_trees(values=(1, 1, 2)),
        make_trees(dilations=(1, 2)),
        make_trees(layers={}),
        make_trees(forest=broken_forest(threshold=np.full(3, np.nan, np.float32))),
        make_trees(forest=broken_forest(n_features=1)),
        make_trees(forest=broken_forest(roots=np.array([1, 2], np.int32))),
    ],
)
def test_trees_that_no_file_may_hold_are_refused_before_anything_is_written(tmp_path, trees):
    with pytest.raises(ModelFileError, match=r"^This model cannot be saved: .*\.$"):
        make_record(trees).write(tmp_path / "model.safetensors")
    assert list(tmp_path.iterdir()) == []
