"""What is recorded in a session is there when it is opened again."""

import sqlite3
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_msd.core.box import Box
from napari_msd.core.errors import SessionError
from napari_msd.document import Document, requests_of
from napari_msd.document.operations import BindSource, DefineClass, PaintBox
from napari_msd.storage import ImageReference, NetworkKey, SessionFile, new_path, read, writer
from napari_msd.storage.compaction import compact
from napari_msd.storage.elsewhere import elsewhere

from ..document.test_document import bound, operations
from .conftest import REFERENCE, SPACE, annotated, dab, history_of


def reopened(session, sessions):
    path = session.path
    assert session.close(10)
    again, content = SessionFile.open(path)
    assert content.problems == []
    return sessions(again), content


def test_everything_comes_back(session, sessions):
    number, document = annotated(session)
    for value in (1, 2, 3):
        document.do(dab(20 * value, 30, value))
    history = history_of(10, 20, 30)
    history.go_back(history.versions[1])
    session.keep_versions(1, NetworkKey("quick"), history)
    session.keep_view({"zoom": 2.5, "layers": [{"name": "cells", "visible": False}]})
    session.choose(number)
    identity = session.id

    again, content = reopened(session, sessions)
    assert again.id == content.id == identity
    (image,), (annotation,) = content.images, content.annotations
    assert image.reference == REFERENCE
    assert image.histories == {NetworkKey("quick"): history}
    assert (annotation.number, annotation.image, annotation.name) == (number, 1, "membrane")
    assert annotation.document == document
    assert annotation.document.number == document.number
    assert content.current == number
    assert content.view == {"zoom": 2.5, "layers": [{"name": "cells", "visible": False}]}
    assert content.last_change > 0


def test_a_reopened_document_goes_on(session, sessions):
    _, document = annotated(session)
    document.do(dab(0, 0))
    again, content = reopened(session, sessions)
    content.annotations[0].document.do(dab(50, 50, 2))
    document.annotation.write(dab(50, 50).box, dab(50, 50, 2).values)
    again, content = reopened(again, sessions)
    assert content.annotations[0].document.annotation == document.annotation
    assert [entry.number for entry in again.journal(1).replay()] == [1, 2, 3]


def test_images_and_annotations_can_be_changed(session, sessions):
    number, document = annotated(session)
    document.do(dab(0, 0))
    other = ImageReference("tissue", "ZYX", (2, 9, 9), 3, "float32", sample=("napari-msd", "em"))
    second = session.add_image(REFERENCE)
    session.update_image(second, other)
    session.update_annotation(number, second, "fibres")
    again, content = reopened(session, sessions)
    assert [image.reference for image in content.images] == [REFERENCE, other]
    (annotation,) = content.annotations
    assert (annotation.image, annotation.name) == (second, "fibres")
    assert again.add_image(REFERENCE) == 3
    assert again.add_annotation(3, "more") == number + 1


def test_paths_come_back_in_any_alphabet(session, sessions):
    _, document = annotated(
        session, "слой", ImageReference("细胞", "YX", (300, 200), 1, "u1", "é\udcff")
    )
    document.do(dab(0, 0))
    _, content = reopened(session, sessions)
    assert content.images[0].reference.name == "细胞"
    assert content.images[0].reference.path == "é\udcff"
    assert content.annotations[0].name == "слой"


@settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(operations | st.sampled_from(["compact", "rewrite", "reopen"]), max_size=15),
)
def test_a_document_read_is_equal_to_the_one_written(changes):
    path = new_path("any")
    session = SessionFile.create(path)
    number = session.add_annotation(session.add_image(REFERENCE), "membrane")
    document = Document(session.journal(number))
    for operation in [*bound(), dab(0, 0), *changes]:
        if operation == "compact":
            for i in range(60):
                done_durably(document, dab(0, 0, 1 + i % 2))
            assert session._writer.call(compacted)
        elif operation == "rewrite":
            session.journal(number).rewrite(requests_of(document))
            document.replace_journal(session.journal(number))
        elif operation == "reopen":
            document.do(dab(0, 0))  # a session with nothing painted would be gone
            twin = document
            assert session.close(10)
            session, content = SessionFile.open(path)
            document = content.annotations[0].document
            assert document == twin
        else:
            done_durably(document, operation)
    assert Document(session.journal(number)) == document
    session.flush()
    assert read(path).annotations[0].document == document
    document.do(dab(60, 60))
    assert session.close(10)
    again, content = SessionFile.open(path)
    assert content.problems == []
    assert content.annotations[0].document == document
    assert again.close(10)
    path.unlink()


def done_durably(document, operation):
    before = document.journal.last
    try:
        document.do(operation)
    except ValueError:
        assert document.journal.last == before


def compacted(store):
    """Compact to the end, beside the thread that decides when; whether that changed anything."""
    before = entries(store.path)
    for _ in compact(store.require_connection(), 1, "it"):
        pass
    return entries(store.path) < before


