"""A session is open for writing in one place only, and a dead owner keeps nobody out."""

import os
import platform
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from napari_msd.core.errors import SessionError, SessionInUse
from napari_msd.storage import SessionFile, discard, interrupted, owner, read, summaries, writer
from napari_msd.storage.opening import read_only
from napari_msd.storage.owner import Owner
from napari_msd.storage.reading import read_owner
from napari_msd.storage.records import put_value
from napari_msd.storage.rows import seal

from .conftest import annotated, dab

ROOT = Path(__file__).parents[2]

CHILD = """
import sys, pathlib
sys.path.insert(0, sys.argv[2])
from tests.storage.conftest import annotated, dab
from napari_msd.storage import SessionFile
session = SessionFile.create(pathlib.Path(sys.argv[1]))
number, document = annotated(session)
journal = session.journal(number)

def tell(when):
    last = journal.last  # before `pending`: counts too few rather than too many
    print(last - session.pending, flush=True)

session.saved.connect(tell)
i = 0
while True:
    document.do(dab(i % 290, i % 190, 1 + i % 200))
    i += 1
    if i % 100 == 0:
        session.flush()
"""


@pytest.fixture
def child(path):
    """A process that paints into a session at `path` and prints how many operations are on disk."""
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD, path, ROOT], stdout=subprocess.PIPE, text=True
    )
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def written(child):
    line = child.stdout.readline()
    assert line, "the child has ended"
    return int(line)


def test_a_killed_process_loses_nothing_that_was_written(child, path):
    while (at_least := written(child)) < 300:
        pass
    child.kill()
    child.wait()
    (summary,) = interrupted()
    assert summary.strokes >= at_least - 2
    assert not summary.ended_properly
    session, content = SessionFile.open(path)
    (annotation,) = content.annotations
    assert content.problems == []
    assert annotation.document.number >= at_least
    last = annotation.document.number - 2  # the first operation names the image
    assert annotation.document.annotation.count(1 + last % 200) > 0
    assert session.close(10)


def test_changes_are_written_well_within_half_a_second():
    assert writer.GATHER <= 0.25


def test_what_another_process_has_open_is_refused_but_can_be_read(child, path):
    written(child)
    with pytest.raises(SessionInUse, match=rf"another napari window \(process {child.pid}\)"):
        SessionFile.open(path)
    with pytest.raises(SessionInUse):
        discard(path)
    (summary,) = summaries()
    assert summary.in_use
    assert summary.problem == ""
    assert interrupted() == []
    before = read(path).annotations[0].document.annotation.counts
    assert sum(before.values()) > 0
    written(child)  # it was not disturbed


@pytest.fixture
def claimed(session):
    """Claims a closed session for others."""
    annotated(session)[1].do(dab(0, 0))
    assert session.close(10)

    def claim(**changes):
        process = Owner(platform.node(), os.getpid(), "", "another", time.time())
        connection = sqlite3.connect(session.path, isolation_level=None)
        row = seal("session owner", msgspec.structs.replace(process, **changes))
        put_value(connection, "owner", row)
        connection.close()
        return session.path

    return claim


def opens(path):
    session, content = SessionFile.open(path)
    assert session.close(10)
    return content.problems == []


def test_opened_twice_in_one_process(session):
    with pytest.raises(SessionInUse, match="is open in this napari"):
        SessionFile.open(session.path)


def test_our_own_claim_without_a_session_is_void(claimed):
    assert opens(claimed())


def test_a_process_that_ended_is_overridden(claimed):
    process = subprocess.Popen([sys.executable, "-c", ""])
    identity = owner._identity(process.pid)
    process.wait()
    assert opens(claimed(pid=process.pid, process=identity or "1.0"))


def test_a_reused_process_number_is_overridden(claimed):
    parent = os.getppid()
    with pytest.raises(SessionInUse):
        SessionFile.open(claimed(pid=parent, process=owner._identity(parent)))
    assert opens(claimed(pid=parent, process="started another time"))


@pytest.mark.parametrize("pid", [-1, 0, 2**40, 10**18])
def test_impossible_process_numbers_are_overridden(claimed, pid):
    assert opens(claimed(pid=pid, process="1"))


def test_another_machine_is_believed_for_some_minutes(claimed):
    with pytest.raises(SessionInUse, match="on the machine 'microscope'"):
        SessionFile.open(claimed(host="microscope"))
    assert opens(claimed(host="microscope", seen=time.time() - 301))


def test_a_machine_whose_clock_is_years_ahead_keeps_nobody_out(claimed):
    assert opens(claimed(host="microscope", seen=time.time() + 10**8))


def test_what_somebody_else_took_over_is_not_written_to(session, monkeypatch):
    monkeypatch.setattr(writer, "RETRY", 0.01)
    said = []
    session.failed.connect(said.append)
    _, document = annotated(session)
    document.do(dab(0, 0))
    assert session.flush(10)
    other = Owner("microscope", 1, "", "another", time.time())
    connection = sqlite3.connect(session.path, isolation_level=None)
    put_value(connection, "owner", seal("session owner", other))
    connection.close()
    document.do(dab(9, 9))
    assert not session.flush(0.1)
    assert "on the machine 'microscope'" in said[0]
    assert read(session.path).annotations[0].document.annotation.count(1) == 25


def test_an_owner_says_from_time_to_time_that_it_is_there(session):
    annotated(session)[1].do(dab(0, 0))
    assert session.flush(10)
    claims = []
    for _ in range(2):
        session._writer.call(lambda store: store.keep_house())
        with read_only(session.path) as connection:
            claims.append(read_owner(connection))
    assert claims[0].token == claims[1].token
    assert claims[0].seen < claims[1].seen
    assert owner.HEARTBEAT < owner.ABANDONED_AFTER / 3


def test_only_sessions_are_discarded(session, tmp_path):
    letter = tmp_path / "letter.txt"
    letter.write_text("mine")
    with pytest.raises(SessionError, match="is not a session"):
        discard(letter)
    assert letter.exists()


def test_a_discarded_session_is_gone(session, folder):
    annotated(session)[1].do(dab(0, 0))
    with pytest.raises(SessionInUse):
        discard(session.path)
    assert session.close(10)
    discard(session.path)
    assert list(folder.iterdir()) == []
    with pytest.raises(SessionError, match="There is no session"):
        discard(session.path)
