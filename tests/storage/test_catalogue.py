"""Sessions are listed without being opened for writing."""

import json

import pytest

from napari_msd.storage import (
    ImageReference,
    SessionFile,
    interrupted,
    new_path,
    read,
    sessions_folder,
    summaries,
)
from napari_msd.storage.elsewhere import VARIABLE, elsewhere
from napari_msd.storage.file_names import file_stem

from .conftest import SPACE, annotated, dab


def made(path, name, sessions):
    session = sessions(SessionFile.create(path))
    _, document = annotated(session, name, ImageReference(name, "YX", SPACE.shape, 1, "u1"))
    document.do(dab(0, 0))
    document.do(dab(2, 2, 2))
    assert session.flush(10)
    return session


def test_the_newest_comes_first(folder, sessions):
    for name in ("first", "second"):
        made(folder / f"{name}.msdsession", name, sessions).close(10)
    newest, oldest = summaries()
    assert (newest.images, newest.annotations) == (["second"], ["second"])
    assert newest.last_change >= oldest.last_change
    assert (newest.painted, newest.strokes) == (25 + 25 - 9, 2)
    assert newest.size == newest.path.stat().st_size
    assert newest.ended_properly
    assert not newest.in_use
    assert newest.id == read(newest.path).id


def test_what_is_painted_counts_and_not_how_often(session):
    _, document = annotated(session)
    for _ in range(10):
        document.do(dab(0, 0))
    assert session.close(10)
    (summary,) = summaries()
    assert (summary.painted, summary.strokes) == (25, 10)


def test_the_number_of_strokes_outlives_reopening(session, sessions):
    _, document = annotated(session)
    for _ in range(10):
        document.do(dab(0, 0))
    assert session.close(10)
    again, content = SessionFile.open(session.path)
    content.annotations[0].document.do(dab(9, 9))
    assert again.close(10)
    (summary,) = summaries()
    assert summary.strokes == 11


def test_sessions_of_other_folders_are_remembered(folder, tmp_path, sessions):
    path = tmp_path / "project" / "mine.msdsession"
    made(path, "mine", sessions).close(10)
    assert [summary.path for summary in summaries()] == [path]
    assert summaries(folder) == []
    assert [summary.path for summary in summaries(path.parent)] == [path]
    path.unlink()
    assert summaries() == []


@pytest.mark.parametrize(
    "content", ["", "{}", "[1]", '["relative.msdsession"]', "[" * 100_000, '["\\u0000"]']
)
def test_a_list_of_other_folders_that_makes_no_sense_is_left_out(folder, content):
    (folder / "elsewhere.json").write_text(content)
    assert elsewhere() == []
    assert summaries() == []


def test_only_sessions_are_looked_at_elsewhere(folder, tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("not a session")
    (folder / "elsewhere.json").write_text(json.dumps([str(secret)]))
    assert summaries() == []


def test_unreadable_files_appear_with_a_sentence(folder):
    (folder / "notes.msdsession").write_text("not a session")
    (folder / "notes.txt").write_text("nobody asked")
    (folder / "a folder.msdsession").mkdir()
    (summary,) = summaries()
    assert summary.id == ""
    assert summary.problem.startswith("The session 'notes.msdsession'")
    assert interrupted() == []


def test_an_open_session_is_not_interrupted(session):
    annotated(session)[1].do(dab(0, 0))
    assert session.flush(10)
    (summary,) = summaries()
    assert (summary.in_use, summary.ended_properly) == (True, False)
    assert interrupted() == []


def test_the_folder_can_be_chosen(tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE)
    assert sessions_folder().name == "sessions"
    monkeypatch.setenv(VARIABLE, str(tmp_path / "lab"))
    assert new_path("cells").parent == tmp_path / "lab"
    assert summaries() == []


def test_a_new_name_is_never_taken(folder):
    first = new_path("cells")
    assert first.name.startswith("cells 20")
    first.touch()
    second = new_path("cells")
    assert second != first
    second.touch()
    assert new_path("cells") not in (first, second)


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("cells", "cells"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("C:\\Windows\\x", "C__Windows_x"),
        ("a\0b\nc", "ab c"),
        ("..", "session"),
        ("", "session"),
        ("   ", "session"),
        ("nul", "_nul"),
        ("COM1.txt", "_COM1.txt"),
        ("com¹ .x", "_com¹ .x"),
        ("細胞", "細胞"),
        ("ends in dots ...", "ends in dots"),
        ("\u202egnp.exe", "gnp.exe"),
    ],
)
def test_file_names_are_clean(name, stem):
    assert file_stem(name, "session") == stem


def test_long_names_are_cut_between_characters():
    assert len(file_stem("ü" * 500, "x").encode()) <= 120
    assert set(file_stem("細" * 500, "x")) == {"細"}