def entries(path):
    connection = sqlite3.connect(path)
    try:
        return connection.execute("SELECT count(*) FROM entry").fetchone()[0]
    finally:
        connection.close()


def test_appending_does_not_wait_for_the_disk(session, monkeypatch):
    _, document = annotated(session)
    assert session.flush(10)
    entered, leave = threading.Event(), threading.Event()
    store = session._writer._store
    commit = store._commit

    def slow(connection):
        entered.set()
        assert leave.wait(60)
        commit(connection)

    monkeypatch.setattr(store, "_commit", slow)
    document.do(dab(0, 0))
    assert entered.wait(60)
    for i in range(50):
        document.do(dab(i, 9))
    assert session.pending == 51
    assert not session.flush(0.01)
    leave.set()
    assert session.flush(60)
    assert session.pending == 0


def test_the_cost_of_a_stroke_follows_the_stroke(session):
    """Bytes of rows, not of the image or of what was painted before."""
    _, document = annotated(session)
    document.do(
        PaintBox(
            Box(0, (0, 0), (300, 200)),
            np.random.default_rng(0).integers(1, 9, (300, 200), np.uint8),
        )
    )
    for i in range(20):
        document.do(dab(10 * i, 10))
    session.flush()
    connection = sqlite3.connect(session.path)
    sizes = [
        size for (size,) in connection.execute("SELECT length(body) FROM entry ORDER BY number")
    ]
    connection.close()
    assert sizes[1] > 10_000
    assert max(sizes[2:]) < 100


def test_what_was_saved_is_said(session):
    said = []
    arrived = threading.Event()

    def say(when):
        said.append(when)
        arrived.set()

    session.saved.connect(say)
    assert session.last_saved is None
    _, document = annotated(session)
    document.do(dab(0, 0))
    assert arrived.wait(60)  # by itself: nobody flushes
    session.flush()
    assert session.last_saved == read(session.path).last_change
    assert said[-1] <= session.last_saved


def test_a_listener_that_fails_stops_nothing(session):
    def fail(when):
        raise RuntimeError("a mistake of the window")

    session.saved.connect(fail)
    _, document = annotated(session)
    for i in range(3):
        document.do(dab(i, 0))
        assert session.flush(10)


def test_only_versions_that_changed_are_written(session, sessions):
    annotated(session)
    history = history_of(10, 20)
    session.keep_versions(1, NetworkKey("quick"), history)
    session.flush()
    rows = version_rows(session.path)
    history.add(b"better", history.present.figures, "cells")
    session.keep_versions(1, NetworkKey("quick"), history)
    session.flush()
    now = version_rows(session.path)
    assert now[0] == rows[0]
    assert len(now) == 2
    assert now[1][0] > rows[1][0]
    _, content = reopened(session, sessions)
    assert content.images[0].histories[NetworkKey("quick")] == history


def version_rows(path):
    connection = sqlite3.connect(path)
    try:
        return connection.execute("SELECT number, model FROM version ORDER BY number").fetchall()
    finally:
        connection.close()


def test_a_history_goes_on_after_reopening(session, sessions):
    annotated(session)
    session.keep_versions(1, NetworkKey("quick"), history_of(10, 20))
    again, content = reopened(session, sessions)
    history = content.images[0].histories[NetworkKey("quick")]
    history.add(b"newer", history.present.figures, "cells")
    again.keep_versions(1, NetworkKey("quick"), history)
    _, content = reopened(again, sessions)
    assert content.images[0].histories[NetworkKey("quick")] == history
    assert len(history.versions) == 3


def test_views_that_are_no_json_are_refused(session):
    for view in ({"a": object()}, {"a": float("nan")}, {"a": "x" * 5_000_000}):
        with pytest.raises(ValueError, match=r"view|JSON"):
            session.keep_view(view)


def test_a_session_with_nothing_in_it_leaves_no_file(path):
    session = SessionFile.create(path)
    _, document = annotated(session)
    document.do(dab(0, 0))
    document.do(dab(0, 0, 0))
    assert session.close(10)
    assert list(path.parent.iterdir()) == []


def test_networks_without_strokes_are_kept(session):
    annotated(session)
    session.keep_versions(1, NetworkKey("quick"), history_of(10))
    assert session.close(10)
    assert session.path.exists()


def test_channels_modes_and_parts_of_arrays_come_back(session):
    first = session.add_image(REFERENCE)
    part = replace(REFERENCE, name="green", part=(1, 2))
    second = session.add_image(part)
    number = session.add_annotation(first, "strokes", (first, second))
    kept = {
        NetworkKey("quick"): history_of(10),
        NetworkKey("quick", "2.5d", 2): history_of(20),
        NetworkKey("quick", channels=(second, first)): history_of(30),
        NetworkKey("quick", "3d", channels=(first, second)): history_of(40),
    }
    for network, history in kept.items():
        session.keep_versions(first, network, history)
    document = Document(session.journal(number))
    document.do(BindSource(0, SPACE, "cells"))
    assert session.close(10)
    content = read(session.path)
    assert content.problems == []
    assert content.annotations[0].channels == (first, second)
    assert content.images[0].histories == kept
    assert content.images[1].reference == part


