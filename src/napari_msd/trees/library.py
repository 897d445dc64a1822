"""The compiled trees, if they were built: kernels/include/napari_msd_trees.h in ctypes."""

from __future__ import annotations

import ctypes
from ctypes import POINTER, c_char_p, c_double, c_float, c_int32, c_int64, c_uint64
from functools import cache
from pathlib import Path

import numpy as np

from napari_msd.core.errors import MSDError, OutOfMemoryError
from napari_msd.native.libraries import LibraryError, find_file
from napari_msd.native.threads import get_all_threads
from napari_msd.trees.reference import Arrays, Floats, Growth, Integers

ABI_VERSION = 1
OK, BAD_ARGUMENT, OUT_OF_MEMORY, INTERNAL = range(4)

LIBRARY_NAME = "napari_msd_trees_cpu"


class _Growth(ctypes.Structure):
    """``msd_growth``."""

    _fields_ = [
        ("samples", c_int64),
        ("seed", c_uint64),
        ("features", c_int32),
        ("classes", c_int32),
        ("trees", c_int32),
        ("min_leaf", c_int32),
        ("candidates", c_int32),
        ("folds", c_int32),
        ("threads", c_int32),
    ]


class _Forest(ctypes.Structure):
    """``msd_forest``."""

    _fields_ = [
        ("feature", POINTER(c_int32)),
        ("threshold", POINTER(c_float)),
        ("child", POINTER(c_int32)),
        ("answers", POINTER(c_float)),
        ("roots", POINTER(c_int32)),
        ("nodes", c_int64),
        ("leaves", c_int64),
        ("trees", c_int32),
        ("features", c_int32),
        ("classes", c_int32),
    ]


_SIGNATURES: dict[str, tuple[type, list[type]]] = {
    "msd_trees_abi_version": (c_int32, []),
    "msd_trees_error_text": (c_char_p, [c_int32]),
    # features, labels, groups, class weights -> forest
    "msd_trees_grow": (
        c_int32,
        [
            POINTER(_Growth),
            POINTER(c_float),
            POINTER(c_int32),
            POINTER(c_int32),
            POINTER(c_double),
            POINTER(_Forest),
        ],
    ),
    # features, pixels, row stride, threads -> answers
    "msd_trees_predict": (
        c_int32,
        [POINTER(_Forest), POINTER(c_float), c_int64, c_int64, c_int32, POINTER(c_float)],
    ),
}


