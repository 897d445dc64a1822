"""Arrays of a forest that somebody sent: a forest, or half a sentence that says why not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from napari_msd.core.errors import ModelFileError
from napari_msd.trees import Forest, grow

FIELDS = ("feature", "threshold", "child", "answers", "roots")


def arrays_of(forest: Forest) -> dict[str, np.ndarray]:
    return {name: getattr(forest, name).copy() for name in FIELDS}


@pytest.fixture(scope="module")
def forest() -> Forest:
    random = np.random.default_rng(0)
    features = random.normal(size=(80, 3)).astype(np.float32)
    return grow(features, random.integers(0, 2, 80), 2, trees=3, min_leaf=1)


@pytest.fixture
def arrays(forest) -> dict[str, np.ndarray]:
    return arrays_of(forest)


def refused(arrays: dict[str, np.ndarray], words: str, n_features: int = 3) -> None:
    with pytest.raises(ModelFileError, match=words):
        Forest.checked(**arrays, n_features=n_features)


def test_own_copies(arrays):
    checked = Forest.checked(**arrays, n_features=3)
    for name in FIELDS:
        assert not np.shares_memory(getattr(checked, name), arrays[name])


@pytest.mark.parametrize("name", FIELDS)
def test_other_types_shapes_and_lengths(arrays, name):
    good = arrays[name]
    for bad in (good.astype(np.float64), good.astype(">f4"), good[None], good[:0]):
        refused({**arrays, name: bad}, "its trees")
    if name not in ("answers", "roots"):
        refused({**arrays, name: good[:-1]}, "its trees")


@pytest.mark.parametrize(
    ("name", "where", "value", "words"),
    [
        ("feature", 0, 3, "features that there are not"),
        ("feature", 0, -2, "features that there are not"),
        ("threshold", 0, np.nan, "not finite"),
        ("threshold", -1, np.inf, "not finite"),
        ("child", 0, 0, "after their parents"),
        ("child", 0, -1, "after their parents"),
        ("child", 0, 2**31 - 1, "after their parents"),
        ("child", 0, "last node", "after their parents"),
        ("child", -1, "number of answers", "answers that there are not"),
        ("child", -1, 2**31 - 1, "answers that there are not"),
        ("child", -1, -1, "answers that there are not"),
        ("answers", (0, 0), np.nan, "shares of sum 1"),
        ("answers", (0, 0), np.inf, "shares of sum 1"),
        ("answers", 0, (-1, 2), "shares of sum 1"),
        ("answers", 0, (0.6, 0.6), "shares of sum 1"),
        ("roots", 0, 1, "roots are not in order"),
        ("roots", 1, 0, "roots are not in order"),
        ("roots", 2, 2**31 - 1, "roots are not in order"),
        ("roots", 1, -7, "roots are not in order"),
        ("roots", 1, 1, "share nodes"),
        ("child", 0, 2, "share nodes"),
    ],
)
def test_one_wrong_number(arrays, name, where, value, words):
    named = {
        "last node": len(arrays["feature"]) - 1,
        "number of answers": len(arrays["answers"]),
    }
    arrays[name][where] = named.get(value, value) if isinstance(value, str) else value
    refused(arrays, words)


@pytest.mark.parametrize("n_features", [0, -1, 5000, 2**70])
def test_other_numbers_of_features(arrays, n_features):
    refused(arrays, "features", n_features)


def test_a_leaf_in_place_of_a_subtree_leaves_nodes_that_nothing_leads_to(arrays):
    arrays["feature"][0], arrays["child"][0] = -1, 0
    refused(arrays, "share nodes, or hold some that nothing leads to")


def chain(depth: int) -> dict[str, np.ndarray]:
    """One tree whose right children are leaves."""
    feature = np.full(2 * depth + 1, -1, dtype=np.int32)
    child = np.zeros(2 * depth + 1, dtype=np.int32)
    inner = np.array([0, *range(1, 2 * depth - 1, 2)])
    feature[inner] = 0
    child[inner] = np.arange(1, 2 * depth, 2)
    return {
        "feature": feature,
        "threshold": np.zeros(2 * depth + 1, dtype=np.float32),
        "child": child,
        "answers": np.ones((1, 1), dtype=np.float32),
        "roots": np.zeros(1, dtype=np.int32),
    }


def test_depth_is_bounded():
    assert Forest.checked(**chain(64), n_features=1).n_trees == 1
    refused(chain(65), "deeper than 64")
    refused(chain(50_000), "deeper than 64")


@settings(deadline=None, max_examples=300)
@given(data=st.data())
def test_whatever_is_not_refused_can_be_used(forest, data):
    """Some numbers of a good forest replaced by any others."""
    arrays = arrays_of(forest)
    for _ in range(data.draw(st.integers(1, 4))):
        array = arrays[data.draw(st.sampled_from(FIELDS))].reshape(-1)
        near = st.integers(-2, len(forest.feature) + 1)
        numbers = (
            st.floats(width=32)
            if array.dtype == np.float32
            else near | st.integers(-(2**31), 2**31 - 1)
        )
        array[data.draw(st.integers(0, len(array) - 1))] = data.draw(numbers)
    try:
        checked = Forest.checked(**arrays, n_features=3)
    except ModelFileError:
        return
    answers = checked.probabilities(np.random.default_rng(0).normal(size=(3, 50)))
    assert np.isfinite(answers).all()
    np.testing.assert_allclose(answers.sum(axis=0), 1, atol=1e-3)


@settings(deadline=None, max_examples=100)
@given(
    *(
        npst.arrays(dtype, npst.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=6))
        for dtype in (np.int32, np.float32, np.int32, np.float32, np.int32)
    )
)
def test_any_arrays(feature, threshold, child, answers, roots):
    try:
        Forest.checked(feature, threshold, child, answers, roots, 2)
    except ModelFileError:
        return
    assert len(feature) == len(threshold) == len(child)
