"""Session files made to harm: refused or read in part, and nothing in them is run.

Mutations know the format, because the checksums stop those that do not. More of them than usual:
``FUZZ_EXAMPLES=20000 pytest tests/storage/test_hostile.py``.
"""

import contextlib
import os
import sqlite3
import tracemalloc
import zlib
from collections import deque
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_msd.core.checkpoint import ClassInfo
from napari_msd.core.errors import SessionDamaged, SessionError
from napari_msd.core.settings import Settings
from napari_msd.document.operations import (
    ChooseSettings,
    DefineClass,
    MergeClasses,
    RemoveClass,
    RenameClass,
)
from napari_msd.storage import NetworkKey, SessionFile, discard, limits, read, summaries
from napari_msd.storage.elsewhere import VARIABLE
from napari_msd.storage.folding import place_of
from napari_msd.storage.operation_codec import BIND, PAINT
from napari_msd.storage.sealed import sealed

from .conftest import annotated, dab, history_of

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "80"))
MOST_MEMORY = 2**26
"""Bytes that opening any of these files, all of a few kilobytes, may take."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The bytes of a small session with a row of every kind."""
    path = tmp_path_factory.mktemp("whole") / "whole.msdsession"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, str(path.parent))
        session = SessionFile.create(path)
        number, document = annotated(session)
        for operation in (
            ChooseSettings(Settings()),
            DefineClass(ClassInfo(3, "fibres", "#102030")),
            dab(0, 0, 1),
            dab(9, 9, 2),
            dab(20, 20, 3),
            RenameClass(1, "membrane"),
            MergeClasses(2, 1),
            dab(30, 30, 4),
            RemoveClass(4),
        ):
            document.do(operation)
        session.keep_versions(1, NetworkKey("quick"), history_of(10, 20))
        session.keep_view({"zoom": 1})
        session.choose(number)
        assert session.close(10)
    return path.read_bytes()


@contextlib.contextmanager
def changed(data, path):
    """A connection to a copy of the session, without any of our protections."""
    path.write_bytes(data)
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        yield connection
    finally:
        connection.close()


def survives(path):
    """Nothing but our own errors, and not much memory; the content if it was opened."""
    content = None
    tracemalloc.start()
    try:
        with contextlib.suppress(SessionError):
            read(path)
        with contextlib.suppress(SessionError):
            session, content = SessionFile.open(path)
            for annotation in content.annotations:
                with contextlib.suppress(SessionError):
                    deque(annotation.document.journal.replay(), maxlen=0)
            assert session.close(10)
        summaries(path.parent)
        assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY
    finally:
        tracemalloc.stop()
    names = {each.name for each in path.parent.iterdir()}
    assert names <= {path.name, f"{path.stem}.damaged-1{path.suffix}", "elsewhere.json"}
    with contextlib.suppress(SessionError):
        discard(path)
    return content


# --- rows ------------------------------------------------------------------------------------

NUMBERS = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from([-1, 0, 1, 2, 255, 256, 2**31, 2**32, 2**40, 2**53, 2**62, 2**63 - 1]),
)
CELLS = st.one_of(NUMBERS, st.floats(), st.text(max_size=20), st.binary(max_size=40))
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    NUMBERS,
    st.integers(2**63, 2**64 - 1),
    st.floats(),
    st.text(max_size=20),
    st.binary(max_size=40),
    st.just("x" * 20_000),
    st.just(zlib.compress(bytes(10**6))),
)
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=4), max_leaves=8)
COLUMNS = {
    "session": ("key", "body"),
    "image": ("number", "body"),
    "annotation": ("number", "body"),
    "amount": ("annotation", "painted", "strokes"),
    "entry": ("annotation", "number", "kind", "body"),
    "version": ("number", "about", "model"),
    "history": ("number", "body"),
}


def place(table, row):
    """What the checksum of a row covers beside its content."""
    if table == "entry":
        return place_of(row["annotation"], row["number"], row["kind"])
    return f"{table} {row['key'] if table == 'session' else row['number']}"


def replaced(value, path, new):
    """A nested list or dictionary with one of its parts replaced; `path` wraps around."""
    if not path or not isinstance(value, list | dict) or not value:
        return new
    keys = list(value) if isinstance(value, dict) else range(len(value))
    key = keys[path[0] % len(keys)]
    copy = value.copy()
    copy[key] = replaced(value[key], path[1:], new)
    return copy


@st.composite
def changes(draw):
    """A function of a connection that changes something."""
    table = draw(st.sampled_from(sorted(COLUMNS)))
    nth = draw(st.integers(0, 20))
    if draw(st.booleans()):
        column, cell = draw(st.sampled_from(COLUMNS[table])), draw(CELLS)
        return lambda connection: set_cell(connection, table, nth, column, cell)
    path, new = draw(st.lists(st.integers(0, 30), max_size=3)), draw(VALUES)
    return lambda connection: set_inside(connection, table, nth, path, new)


