"""The compiled trees against those in NumPy: every bit of a forest and of its answers."""

from __future__ import annotations

import ctypes
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_msd.core.errors import MSDError
from napari_msd.native import libraries, set_threads
from napari_msd.trees import forest as forest_module
from napari_msd.trees import grow, library, reference
from napari_msd.trees.forest import Forest, as_float32

FIELDS = ("feature", "threshold", "child", "answers", "roots")


@pytest.fixture(scope="module")
def compiled() -> library.CompiledTrees:
    loaded = library.load()
    if loaded is None:
        pytest.skip("the compiled trees were not built")
    return loaded


def awkward_features(random: np.random.Generator, n: int, n_features: int) -> np.ndarray:
    """Columns of all kinds: continuous, few values, constant, subnormal, huge, holes."""
    columns = random.normal(size=(n, n_features))
    kinds = random.integers(0, 8, n_features)
    columns[:, kinds == 1] = np.round(columns[:, kinds == 1])
    columns[:, kinds == 2] = 3
    columns[:, kinds == 3] *= 1e-42
    columns[:, kinds == 4] *= 1e38
    # Two zeros, and a number next to them: no threshold lies between.
    zeros = random.choice([0.0, -0.0, 1e-45], size=columns.shape)
    columns[:, kinds == 5] = zeros[:, kinds == 5]
    columns[:, kinds == 6] *= np.where(random.random((n, (kinds == 6).sum())) < 0.1, np.inf, 1)
    columns[:, kinds == 7] += np.where(random.random((n, (kinds == 7).sum())) < 0.3, np.nan, 0)
    return as_float32(columns)


@st.composite
def growths(draw):
    """Samples and settings that `reference.grow` takes."""
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    n = draw(st.one_of(st.integers(1, 12), st.integers(1, 400)))
    n_features = draw(st.integers(1, 12))
    n_classes = draw(st.one_of(st.integers(1, 5), st.sampled_from([9, 33, 70])))
    features = awkward_features(random, n, n_features)
    # Small classes: most labels are one of the first two.
    rare = random.random(n) < 0.2
    labels = np.where(rare, random.integers(0, n_classes, n), random.integers(0, 2, n))
    labels = np.minimum(labels, n_classes - 1).astype(np.int32)
    folds, groups = 0, None
    if n > 1 and draw(st.booleans()):
        folds = draw(st.integers(2, 4))
        groups = random.integers(0, 9, n).astype(np.int32)
        groups[:2] = 0, 1
    weights = random.uniform(0.1, 3, n_classes) if draw(st.booleans()) else np.ones(n_classes)
    growth = reference.Growth(
        class_weights=weights,
        trees=draw(st.integers(1, 5)),
        min_leaf=draw(st.integers(1, 4)),
        candidates=draw(st.integers(1, n_features)),
        seed=draw(st.integers(0, 2**64 - 1)),
        folds=folds,
    )  # fmt: skip
    return features, labels, groups, growth


def assert_same_bits(one: np.ndarray, other: np.ndarray, what: str) -> None:
    assert one.dtype == other.dtype, what
    assert one.shape == other.shape, what
    np.testing.assert_array_equal(one.view(np.int32), other.view(np.int32), err_msg=what)


@settings(deadline=None, max_examples=150)
@given(growths(), st.integers(1, 3))
def test_both_grow_the_same_forest(compiled, case, threads):
    features, labels, groups, growth = case
    set_threads(threads)
    expected = reference.grow(features, labels, groups, growth)
    got = compiled.grow(features, labels, groups, growth)
    for name in FIELDS:
        assert_same_bits(getattr(got, name), getattr(expected, name), name)
    Forest.checked(*got, features.shape[1])


@settings(deadline=None, max_examples=100)
@given(growths(), st.sampled_from([1, 7, 16, 17, 255, 256, 600]), st.integers(1, 3))
def test_both_answer_the_same(compiled, case, n, threads):
    features, labels, groups, growth = case
    forest = reference.grow(features, labels, groups, growth)
    random = np.random.default_rng(n)
    pixels = awkward_features(random, n, features.shape[1])
    # Some pixels are samples, so that features meet thresholds from both sides.
    pixels[: len(features)] = features[: len(pixels)]
    set_threads(threads)
    planar = np.ascontiguousarray(pixels.T)
    assert_same_bits(
        compiled.predict(*forest, planar), reference.predict(*forest, planar), "answers"
    )


def test_thresholds_that_are_met_exactly_go_left(compiled):
    # The smallest number above the threshold goes right; 1e-45 and 0 differ, too.
    for threshold in (0.0, 1e-45, 1.0, -3.5e38 / 3):
        at = np.float32(threshold)
        pixels = np.float32(
            [[np.nextafter(at, np.float32(-np.inf)), at, np.nextafter(at, np.float32(np.inf))]]
        )
        forest = reference.Arrays(
            np.int32([0, -1, -1]), np.float32([at, 0, 0]), np.int32([1, 0, 1]),
            np.float32([[1, 0], [0, 1]]), np.int32([0]),
        )  # fmt: skip
        np.testing.assert_array_equal(compiled.predict(*forest, pixels)[0], [1, 1, 0])
        np.testing.assert_array_equal(reference.predict(*forest, pixels)[0], [1, 1, 0])


