"""While a disk refuses, nothing is lost, and it is said once."""

import errno
import shutil
import sqlite3
import sys
import threading

import numpy as np
import pytest

from napari_msd.core.box import Box
from napari_msd.document.operations import PaintBox
from napari_msd.storage import SessionFile, read, writer

from .conftest import SPACE, annotated, dab

unix = pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps open files in place")


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(writer, "RETRY", 0.01)


@pytest.fixture
def said(session):
    """What the session said failed; `wait` for the first time."""

    class Said(list):
        arrived = threading.Event()

        def add(self, sentence):
            self.append(sentence)
            self.arrived.set()

        def wait(self):
            assert self.arrived.wait(60)

    said = Said()
    session.failed.connect(said.add)
    return said


def noise(seed):
    """Values that cannot be deflated: some pages each."""
    values = np.random.default_rng(seed).integers(1, 200, SPACE.shape, np.uint8)
    return PaintBox(Box(0, (0, 0), SPACE.shape), values)


def limit(session, pages):
    session._writer.call(
        lambda store: store.require_connection().execute(f"PRAGMA max_page_count = {pages}")
    )


def test_strokes_wait_until_a_full_disk_has_room(session, said):
    _, document = annotated(session)
    document.do(dab(0, 0))
    assert session.flush(10)
    limit(session, 30)
    for i in range(20):
        document.do(noise(i))
        document.do(dab(i, i, 201))
    said.wait()
    assert not session.flush(0.1)
    assert session.pending == 40
    limit(session, 10_000)
    assert session.flush(60)
    assert read(session.path).annotations[0].document == document
    (sentence,) = said
    assert "the disk is full" in sentence
    assert "kept in memory" in sentence


def failing(session, monkeypatch, error):
    """Every commit fails until the returned function is called."""
    store = session._writer._store

    def refuse(connection):
        raise error

    patch = pytest.MonkeyPatch()
    patch.setattr(store, "_commit", refuse)
    return patch.undo


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.EROFS, "read-only"), "read-only"),
        (sqlite3.OperationalError("disk I/O error"), "disk I/O error"),
        (MemoryError(), "too little memory"),
        (RuntimeError("a mistake of ours"), "a mistake of ours"),
    ],
)
def test_whatever_fails_is_tried_again_in_order(session, said, monkeypatch, error, words):
    _, document = annotated(session)
    mend = failing(session, monkeypatch, error)
    for i in range(5):
        document.do(dab(i, i, 1 + i))
    said.wait()
    document.do(dab(2, 2, 9))
    mend()
    assert session.flush(60)
    assert read(session.path).annotations[0].document == document
    assert len(said) == 1
    assert words in said[0]


def test_it_is_said_again_when_it_fails_again(session, said, monkeypatch):
    _, document = annotated(session)
    for i in range(2):
        mend = failing(session, monkeypatch, OSError(errno.EIO, "no answer"))
        document.do(dab(i, i))
        said.wait()
        mend()
        assert session.flush(60)
        said.arrived.clear()
    assert len(said) == 2


def test_closing_does_not_wait_for_a_dead_disk(session, said, monkeypatch):
    _, document = annotated(session)
    document.do(dab(0, 0))
    assert session.flush(10)
    mend = failing(session, monkeypatch, OSError(errno.EIO, "no answer"))
    document.do(dab(9, 9))
    assert session.close(0.05) is False
    mend()
    assert read(session.path).annotations[0].document.annotation.count(1) == 25
    again, content = SessionFile.open(session.path)  # the claim went with it
    assert content.problems == []
    assert again.close(10)


@unix
def test_a_removed_folder_is_waited_for(session, said):
    _, document = annotated(session)
    document.do(dab(0, 0))
    assert session.flush(10)
    shutil.rmtree(session.path.parent)
    document.do(dab(9, 9))
    said.wait()
    assert "its folder does not exist" in said[0]
    session.path.parent.mkdir()
    assert session.flush(60)
    assert read(session.path).annotations[0].document == document


@unix
def test_a_removed_file_is_written_anew(session, said):
    _, document = annotated(session)
    document.do(dab(0, 0))
    assert session.flush(10)
    session.path.unlink()
    document.do(dab(9, 9))
    assert session.flush(60)
    assert session.close(10)
    assert read(session.path).annotations[0].document == document
    assert said == []


def test_a_mistake_in_one_change_does_not_keep_back_the_others(session, said, monkeypatch):
    _, document = annotated(session)
    assert session.flush(10)

    class Mistake:
        key = None

        def prepare(self):
            raise TypeError("not to be written")

    session._writer.put(Mistake())
    document.do(dab(0, 0))
    assert session.flush(10)
    assert read(session.path).annotations[0].document == document
    (sentence,) = said
    assert "not to be written" in sentence