def keys_of(table):
    return {"session": ("key",), "amount": ("annotation",), "entry": ("annotation", "number")}.get(
        table, ("number",)
    )


def nth_row(connection, table, nth):
    connection.row_factory = sqlite3.Row
    rows = connection.execute(f"SELECT * FROM {table}").fetchall()
    return rows[nth % len(rows)] if rows else None


def set_cell(connection, table, nth, column, cell):
    row = nth_row(connection, table, nth)
    if row is not None:
        where = " AND ".join(f"{key} = ?" for key in keys_of(table))
        with contextlib.suppress(sqlite3.Error, UnicodeEncodeError):
            connection.execute(
                f"UPDATE {table} SET {column} = ? WHERE {where}",
                (cell, *(row[key] for key in keys_of(table))),
            )


def set_inside(connection, table, nth, path, new):
    """Change a value inside a body, and seal it anew."""
    row = nth_row(connection, table, nth)
    column = "about" if table == "version" else "body"
    if row is None or column not in row.keys() or not isinstance(row[column], bytes):  # noqa: SIM118
        return
    with contextlib.suppress(ValueError, OverflowError, msgspec.MsgspecError, TypeError):
        value = msgspec.msgpack.decode(row[column][4:])
        body = msgspec.msgpack.encode(replaced(value, path, new))
        set_cell(connection, table, nth, column, sealed(place(table, row), body))


@settings(deadline=None, max_examples=EXAMPLES)
@given(st.lists(changes(), min_size=1, max_size=3))
def test_any_row_may_say_anything(whole, mutations):
    with TemporaryDirectory() as folder:
        path = Path(folder) / "hostile.msdsession"
        with changed(whole, path) as connection:
            for mutate in mutations:
                mutate(connection)
        survives(path)


def put_entry(connection, number, kind, body, annotation=1):
    data = sealed(place_of(annotation, number, kind), body)
    connection.execute("INSERT INTO entry VALUES (?, ?, ?, ?)", (annotation, number, kind, data))


def painted(start, stop, values):
    return msgspec.msgpack.encode((0, start, stop, values))


