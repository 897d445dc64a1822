"""A long log becomes the fewest operations that say the same; new work comes first."""

import sqlite3
import threading

import pytest

from napari_msd.document import requests_of
from napari_msd.storage import SessionFile, read, writer
from napari_msd.storage.compaction import compact, shrink

from .conftest import annotated, dab


def rows(path):
    connection = sqlite3.connect(path)
    try:
        return connection.execute("SELECT count(*) FROM entry").fetchone()[0]
    finally:
        connection.close()


@pytest.fixture
def long(session):
    """A session with 300 operations that a handful could say."""
    _, document = annotated(session)
    for i in range(300):
        document.do(dab(i % 20, 0, 1 + i % 3))
    session.flush()
    return session, document


def piecewise(session, work):
    return session._writer.call(lambda store: work(store.require_connection()))


def test_it_happens_when_nothing_changes(folder, path, sessions, monkeypatch):
    monkeypatch.setattr(writer, "IDLE", 0.01)
    monkeypatch.setattr(writer, "COMPACT_ABOVE", 100)
    done = threading.Event()

    def told(connection):
        yield from shrink(connection)
        done.set()

    monkeypatch.setattr(writer, "shrink", told)
    session = sessions(SessionFile.create(path))
    _, document = annotated(session)
    for i in range(300):
        document.do(dab(i % 20, 0, 1 + i % 3))
    assert done.wait(60)
    assert rows(path) == len(list(requests_of(document)))
    assert read(path).annotations[0].document == document
    document.do(dab(100, 100, 7))
    assert session.close(10)
    again, content = SessionFile.open(path)
    assert content.annotations[0].document == document
    assert again.close(10)


def test_the_file_shrinks(folder, path, sessions):
    session = sessions(SessionFile.create(path))
    _, document = annotated(session)
    for i in range(3000):
        document.do(dab(i % 20, i % 7, 1 + i % 3))
    session.flush()

    def all_of_it(connection):
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        before = path.stat().st_size
        for _ in compact(connection, 1, "it"):
            pass
        for _ in shrink(connection):
            pass
        return before, path.stat().st_size

    before, after = piecewise(session, all_of_it)
    assert after < before / 3
    assert read(path).annotations[0].document == document


def test_given_up_in_any_piece_it_has_changed_nothing(long, monkeypatch):
    session, document = long
    monkeypatch.setattr("napari_msd.storage.compaction.PIECE", 1)

    def first(pieces):
        def work(connection):
            run = compact(connection, 1, "it")
            for _ in zip(range(pieces), run, strict=False):
                pass
            run.close()
            return connection.in_transaction

        return work

    whole = 302  # the rows are read, and the first new ones are written
    for pieces in (0, 1, 150, whole):
        assert piecewise(session, first(pieces)) is False
        assert rows(session.path) == 301
    assert read(session.path).annotations[0].document == document


def test_new_work_comes_first(long, monkeypatch):
    """The writer asks for one more piece only while nothing is to be written."""
    session, document = long
    pieces = []

    def endless():
        while True:
            pieces.append(1)
            if len(pieces) == 3:
                document.do(dab(0, 0, 9))
            yield

    value = session._writer.call(lambda _: session._writer._in_pieces(endless()))
    assert value is None
    assert len(pieces) == 3


def test_rows_that_cannot_be_read_are_never_compacted_away(long):
    session, _ = long

    def damaged(connection):
        connection.execute("UPDATE entry SET body = x'00' WHERE number = 100")
        for _ in compact(connection, 1, "it"):
            pass

    piecewise(session, damaged)
    assert rows(session.path) == 301


def test_what_is_short_already_stays(session):
    _, document = annotated(session)
    for i in range(4):
        document.do(dab(64 * i, 0))
    session.flush()
    piecewise(session, lambda connection: list(compact(connection, 1, "it")))
    assert [entry.number for entry in session.journal(1).replay()] == [1, 2, 3, 4, 5]
