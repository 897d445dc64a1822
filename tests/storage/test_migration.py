"""Older files are brought up to date, newer ones are refused."""

import sqlite3

import msgspec
import pytest

from napari_msd.core.errors import SessionError
from napari_msd.storage import SessionFile, read, schema, summaries
from napari_msd.storage.rows import AnnotationRow, HistoryRow

from .conftest import annotated, dab


@pytest.fixture
def version_0(session, monkeypatch):
    """A file of a version that had no amounts, and its document; the step from it is known."""
    _, document = annotated(session)
    document.do(dab(0, 0))
    assert session.close(10)
    tables = tuple(sql for sql in schema.TABLES[1] if "TABLE amount" not in sql)
    (amount,) = set(schema.TABLES[1]) - set(tables)

    def step(connection):
        connection.execute(amount)
        connection.execute(
            "INSERT INTO amount SELECT annotation, 0, count(*) FROM entry GROUP BY annotation"
        )

    monkeypatch.setitem(schema.TABLES, 0, tables)
    monkeypatch.setitem(schema.STEPS, 0, step)
    connection = sqlite3.connect(session.path)
    connection.execute("DROP TABLE amount")
    connection.execute("PRAGMA user_version = 0")
    connection.close()
    yield session.path, document
    schema._expected.cache_clear()


def version_of(path):
    connection = sqlite3.connect(path)
    try:
        return connection.execute("PRAGMA user_version").fetchone()[0]
    finally:
        connection.close()


def test_an_older_file_is_brought_up_to_date(version_0):
    path, document = version_0
    session, content = SessionFile.open(path)
    assert content.problems == []
    assert content.annotations[0].document == document
    document.do(dab(50, 50))
    assert session.close(10)
    assert version_of(path) == schema.VERSION
    (summary,) = summaries()
    assert summary.problem == ""


def test_an_older_file_is_read_without_changing_it(version_0):
    path, document = version_0
    before = path.read_bytes()
    assert read(path).annotations[0].document == document
    assert path.read_bytes() == before
    assert version_of(path) == 0


def test_a_step_that_fails_changes_nothing(version_0, monkeypatch):
    path, _ = version_0

    def fail(connection):
        connection.execute("DELETE FROM entry")
        raise sqlite3.OperationalError("the disk is gone")

    monkeypatch.setitem(schema.STEPS, 0, fail)
    with pytest.raises(SessionError, match="the disk is gone"):
        SessionFile.open(path)
    assert version_of(path) == 0
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT count(*) FROM entry").fetchone()[0] == 2
    connection.close()


def test_a_newer_file_is_refused(session):
    annotated(session)[1].do(dab(0, 0))
    assert session.close(10)
    connection = sqlite3.connect(session.path)
    connection.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    connection.close()
    before = session.path.read_bytes()
    for opened in (SessionFile.open, read):
        with pytest.raises(SessionError, match="made by a newer napari-msd; update"):
            opened(session.path)
    assert session.path.read_bytes() == before
    (summary,) = summaries()
    assert "newer" in summary.problem


@pytest.mark.parametrize(
    ("row", "more"),
    [
        (HistoryRow(1, "quick", (3, 4), 4), 3),
        (AnnotationRow(1, "strokes"), 1),
    ],
)
def test_rows_of_version_1_lack_the_last_values(row, more):
    values = list(msgspec.structs.astuple(row))
    older = msgspec.msgpack.encode(values[: len(values) - more])
    assert msgspec.msgpack.decode(older, type=type(row)) == row


def test_a_file_of_version_1_is_brought_up_to_date(session):
    _, document = annotated(session)
    document.do(dab(0, 0))
    assert session.close(10)
    connection = sqlite3.connect(session.path)
    connection.execute("PRAGMA user_version = 1")
    connection.close()
    again, content = SessionFile.open(session.path)
    assert content.problems == []
    assert content.annotations[0].document == document
    assert again.close(10)
    assert version_of(session.path) == schema.VERSION


def test_every_version_has_a_step():
    assert set(schema.STEPS) == set(range(1, schema.VERSION))
    assert set(schema.TABLES) == set(range(1, schema.VERSION + 1))