@pytest.mark.parametrize(
    "body",
    [
        painted((0, 0), (2**31, 2**31), b"x"),
        painted((0, 0), (2**40, 2**22), zlib.compress(bytes(10**7))),
        painted((0, 0), (300, 200), zlib.compress(bytes(10**9 // 50))),
        painted((0, 0), (2**63, 1), b"x"),
        painted((5, 5), (1, 1), zlib.compress(b"")),
        b"\xdd\xff\xff\xff\xff",  # an array of four billion
        b"\xc6\xff\xff\xff\xff",  # four billion bytes
        b"\x91" * 100_000,  # nested
    ],
)
def test_claims_of_gigabytes_take_no_memory(whole, path, body):
    with changed(whole, path) as connection:
        put_entry(connection, 100, PAINT, body)
    content = survives(path)
    assert content.problems
    assert content.annotations[0].document.annotation.counts == {1: 50, 3: 25}


def test_an_image_of_any_size_takes_no_memory(whole, path):
    """Its pixels are never in a session; painted far out, one chunk is."""
    bound = (7, "ZYX", (2**20, 2**20, 2**20), 2, 1, 0, None, None, "huge")
    with changed(whole, path) as connection:
        put_entry(connection, 100, BIND, msgspec.msgpack.encode(bound))
        values = zlib.compress(b"\x05")
        body = msgspec.msgpack.encode((7, (2**20 - 1,) * 3, (2**20,) * 3, values))
        put_entry(connection, 101, PAINT, body)
    content = survives(path)
    assert content.problems == []
    assert content.annotations[0].document.annotation.counts[5] == 1


def test_very_many_empty_boxes_only_take_time(whole, path):
    with changed(whole, path) as connection:
        connection.execute("BEGIN")
        for number in range(100, 5100):
            put_entry(connection, number, PAINT, painted((3, 3), (3, 3), zlib.compress(b"")))
        connection.execute("COMMIT")
    content = survives(path)
    assert content.problems == []
    assert content.annotations[0].document.annotation.counts == {1: 50, 3: 25}


def test_many_small_boxes_stop_before_memory_ends(whole, path, monkeypatch):
    """Each pixel alone takes a chunk: a thousand times its share of the file."""
    shape = (2**20, 2**20)
    bound = (0, "YX", shape, 2, 1, 0, None, None, "cells")
    with changed(whole, path) as connection:
        connection.execute("DELETE FROM entry")
        put_entry(connection, 1, BIND, msgspec.msgpack.encode(bound))
        one = zlib.compress(b"\x01")
        for i in range(3000):
            at = (64 * i, 64 * i)
            put_entry(connection, 2 + i, PAINT, painted(at, (at[0] + 1, at[1] + 1), one))
    before = path.read_bytes()
    rest = iter([2**30, 2**24 - 1])
    monkeypatch.setattr(limits, "available", lambda: next(rest, 0))
    with pytest.raises(SessionError, match="needs more memory than is free"):
        SessionFile.open(path)
    assert path.read_bytes() == before


def test_a_model_larger_than_memory_is_refused(whole, path, monkeypatch):
    with changed(whole, path) as connection:
        connection.execute("UPDATE version SET model = zeroblob(20000000)")
    monkeypatch.setattr(limits, "available", lambda: 2**20)
    with pytest.raises(SessionError, match="needs more memory than is free"):
        SessionFile.open(path)


def test_histories_may_contradict_themselves(whole, path):
    rows = [
        (1, "quick", [1, 1, 2, 2], 2),
        (1, "balanced", [2, 1], 9),
        (99, "quick", [1], 1),
        (1, "\u202e" * 50, [], None),
        (1, "quick", list(range(3, 900)), 4),
    ]
    with changed(whole, path) as connection:
        for number, row in enumerate(rows, 10):
            body = sealed(f"history {number}", msgspec.msgpack.encode(row))
            connection.execute("INSERT INTO history VALUES (?, ?)", (number, body))
    content = survives(path)
    assert any("kept networks" in problem for problem in content.problems)
    (image,) = content.images
    assert [v.figures.steps for v in image.histories[NetworkKey("balanced")].versions] == [20, 10]
    assert image.histories[NetworkKey("balanced")].present is None


def test_rows_with_numbers_that_are_none(whole, path):
    with changed(whole, path) as connection:
        for number in (-5, 0, 1.5, "seven", b"eight", 2**63 - 1):
            connection.execute("INSERT INTO entry VALUES (1, ?, 1, x'00')", (number,))
            connection.execute("INSERT INTO entry VALUES (?, 1, 1, x'00')", (number,))
    content = survives(path)
    assert content.problems
    assert content.annotations[0].document.annotation.counts == {1: 50, 3: 25}


# --- the schema ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statements",
    [
        "CREATE TABLE more (a)",
        "CREATE VIEW more AS SELECT * FROM entry",
        "CREATE INDEX more ON entry (kind)",
        "CREATE TRIGGER more AFTER INSERT ON session BEGIN DELETE FROM entry; END",
        "CREATE TRIGGER more AFTER UPDATE ON session BEGIN INSERT INTO image VALUES (9, x''); END",
        "DROP TABLE amount",
        "DROP TABLE amount; CREATE VIEW amount AS SELECT 1 AS annotation, 1 AS painted, 1 strokes",
        "DROP TABLE amount; CREATE TABLE amount (annotation, painted, strokes)",
        "DROP TABLE image; CREATE TABLE image (number INTEGER PRIMARY KEY, body BLOB NOT NULL, "
        "x AS (zeroblob(1000000000)))",
        "ALTER TABLE image ADD COLUMN more",
        "ANALYZE",
    ],
)
def test_other_tables_views_and_triggers_are_refused(whole, path, statements):
    with changed(whole, path) as connection:
        connection.executescript(statements)
    before = path.read_bytes()
    for opened in (SessionFile.open, read):
        with pytest.raises(SessionDamaged, match="has other tables"):
            opened(path)
    (summary,) = summaries(path.parent)
    assert "has other tables" in summary.problem
    assert path.read_bytes() == before


def test_a_schema_that_lies_about_itself_is_refused(whole, path):
    """Tables stored under one definition and declared under another."""
    with changed(whole, path) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(
            "UPDATE sqlite_master SET sql = 'CREATE TABLE image (number INTEGER PRIMARY KEY, "
            "body BLOB NOT NULL DEFAULT (load_extension(''x'')))' WHERE name = 'image'"
        )
    with pytest.raises(SessionDamaged):
        SessionFile.open(path)


@pytest.mark.parametrize("table", ["entry", "image", "annotation"])
def test_tables_that_share_their_pages(whole, path, table):
    """Two tables in one tree, or a tree that is its own branch."""
    with changed(whole, path) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(
            "UPDATE sqlite_master SET rootpage = (SELECT rootpage FROM sqlite_master WHERE name = "
            "'session') WHERE name = ?",
            (table,),
        )
    survives(path)


def test_text_that_is_no_text(whole, path):
    with changed(whole, path) as connection:
        connection.execute("INSERT INTO session VALUES (CAST(x'ff80' AS TEXT), x'00')")
    content = survives(path)
    assert content is not None


def test_nothing_is_read_from_another_file(whole, path, tmp_path):
    """The file's name is never taken for options, nor a name in it for a file."""
    odd = path.with_name("x?mode=memory&vfs=unix#.msdsession")
    try:
        odd.write_bytes(whole)
    except OSError:
        pytest.skip("this system has no such names")
    assert read(odd).annotations[0].document.annotation.counts == {1: 50, 3: 25}
    session, _ = SessionFile.open(odd)
    assert session.path == odd
    assert session.close(10)


def test_the_base_of_these_tests_is_sound(whole, path):
    path.write_bytes(whole)
    content = survives(path)
    assert content.problems == []
    assert content.annotations[0].document.annotation.counts == {1: 50, 3: 25}