def test_many_samples_are_counted_rightly(compiled):
    # More than 2^12 samples of 5 classes: their counts do not fit into 64 bits together.
    random = np.random.default_rng(0)
    features = random.normal(size=(5000, 3)).astype(np.float32)
    labels = random.integers(0, 5, 5000).astype(np.int32)
    growth = reference.Growth(np.ones(5), 2, 50, 2, 3, 0)
    expected = reference.grow(features, labels, None, growth)
    got = compiled.grow(features, labels, None, growth)
    for name in FIELDS:
        assert_same_bits(getattr(got, name), getattr(expected, name), name)


def test_numpy_grows_many_trees_part_by_part(monkeypatch):
    random = np.random.default_rng(0)
    features = random.normal(size=(60, 3)).astype(np.float32)
    labels = random.integers(0, 2, 60).astype(np.int32)
    growth = reference.Growth(np.ones(2), 7, 3, 2, 0, 0)
    whole = reference.grow(features, labels, None, growth)
    monkeypatch.setattr(reference, "_SAMPLES_AT_ONCE", 130)
    parts = reference.grow(features, labels, None, growth)
    for name in FIELDS:
        assert_same_bits(getattr(parts, name), getattr(whole, name), name)


@pytest.fixture
def small_forest(compiled):
    random = np.random.default_rng(0)
    features = random.normal(size=(60, 3)).astype(np.float32)
    return grow(features, random.integers(0, 2, 60), 2, trees=3, min_leaf=1)


def spoil(forest: Forest, name: str, where: int, value: float | str) -> reference.Arrays:
    named = {"last node": len(forest.feature) - 1, "number of answers": len(forest.answers)}
    named["number of nodes"] = len(forest.feature)
    value = named.get(value, value)
    arrays = {field: getattr(forest, field).copy() for field in FIELDS}
    arrays[name][where] = value
    return reference.Arrays(**arrays)


@pytest.mark.parametrize(
    ("name", "where", "value"),
    [
        ("child", 0, 0),
        ("child", 0, -5),
        ("child", 0, 2**31 - 1),
        ("child", 0, "last node"),
        ("child", -1, "number of answers"),
        ("child", -1, 10_000),
        ("child", -1, -1),
        ("feature", 0, 3),
        ("feature", 0, -2),
        ("threshold", 0, np.nan),
        ("threshold", 0, np.inf),
        ("roots", 1, -1),
        ("roots", 2, 10_000),
        ("roots", 2, "number of nodes"),
    ],
)
def test_the_library_itself_refuses_what_is_no_forest(compiled, small_forest, name, where, value):
    # `Forest.checked` would: this is the second line.
    arrays = spoil(small_forest, name, where, value)
    with pytest.raises(MSDError, match="not a forest"):
        compiled.predict(*arrays, np.zeros((3, 5), dtype=np.float32))


def test_the_library_refuses_labels_that_there_are_not(compiled):
    growth = reference.Growth(np.ones(2), 1, 1, 1, 0, 0)
    features = np.zeros((2, 1), dtype=np.float32)
    for label in (-1, 2):
        with pytest.raises(MSDError, match="outside its range"):
            compiled.grow(features, np.int32([0, label]), None, growth)


def test_the_library_answers_null_with_an_error(compiled):
    grow_it, predict = compiled._functions.msd_trees_grow, compiled._functions.msd_trees_predict
    assert grow_it(None, None, None, None, None, None) == library.BAD_ARGUMENT
    assert predict(None, None, 1, 1, 1, None) == library.BAD_ARGUMENT
    nothing = library._Forest()
    assert predict(ctypes.byref(nothing), None, 1, 1, 1, None) == library.BAD_ARGUMENT


@pytest.fixture
def fresh_library():
    library.forget()
    yield
    library.forget()


def test_a_broken_library_is_passed_over(monkeypatch, tmp_path, fresh_library):
    (tmp_path / "libnapari_msd_trees_cpu.so").write_bytes(b"not a library")
    monkeypatch.setenv(libraries.FOLDER_VARIABLE, str(tmp_path))
    assert library.load() is None
    assert "does not load" in library.state()
    forest = grow(np.float32([[0], [1]]), np.array([0, 1]), 2, min_leaf=1)
    assert forest.n_trees == 100


def test_a_library_of_another_version_is_passed_over(
    compiled, monkeypatch, tmp_path, fresh_library
):
    copy = tmp_path / compiled.path.name
    shutil.copy(compiled.path, copy)
    monkeypatch.setenv(libraries.FOLDER_VARIABLE, str(tmp_path))
    loaded = library.load()
    assert loaded is not None
    assert loaded.path == copy
    library.forget()
    monkeypatch.setattr(library, "ABI_VERSION", 999)
    assert library.load() is None
    assert "another version" in library.state()


def test_what_was_not_built_is_said(monkeypatch, fresh_library):
    monkeypatch.setattr(library, "find_file", lambda _name: None)
    assert library.load() is None
    assert "not built" in library.state()


def test_limits_are_those_of_the_library(compiled):
    # The walker's node has 12 bits for a feature and 20 for a step.
    assert forest_module.MAX_FEATURES == 2**12
    assert forest_module.MAX_TREE_NODES == 2**20
