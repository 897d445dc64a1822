"""Print the changelog's section for a release, as Markdown; fail if the release is not ready.

Usage: python tools/release_notes.py v1.2.3

The release workflow calls this before it builds anything: what is on PyPI cannot be taken back.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PLACEHOLDER = "example.org"


class NotReadyError(Exception):
    """Something has to be done before this tag can be released; the text says what."""


def release_notes(tag: str, folder: Path = ROOT) -> str:
    """Return the changelog's section for a tag, without its heading.

    Parameters
    ----------
    tag
        Name of the Git tag, "v" and the version of pyproject.toml.
    folder
        Where pyproject.toml and CHANGELOG.md are.

    Raises
    ------
    NotReadyError
        When tag and version differ, project.urls still has the placeholder, or the changelog has
        nothing to say about this version.
    """
    project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
    version = project["version"]
    if tag != f"v{version}":
        raise NotReadyError(f"The tag is {tag}, but pyproject.toml has version {version}.")
    if any(PLACEHOLDER in url for url in project["urls"].values()):
        raise NotReadyError(f"Replace {PLACEHOLDER} in [project.urls] of pyproject.toml.")
    changelog = (folder / "CHANGELOG.md").read_text("utf-8")
    # The section ends at the next one, at the links below all of them, or with the file.
    pattern = rf"^## \[{re.escape(version)}\][^\n]*\n(.*?)(?=^## |^\[[^\]\n]+\]: |\Z)"
    section = re.search(pattern, changelog, re.DOTALL | re.MULTILINE)
    if section is None or not section[1].strip():
        raise NotReadyError(f"CHANGELOG.md has no section, or an empty one, for [{version}].")
    return section[1].strip() + "\n"


def main() -> None:
    """Print the notes for the tag on the command line."""
    if len(sys.argv) != 2:
        raise SystemExit("usage: release_notes.py vX.Y.Z")
    try:
        # As bytes: Windows would write another encoding and other line ends into a file.
        sys.stdout.buffer.write(release_notes(sys.argv[1]).encode())
    except NotReadyError as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
