"""``napari-msd sessions`` lists what was kept, and gets it out without napari."""

import json
import sys

import numpy as np
import pytest

from napari_msd.cli import app as cli
from napari_msd.core.box import Box
from napari_msd.core.checkpoint import ClassInfo, VersionFigures
from napari_msd.core.space import Space
from napari_msd.document import Document, History
from napari_msd.document.operations import BindSource, DefineClass, PaintBox
from napari_msd.images import free_memory, model_file
from napari_msd.images.image_files import read_labels
from napari_msd.storage import ImageReference, NetworkKey, SessionFile
from napari_msd.storage.elsewhere import VARIABLE

from ..images.test_model_file import make_record

SPACE = Space("ZYX", (2, 90, 50), pixel_size=(2.0, 0.5, 0.5), units=("um",) * 3)


@pytest.fixture
def run(capsys, monkeypatch):
    """Run a command in this process: (exit code, stdout, stderr)."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["napari-msd", "sessions", *map(str, arguments)])
        code = 0
        try:
            cli.main()
        except SystemExit as end:
            code = end.code or 0
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    folder = tmp_path / "sessions"
    folder.mkdir()
    monkeypatch.setenv(VARIABLE, str(folder))
    return folder


def figures(created):
    return VersionFigures(20, 0.5, 3, 90, 0, created)


@pytest.fixture
def made(folder):
    """Make a closed session of one image, with some annotation layers; its id."""

    def make(*names, image="cells", stem="made", space=SPACE, models=()):
        session = SessionFile.create(folder / f"{stem}.msdsession")
        number = session.add_image(ImageReference(image, space.axes, space.shape, 1, "uint8"))
        for i, name in enumerate(names):
            document = Document(session.journal(session.add_annotation(number, name)))
            document.do(BindSource(0, space, image))
            document.do(DefineClass(ClassInfo(1 + i, f"class of {i}", "#ff0000")))
            start, stop = (10 * i, 5), (10 * i + 5, 10)
            if space.ndim == 3:
                start, stop = (0, *start), (1, *stop)
            box = Box(0, start, stop)
            document.do(PaintBox(box, np.full(box.shape, 1 + i, np.uint8)))
        for preset, model, created in models:
            history = History()
            history.begin(model, figures(created), "cells")
            session.keep_versions(number, NetworkKey(preset), history)
        assert session.close(10)
        return session.id

    return make


def one_line(err):
    assert err.startswith("napari-msd: ")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    return err


def test_no_sessions(run):
    assert run() == (0, "There are no sessions yet.\n", "")
    assert run("--json") == (0, "[]\n", "")


def test_sessions_are_listed(run, made):
    identity = made("membrane", "nuclei")
    code, out, err = run()
    assert (code, err) == (0, "")
    assert out.startswith(f"{identity}  20")
    assert out.endswith("cells, 2 strokes\n")
    code, out, err = run("--json")
    (row,) = json.loads(out)
    assert (code, row["id"], row["images"], row["strokes"]) == (0, identity, ["cells"], 2)
    assert row["annotations"] == ["membrane", "nuclei"]
    assert row["painted"] == 50
    assert row["last_change"].endswith("+00:00")


def test_names_cannot_speak_to_the_terminal(run, made):
    made("a\x1b[2J", image="\x1b]0;title\x07cells\n")
    _, out, _ = run()
    assert "\x1b" not in out
    assert out.count("\n") == 1
    assert "\x1b" not in run("--json")[1]


def test_unreadable_sessions_are_listed(run, folder):
    (folder / "notes.msdsession").write_text("no session")
    code, out, _ = run()
    assert code == 0
    assert "'notes.msdsession'" in out


def test_every_annotation_is_exported(run, made, tmp_path):
    identity = made("membrane", "nuclei")
    target = tmp_path / "out"
    code, out, err = run("export", identity, "-o", target)
    assert (code, err) == (0, "")
    assert out.split("\n")[:-1] == [str(target / "membrane.tif"), str(target / "nuclei.tif")]
    for i, name in enumerate(("membrane", "nuclei")):
        labels = read_labels(target / f"{name}.tif")
        expected = np.zeros(SPACE.shape, np.uint8)
        expected[0, 10 * i : 10 * i + 5, 5:10] = 1 + i
        assert np.array_equal(labels.data, expected)
        assert labels.class_names[1 + i] == f"class of {i}"
        assert labels.scale == pytest.approx(SPACE.pixel_size)


def test_a_session_is_found_by_the_beginning_of_its_id_or_its_file(run, made, folder, tmp_path):
    identity = made("membrane")
    for i, name in enumerate((identity[:4], folder / "made.msdsession")):
        assert run("export", name, "-o", tmp_path / str(i))[0] == 0
        assert (tmp_path / str(i) / "membrane.tif").exists()


def test_an_open_session_is_exported(run, made, folder, tmp_path):
    made("membrane")
    session, _ = SessionFile.open(folder / "made.msdsession")
    assert run("export", session.id, "-o", tmp_path / "out")[0] == 0
    assert session.close(10)


@pytest.mark.parametrize("name", ["abcdabcd", "abc", "", "nowhere.msdsession"])
def test_unknown_sessions(run, made, tmp_path, name):
    made("membrane")
    code, out, err = run("export", name, "-o", tmp_path / "out")
    assert (code, out) == (2, "")
    assert "There is no session" in one_line(err)
    assert not (tmp_path / "out").exists()


def test_a_copied_session_is_asked_for_by_its_path(run, made, folder, tmp_path):
    identity = made("membrane")
    data = (folder / "made.msdsession").read_bytes()
    (folder / "copy.msdsession").write_bytes(data)
    code, _, err = run("export", identity, "-o", tmp_path / "out")
    assert code == 2
    assert "copy.msdsession" in one_line(err)


def test_files_are_not_overwritten_unless_told_to(run, made, tmp_path):
    identity = made("membrane", "nuclei")
    (tmp_path / "nuclei.tif").write_text("mine")
    code, out, err = run("export", identity, "-o", tmp_path)
    assert (code, out) == (2, "")
    assert "add --overwrite" in one_line(err)
    assert not (tmp_path / "membrane.tif").exists()
    assert (tmp_path / "nuclei.tif").read_text() == "mine"
    assert run("export", identity, "-o", tmp_path, "--overwrite")[0] == 0
    assert read_labels(tmp_path / "nuclei.tif").data.any()


def test_a_link_that_leads_nowhere_is_not_followed(run, made, tmp_path):
    identity = made("membrane")
    target = tmp_path / "out"
    target.mkdir()
    try:
        (target / "membrane.tif").symlink_to(tmp_path / "elsewhere.tif")
    except OSError:
        pytest.skip("links need rights here")
    assert run("export", identity, "-o", target)[0] == 2
    assert not (tmp_path / "elsewhere.tif").exists()


def test_names_stay_in_the_folder_and_differ(run, made, tmp_path):
    identity = made("../../up", "a/b", "A_B", "a_b_2", "nul", "", "x\0y")
    target = tmp_path / "out"
    assert run("export", identity, "-o", target)[0] == 0
    assert sorted(path.name for path in target.iterdir()) == [
        "A_B_2.tif",
        "_.._up.tif",
        "_nul.tif",
        "a_b.tif",
        "a_b_2_2.tif",
        "annotation.tif",
        "xy.tif",
    ]
    assert {path.name for path in tmp_path.iterdir()} == {"out", "sessions"}


def test_the_newest_model_is_exported(run, made, tmp_path):
    older, newer = make_record(seed=1), make_record(seed=2)
    identity = made(
        "membrane",
        models=[
            ("quick", newer.to_bytes(), "2026-03-01T00:00:00+00:00"),
            ("balanced", older.to_bytes(), "2026-01-01T00:00:00+00:00"),
        ],
    )
    code, out, _ = run("export", identity, "-o", tmp_path / "out")
    assert code == 0
    assert str(tmp_path / "out" / "cells.safetensors") in out
    assert model_file.read(tmp_path / "out" / "cells.safetensors").seed == 2


def test_a_model_that_is_none_does_not_stop_the_strokes(run, made, tmp_path):
    models = [("quick", b"no model", "2026-01-01T00:00:00+00:00")]
    identity = made("membrane", models=models)
    code, out, err = run("export", identity, "-o", tmp_path / "out")
    assert code == 2
    assert "The newest model of cells cannot be used" in one_line(err)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["membrane.tif"]
    assert out.count("\n") == 1


def test_an_image_that_does_not_fit_into_memory_is_refused(run, made, tmp_path, monkeypatch):
    identity = made("membrane", space=Space("YX", (2**17, 2**17)))
    monkeypatch.setattr(free_memory, "available", lambda: 2**34)
    code, _, err = run("export", identity, "-o", tmp_path / "out")
    assert code == 2
    assert "GiB of memory" in one_line(err)


def test_nothing_to_export(run, folder, tmp_path, made):
    identity = made(models=[("quick", b"", "2026-01-01T00:00:00+00:00")])
    session, _ = SessionFile.open(folder / "made.msdsession")
    session.keep_versions(1, NetworkKey("quick"), History())
    session.add_annotation(1, "empty")
    session.flush()
    code, _, err = run("export", identity, "-o", tmp_path / "out")
    assert code == 2
    assert "nothing to export" in one_line(err)
    assert not (tmp_path / "out").exists()


def test_what_could_not_be_read_is_said(run, made, folder, tmp_path):
    made("membrane", "nuclei")
    path = folder / "made.msdsession"
    data = path.read_bytes()
    path.write_bytes(data.replace(b"membrane", b"membrbne"))
    code, _, err = run("export", path, "-o", tmp_path / "out")
    assert code == 0
    assert "warning: Some names of images and annotations could not be read" in err
    assert (tmp_path / "out" / "nuclei.tif").exists()