def test_a_closed_session_is_one_file(session):
    _, document = annotated(session)
    document.do(dab(0, 0))
    assert session.close(10)
    assert session.close(10)
    assert [path.name for path in session.path.parent.iterdir()] == [session.path.name]


def test_a_closed_session_can_be_read_from_where_nothing_may_be_written(session):
    _, document = annotated(session)
    document.do(dab(0, 0))
    session.flush()
    write_version, read_version = session.path.read_bytes()[18:20]
    assert (write_version, read_version) == (2, 2)  # a write-ahead log: readers write, too
    assert session.close(10)
    assert tuple(session.path.read_bytes()[18:20]) == (1, 1)


def test_a_new_session_takes_nobodys_place(path):
    path.write_bytes(b"something else")
    with pytest.raises(SessionError, match="already; choose another name"):
        SessionFile.create(path)
    assert path.read_bytes() == b"something else"


def test_a_new_session_cannot_be_made_where_a_file_is(path):
    path.write_bytes(b"")
    with pytest.raises(SessionError, match="Cannot create the session"):
        SessionFile.create(path / "below.msdsession")


def test_what_is_not_there_is_not_opened(path):
    for opened in (SessionFile.open, read):
        with pytest.raises(SessionError, match="There is no session"):
            opened(path)
        with pytest.raises(SessionError, match="is not a file"):
            opened(path.parent)


def test_moving_goes_on_at_the_other_place(session, sessions, tmp_path):
    _, document = annotated(session)
    document.do(dab(0, 0))
    old, new = session.path, tmp_path / "a folder, 100 % #1?" / "kept é.msdsession"
    new.parent.mkdir()
    session.move(new)
    assert session.path == new
    assert list(old.parent.glob("*.msdsession*")) == []
    document.do(dab(50, 50, 2))
    _, content = reopened(session, sessions)
    assert content.annotations[0].document == document
    assert elsewhere() == [new]
    assert [path.name for path in new.parent.iterdir() if path.suffix == ".napari-msd-part"] == []


def test_a_moved_session_has_the_name_of_one(session, tmp_path):
    annotated(session)[1].do(dab(0, 0))
    session.move(tmp_path / "kept.v2")
    assert session.path.name == "kept.v2.msdsession"


def test_after_closing_nothing_waits_for_ever(session):
    _, document = annotated(session)
    document.do(dab(0, 0))
    assert session.close(10)
    document.do(dab(9, 9))
    assert session.flush() is False
    assert session.close() is False
    with pytest.raises(SessionError, match="is closed"):
        session.move(session.path.with_name("other.msdsession"))


def test_moving_in_vain_changes_nothing(session, sessions, tmp_path):
    _, document = annotated(session)
    document.do(dab(0, 0))
    taken = tmp_path / "taken.msdsession"
    taken.write_bytes(b"mine")
    old = session.path
    for target in (taken, tmp_path / "nowhere" / "x.msdsession"):
        with pytest.raises(SessionError):
            session.move(target)
    assert session.path == old
    assert taken.read_bytes() == b"mine"
    document.do(dab(9, 9))
    _, content = reopened(session, sessions)
    assert content.annotations[0].document == document


def test_moving_replaces_a_file_if_told_to_unless_it_is_open(session, sessions, tmp_path):
    _, document = annotated(session)
    document.do(dab(0, 0))
    taken = tmp_path / "taken.msdsession"
    other = sessions(SessionFile.create(taken))
    annotated(other)[1].do(dab(1, 1))
    with pytest.raises(SessionError, match="is open in this napari"):
        session.move(taken, overwrite=True)
    assert other.close(10)
    session.move(taken, overwrite=True)
    _, content = reopened(session, sessions)
    assert content.annotations[0].document == document


def test_a_long_backlog_is_written_in_several_transactions(session, sessions, monkeypatch):
    monkeypatch.setattr(writer, "_MOST_RECORDS", 7)
    number, document = annotated(session)
    for i in range(40):
        document.do(dab(i, i, 1 + i % 3))
        session.choose(number)
    document.do(DefineClass(document.classes[1]))
    _, content = reopened(session, sessions)
    assert content.annotations[0].document == document
    assert content.current == number


def test_a_session_is_closed_with_the_process(path):
    """A script that ends without closing."""
    code = (
        "import sys, pathlib\n"
        "sys.path.insert(0, sys.argv[2])\n"
        "from tests.storage.conftest import annotated, dab\n"
        "from napari_msd.storage import NetworkKey, SessionFile\n"
        "session = SessionFile.create(pathlib.Path(sys.argv[1]))\n"
        "annotated(session)[1].do(dab(0, 0))\n"
    )
    run_python(code, path)
    assert read(path).annotations[0].document.annotation.count(1) == 25
    assert list(path.parent.iterdir()) == [path]


def run_python(code, *arguments):
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", code, *map(str, arguments), str(root)]
    subprocess.run(command, check=True, timeout=120)