class CompiledTrees:
    """A loaded library; its methods do what those of `reference` do, bit for bit."""

    def __init__(self, path: Path) -> None:
        """Load one file.

        Raises
        ------
        LibraryError
            If it does not load, or was built for another version of this package.
        """
        try:
            self._functions = ctypes.CDLL(str(path))
            for name, (result, arguments) in _SIGNATURES.items():
                function = getattr(self._functions, name)
                function.restype = result
                function.argtypes = arguments
        except (OSError, AttributeError) as error:
            raise LibraryError(f"it does not load ({error})") from error
        version = self._functions.msd_trees_abi_version()
        if version != ABI_VERSION:
            raise LibraryError(
                f"it was built for another version of napari-msd (interface {version}, "
                f"not {ABI_VERSION}); install napari-msd again"
            )
        self.path = path

    def grow(
        self, features: Floats, labels: Integers, groups: Integers | None, growth: Growth
    ) -> Arrays:
        """Grow trees; all arrays C-contiguous.

        Raises
        ------
        OutOfMemoryError
            If the bookkeeping does not fit into memory.
        """
        n, n_features = features.shape
        weights = np.ascontiguousarray(growth.class_weights, dtype=np.float64)
        # Every leaf but a root has min_leaf samples. Unused parts are never touched, so they take
        # no memory.
        leaves = growth.trees * max(1, n // growth.min_leaf)
        nodes = 2 * leaves - growth.trees
        arrays = Arrays(
            np.empty(nodes, dtype=np.int32),
            np.empty(nodes, dtype=np.float32),
            np.empty(nodes, dtype=np.int32),
            np.empty((leaves, len(weights)), dtype=np.float32),
            np.empty(growth.trees, dtype=np.int32),
        )
        forest = _described(*arrays, n_features)
        settings = _Growth(
            samples=n,
            seed=growth.seed,
            features=n_features,
            classes=len(weights),
            trees=growth.trees,
            min_leaf=growth.min_leaf,
            candidates=growth.candidates,
            folds=growth.folds,
            threads=get_all_threads(),
        )
        code = self._functions.msd_trees_grow(
            ctypes.byref(settings),
            _floats(features),
            _integers(labels),
            None if groups is None else _integers(groups),
            weights.ctypes.data_as(POINTER(c_double)),
            ctypes.byref(forest),
        )
        self._check(code)
        return Arrays(
            arrays.feature[: forest.nodes].copy(),
            arrays.threshold[: forest.nodes].copy(),
            arrays.child[: forest.nodes].copy(),
            arrays.answers[: forest.leaves].copy(),
            arrays.roots,
        )

    def predict(
        self,
        feature: Integers,
        threshold: Floats,
        child: Integers,
        answers: Floats,
        roots: Integers,
        features: Floats,
    ) -> Floats:
        """The mean class probabilities of the trees, (n_classes, n); see `reference.predict`.

        Parameters
        ----------
        features
            (n_features, n); copied unless the pixels of a row are contiguous in memory.
        """
        n_features, n = features.shape
        step, neighbour = features.strides
        if neighbour != 4 or step < 4 * n or step % 4 or not features.flags.aligned:
            features = features.copy()
        stride = features.strides[0] // 4
        forest = _described(feature, threshold, child, answers, roots, n_features)
        result = np.empty((answers.shape[1], n), dtype=np.float32)
        code = self._functions.msd_trees_predict(
            ctypes.byref(forest), _floats(features), n, stride, get_all_threads(), _floats(result)
        )
        self._check(code)
        return result

    def _check(self, code: int) -> None:
        if code == OUT_OF_MEMORY:
            raise OutOfMemoryError("There is too little memory for these trees.")
        if code != OK:
            reason = self._functions.msd_trees_error_text(code).decode()
            raise MSDError(f"The compiled trees failed: {reason}.")


def _floats(array: Floats) -> ctypes._Pointer[c_float]:
    return array.ctypes.data_as(POINTER(c_float))


def _integers(array: Integers) -> ctypes._Pointer[c_int32]:
    return array.ctypes.data_as(POINTER(c_int32))


def _described(
    feature: Integers,
    threshold: Floats,
    child: Integers,
    answers: Floats,
    roots: Integers,
    n_features: int,
) -> _Forest:
    """Addresses and lengths of the arrays, which must exist longer than the structure."""
    return _Forest(
        feature=_integers(feature),
        threshold=_floats(threshold),
        child=_integers(child),
        answers=_floats(answers),
        roots=_integers(roots),
        nodes=len(feature),
        leaves=len(answers),
        trees=len(roots),
        features=n_features,
        classes=answers.shape[1],
    )


def load() -> CompiledTrees | None:
    """Load the library, or return None: then NumPy is used, and `state` says why."""
    return _open()[0]


def state() -> str:
    """One sentence: whether compiled trees are available, or why not."""
    return _open()[1]


def forget() -> None:
    """Search again at the next call; for tests."""
    _open.cache_clear()


@cache
def _open() -> tuple[CompiledTrees | None, str]:
    path = find_file(LIBRARY_NAME)
    if path is None:
        return (
            None,
            "The compiled trees were not built on this installation; NumPy does their work.",
        )
    try:
        return CompiledTrees(path), "The compiled trees are ready."
    except LibraryError as error:
        return None, f"The compiled trees cannot be used: {error}; NumPy does their work."
