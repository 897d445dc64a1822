"""Writing all or nothing."""

import errno

import pytest

from napari_msd.errors import ExportError
from napari_msd.io.atomic import explain, make_folder, write_atomically


def test_interrupted_write_leaves_nothing(tmp_path):
    def interrupt(file):
        file.write(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "a", interrupt)
    assert list(tmp_path.iterdir()) == []


def test_error_of_another_kind_passes_and_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError):
        write_atomically(tmp_path / "a", lambda file: file.write(bytes(1 // 0)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "disk is full"),
        (OSError("250000 requested and 64928 written"), "disk is full"),
        (OSError(errno.EROFS, "Read-only"), "read-only"),
        (OSError(errno.EIO, "Input/output error"), "Input/output error"),
        (OSError("something else."), "something else"),
        (OSError(), "OSError"),
    ],
)
def test_reasons_are_half_a_sentence(error, words):
    assert words in explain(error)
    assert not explain(error).endswith(".")


def test_folders_are_made(tmp_path):
    folder = make_folder(tmp_path / "a" / "b")
    assert folder.is_dir()
    assert make_folder(folder) == folder
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ExportError, match="a file has this name"):
        make_folder(tmp_path / "file")
    with pytest.raises(ExportError, match="Cannot make the folder"):
        make_folder(tmp_path / "file" / "b")
