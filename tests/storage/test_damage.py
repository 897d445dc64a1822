"""Of a damaged file as much is opened as can be read, and the file itself is kept."""

import shutil
import sqlite3
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_msd.core.errors import SessionDamaged, SessionError
from napari_msd.storage import NetworkKey, SessionFile, read, summaries

from .conftest import annotated, dab, history_of

PAGE = 4096


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A session of three annotations that is not damaged, and its content."""
    path = tmp_path_factory.mktemp("whole") / "whole.msdsession"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAPARI_MSD_SESSIONS", str(path.parent))
        session = SessionFile.create(path)
        rng = np.random.default_rng(0)
        for name in ("membrane", "nuclei", "fibres"):
            number, document = annotated(session, name)
            for _ in range(300):
                document.do(dab(*map(int, rng.integers(0, 190, 2)), int(rng.integers(1, 9))))
            session.keep_versions(number, NetworkKey("quick"), history_of(*range(10, 60, 10)))
        session.keep_view({"zoom": 2})
        assert session.close(10)
    return path, read(path)


def open_and_close(path):
    session, content = SessionFile.open(path)
    assert session.close(10)
    return content


def pages_of(path, table):
    """Leaf pages of a table, by the type that their first byte tells."""
    data = path.read_bytes()
    kind = {"entry": 10, "version": 13}[table]
    return [n for n in range(1, len(data) // PAGE) if data[n * PAGE] == kind]


def by_name(content):
    return {a.name: a.document for a in content.annotations}


def test_a_page_lost_costs_the_strokes_in_it(whole, path):
    original, content = whole
    shutil.copy(original, path)
    pages = pages_of(path, "entry")
    damaged = bytearray(path.read_bytes())
    page = pages[len(pages) // 2]
    damaged[page * PAGE : (page + 1) * PAGE] = bytes(PAGE)
    path.write_bytes(damaged)

    found = open_and_close(path)
    (kept,) = path.parent.glob("*.damaged-1.msdsession")
    assert kept.read_bytes() == damaged
    assert any(repr(kept.name) in problem for problem in found.problems)
    assert any("strokes or classes of" in problem for problem in found.problems)
    assert found.id == content.id
    assert found.view == content.view
    originals = by_name(content)
    equal = [name for name, document in by_name(found).items() if document == originals[name]]
    assert len(equal) >= 1  # a page holds strokes of at most two annotations
    painted = sum(sum(d.annotation.counts.values()) for d in by_name(found).values())
    assert painted > 0.6 * sum(sum(d.annotation.counts.values()) for d in originals.values())
    again = open_and_close(path)
    assert again.problems == []
    assert by_name(again) == by_name(found)


def test_a_file_without_its_end_is_opened(whole, path):
    original, _ = whole
    data = original.read_bytes()
    path.write_bytes(data[: len(data) * 3 // 4 - 100])
    found = open_and_close(path)
    assert found.problems
    assert any(document.annotation.counts for document in by_name(found).values())
    assert open_and_close(path).problems == []


def test_reading_without_a_claim_leaves_the_damaged_file_alone(whole, path):
    original, _ = whole
    data = original.read_bytes()[: -5 * PAGE]
    path.write_bytes(data)
    assert read(path).problems
    assert path.read_bytes() == data
    assert list(path.parent.iterdir()) == [path]


def test_a_flipped_bit_in_a_stroke_is_noticed(whole, path):
    original, _ = whole
    shutil.copy(original, path)
    connection = sqlite3.connect(path, isolation_level=None)
    (body,) = connection.execute(
        "SELECT body FROM entry WHERE annotation = 2 AND number = 50"
    ).fetchone()
    flipped = bytes([*body[:-3], body[-3] ^ 1, *body[-2:]])
    connection.execute("UPDATE entry SET body = ? WHERE annotation = 2 AND number = 50", (flipped,))
    connection.close()
    found = open_and_close(path)
    assert any("'nuclei'" in problem for problem in found.problems)
    assert by_name(found)["nuclei"].annotation.counts


def test_rows_that_changed_places_are_noticed(whole, path):
    """Each is as sound as before, but not what was written there."""
    original, _ = whole
    shutil.copy(original, path)
    connection = sqlite3.connect(path, isolation_level=None)
    query = "SELECT body FROM entry WHERE annotation = 2 AND number = ?"
    bodies = [connection.execute(query, (number,)).fetchone()[0] for number in (50, 51)]
    for number, body in zip((51, 50), bodies, strict=True):
        connection.execute(
            "UPDATE entry SET body = ? WHERE annotation = 2 AND number = ?", (body, number)
        )
    connection.close()
    assert any("'nuclei'" in problem for problem in open_and_close(path).problems)


def test_names_that_are_lost_do_not_cost_strokes(whole, path):
    original, content = whole
    shutil.copy(original, path)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("UPDATE image SET body = x'00'")
    connection.execute("DELETE FROM annotation WHERE number = 2")
    connection.close()
    found = open_and_close(path)
    assert any("names of images and annotations" in problem for problem in found.problems)
    documents = by_name(found)
    assert documents.keys() == {"membrane", "annotation 2", "fibres"}
    assert documents["annotation 2"] == by_name(content)["nuclei"]
    numbers = {image.number for image in found.images}
    assert {a.image for a in found.annotations} <= numbers


def test_the_operation_that_names_the_image_can_be_lost(whole, path):
    original, content = whole
    shutil.copy(original, path)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("DELETE FROM entry WHERE number = 1")
    connection.close()
    found = open_and_close(path)
    for name, document in by_name(found).items():
        assert document.annotation == by_name(content)[name].annotation


def test_networks_that_are_lost_do_not_cost_the_others(whole, path):
    original, _ = whole
    shutil.copy(original, path)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("UPDATE version SET model = x'01' WHERE number = 3")
    connection.close()
    found = open_and_close(path)
    assert any("kept networks" in problem for problem in found.problems)
    lengths = [len(image.histories[NetworkKey("quick")].versions) for image in found.images]
    assert sorted(lengths) == [4, 5, 5]


@pytest.mark.parametrize("data", [b"", b"SQLite format 3\0", b"x" * 5000, bytes(40960)])
def test_what_is_no_session_is_left_as_it_is(path, data):
    path.write_bytes(data)
    for opened in (SessionFile.open, read):
        with pytest.raises(SessionDamaged):
            opened(path)
    assert path.read_bytes() == data
    assert list(path.parent.iterdir()) == [path]
    (summary,) = summaries()
    assert summary.problem
    assert summary.last_change > 0


def test_another_programs_database_is_left_as_it_is(path):
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE image (number INTEGER PRIMARY KEY, body BLOB NOT NULL)")
    connection.close()
    data = path.read_bytes()
    with pytest.raises(SessionDamaged, match="not a session of napari-msd"):
        SessionFile.open(path)
    assert path.read_bytes() == data


def test_nothing_left_is_said(whole, path):
    original, _ = whole
    data = bytearray(original.read_bytes())
    data[PAGE:] = bytes(len(data) - PAGE)
    path.write_bytes(data)
    with pytest.raises(SessionDamaged, match="nothing in it can be read"):
        SessionFile.open(path)
    assert path.read_bytes() == data
    assert list(path.parent.iterdir()) == [path]


@st.composite
def harms(draw):
    """(offset, bytes) to write, as shares of the file; or a length to cut it to."""
    kind = draw(st.sampled_from(["flip", "zero", "noise", "cut"]))
    return kind, draw(st.floats(0, 1, exclude_max=True)), draw(st.integers(1, 255))


def harmed(data, harm):
    kind, share, value = harm
    at = int(share * len(data))
    data = bytearray(data)
    if kind == "flip":
        data[at] ^= value
    elif kind == "cut":
        del data[at:]
    else:
        page = at // PAGE * PAGE
        rng = np.random.default_rng(value)
        data[page : page + PAGE] = bytes(PAGE) if kind == "zero" else rng.bytes(PAGE)
    return bytes(data)


@settings(deadline=None, max_examples=60)
@given(harm=st.lists(harms(), min_size=1, max_size=3))
def test_any_damage_is_survived(whole, harm):
    original, content = whole
    with TemporaryDirectory() as folder:
        survives(original, content, harm, Path(folder) / "harmed.msdsession")


def survives(original, content, harm, path):
    data = original.read_bytes()
    for each in harm:
        data = harmed(data, each) if data else data
    path.write_bytes(data)
    try:
        found = open_and_close(path)
    except SessionError:
        assert path.read_bytes() == data
    else:
        kept = path.with_name(f"{path.stem}.damaged-1.msdsession")
        if found.problems:
            assert kept.read_bytes() == data
            kept.unlink()
        else:
            assert not kept.exists()
            assert by_name(found) == by_name(content)
        if path.exists():  # gone if nothing painted was left
            again = open_and_close(path)
            assert again.problems == []
            assert by_name(again) == by_name(found)
    path.unlink(missing_ok=True)
    assert list(path.parent.iterdir()) == []  # no copies are left lying about
