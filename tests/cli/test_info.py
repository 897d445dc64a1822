"""What ``napari-msd info`` says of a package that was installed without a compiler."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from napari_msd import native
from napari_msd.cli import info
from napari_msd.native.libraries import LibraryStatus

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="quotes as a Unix shell does")
PIP = f"{sys.executable} -m pip install --no-cache-dir --force-reinstall --no-deps "
FOLDER = str(Path("/tmp/my sources"))


@pytest.fixture
def installed_from(monkeypatch):
    def install(origin):
        text = None if origin is None else json.dumps(origin)
        read = SimpleNamespace(read_text=lambda _name: text)
        monkeypatch.setattr(info, "distribution", lambda _name: read)

    return install


def cores(monkeypatch, *statuses):
    monkeypatch.setattr(native, "library_statuses", lambda: list(statuses))
    return "\n".join(info._cores())


def test_a_package_without_cores_says_how_to_build_them(monkeypatch, installed_from):
    installed_from(None)
    text = cores(
        monkeypatch,
        LibraryStatus("cpu", None, False, "It was not built."),
        LibraryStatus("cuda", None, False, "It was not built."),
    )
    assert "cpu core    not built: It was not built." in text
    assert "No C++ compiler was found" in text
    assert text.count(f"{PIP}napari-msd\n") == 1


def test_a_core_that_is_there_needs_no_advice(monkeypatch):
    text = cores(
        monkeypatch,
        LibraryStatus("cpu", Path("core.so"), True, "Ready.", "AVX2"),
        LibraryStatus("cuda", None, False, "It was not built."),
    )
    assert "pip" not in text


@pytest.mark.parametrize(
    ("origin", "source"),
    [
        (None, "napari-msd"),
        ({"url": "file:///tmp/my%20sources", "dir_info": {}}, f"'{FOLDER}'"),
        (
            {"url": "file:///tmp/my%20sources", "dir_info": {"editable": True}},
            f"--editable '{FOLDER}'",
        ),
        (
            {"url": "https://x.org/a.git", "vcs_info": {"vcs": "git", "commit_id": "12ab"}},
            "'napari-msd @ git+https://x.org/a.git@12ab'",
        ),
        ({"url": "https://x.org/napari_msd-0.1.0.tar.gz"}, "'napari-msd @ https://x.org/"),
        ({"url": "file:///tmp/napari_msd-0.1.0-py3-none-any.whl"}, "napari-msd"),
    ],
)
def test_it_is_built_from_where_it_came_from(installed_from, origin, source):
    installed_from(origin)
    assert info.rebuild_command().startswith(PIP + source)
