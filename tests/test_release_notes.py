"""tools/release_notes.py: what stops a release before it is built."""

import pytest
import release_notes
from release_notes import NotReadyError

PROJECT = '[project]\nversion = "{version}"\n[project.urls]\nSource = "https://{host}/napari-msd"\n'
CHANGELOG = """# Changelog

## [Unreleased]

- not yet

## [1.2.0] - 2026-12-01

### Added

- a button: "größer"

## [1.1.0]

- old

[1.1.0]: https://example.com
"""


@pytest.fixture
def folder(tmp_path):
    def write(version="1.2.0", host="example.com", changelog=CHANGELOG):
        (tmp_path / "pyproject.toml").write_text(PROJECT.format(version=version, host=host))
        (tmp_path / "CHANGELOG.md").write_text(changelog, "utf-8")
        return tmp_path

    return write


def test_the_notes_are_the_section_of_this_version_alone(folder):
    notes = release_notes.release_notes("v1.2.0", folder())
    assert notes == '### Added\n\n- a button: "größer"\n'


def test_the_links_at_the_end_are_no_notes(folder):
    assert release_notes.release_notes("v1.1.0", folder("1.1.0")) == "- old\n"


def test_a_tag_of_another_version_is_refused(folder):
    with pytest.raises(NotReadyError, match=r"tag is v1\.3\.0, but .* version 1\.2\.0"):
        release_notes.release_notes("v1.3.0", folder())


def test_placeholder_addresses_are_refused(folder):
    with pytest.raises(NotReadyError, match=r"Replace example\.org"):
        release_notes.release_notes("v1.2.0", folder(host="example.org"))


@pytest.mark.parametrize("version", ["1.3.0", "1.2", "1x2.0"])
def test_a_version_without_a_section_is_refused(folder, version):
    with pytest.raises(NotReadyError, match="no section"):
        release_notes.release_notes(f"v{version}", folder(version))


def test_an_empty_section_is_refused(folder):
    changelog = "## [1.2.0]\n\n## [1.1.0]\n\n- old\n"
    with pytest.raises(NotReadyError, match="an empty one"):
        release_notes.release_notes("v1.2.0", folder(changelog=changelog))


def test_the_command_writes_utf_8_or_one_sentence(folder, monkeypatch, capsysbinary):
    monkeypatch.setattr(release_notes.release_notes, "__defaults__", (folder(),))
    monkeypatch.setattr("sys.argv", ["release_notes.py", "v1.2.0"])
    release_notes.main()
    assert capsysbinary.readouterr().out == '### Added\n\n- a button: "größer"\n'.encode()

    monkeypatch.setattr("sys.argv", ["release_notes.py", "v9.0.0"])
    with pytest.raises(SystemExit, match="The tag is v9"):
        release_notes.main()
