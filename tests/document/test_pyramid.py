"""Segmentations that are larger than memory."""

import os
import platform

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_msd.core.box import Box
from napari_msd.document import pyramid, scratch
from napari_msd.document.part import LazyPart
from napari_msd.document.pyramid import LabelPyramid
from napari_msd.document.scratch import ScratchFolder


@pytest.fixture(autouse=True)
def _small(monkeypatch, tmp_path):
    monkeypatch.setattr(pyramid, "SIDE", 16)
    monkeypatch.setattr(pyramid, "_COARSEST", 20)
    monkeypatch.setenv(scratch.VARIABLE, str(tmp_path / "scratch"))


SHAPE = (2, 70, 90)


def boxes():
    def box(corners):
        pairs = [sorted(pair) for pair in corners]
        return Box(0, tuple(a for a, _ in pairs), tuple(b + 1 for _, b in pairs))

    axis = [st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)) for n in SHAPE]
    return st.tuples(*axis).map(box)


@settings(max_examples=20)
@given(st.lists(st.tuples(boxes(), st.integers(0, 3)), max_size=12))
def test_every_level_holds_every_second_value_of_the_finer_one(writes):
    plain = np.zeros(SHAPE, np.uint8)
    labels = LabelPyramid(SHAPE, memory=16 * 16 * 3)
    rng = np.random.default_rng(0)
    for box, low in writes:
        values = rng.integers(0, low + 1, box.shape).astype(np.uint8)
        plain[box.slices] = values
        labels.write(box, values)
    assert [level.shape for level in labels.levels] == [
        (2, 70, 90),
        (2, 35, 45),
        (2, 18, 23),
        (2, 9, 12),
    ]
    for number, level in enumerate(labels.levels):
        step = 1 << number
        np.testing.assert_array_equal(np.asarray(level), plain[:, ::step, ::step])


def test_what_does_not_fit_into_memory_is_on_disk_and_gone_with_it():
    labels = LabelPyramid(SHAPE, memory=16 * 16 * 3)
    whole = Box.whole(0, SHAPE)
    values = np.arange(np.prod(SHAPE)).reshape(SHAPE).astype(np.uint8)
    labels.write(whole, values)
    labels.flush()
    (folder,) = scratch.place().iterdir()
    assert any(path.is_file() for path in folder.rglob("*"))
    np.testing.assert_array_equal(labels.read(whole), values)
    del labels
    assert not list(scratch.place().iterdir())


def test_what_fits_into_memory_never_reaches_the_disk():
    labels = LabelPyramid(SHAPE)
    labels.write(Box.whole(0, SHAPE), np.ones(SHAPE, np.uint8))
    labels.flush()
    assert not scratch.place().exists()


def test_a_disk_that_cannot_be_written_is_said_once(monkeypatch):
    def full(self):
        raise OSError("No space left on device")

    monkeypatch.setattr(ScratchFolder, "__init__", full)
    said = []
    labels = LabelPyramid(SHAPE, memory=16 * 16 * 3, failed=said.append)
    labels.write(Box.whole(0, SHAPE), np.ones(SHAPE, np.uint8))
    labels.flush()
    labels.write(Box.whole(0, SHAPE), np.full(SHAPE, 2, np.uint8))
    (sentence,) = said
    assert "No space left on device" in sentence
    assert set(np.unique(labels.read(Box.whole(0, SHAPE)))) <= {0, 1, 2}


def test_folders_of_programs_that_are_gone_are_removed(monkeypatch):
    left = ScratchFolder()
    monkeypatch.setattr(scratch.psutil, "pid_exists", lambda number: number != os.getpid())
    ours = ScratchFolder()
    assert not left.path.exists()
    assert ours.path.is_dir()

    ours.remove()
    assert not ours.path.exists()


def test_folders_of_other_machines_stay(monkeypatch):
    """They may share the user's folders, and their processes are not known here."""
    monkeypatch.setattr(scratch.psutil, "pid_exists", lambda number: False)
    monkeypatch.setattr(platform, "node", lambda: "another")
    theirs = ScratchFolder()
    monkeypatch.setattr(platform, "node", lambda: "this one")
    ours = ScratchFolder()
    assert theirs.path.is_dir()
    assert ours.path.is_dir()


def test_the_coarsest_level_of_a_plane_is_given_once_and_is_what_is_written_later():
    labels = LabelPyramid((70, 90))
    given = np.asarray(LazyPart(labels.levels[-1]))
    box = Box(0, (10, 20), (40, 90))
    labels.write(box, np.full(box.shape, 3, np.uint8))
    plain = np.zeros((70, 90), np.uint8)
    plain[box.slices] = 3
    np.testing.assert_array_equal(given, plain[::8, ::8])
    np.testing.assert_array_equal(labels.levels[-1].read(Box(0, (2, 2), (5, 9))), given[2:5, 2:9])
