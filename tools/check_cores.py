"""Fail unless the compiled cores of this system are in the installed package.

The package installs without them as well, so a broken kernel would pass unseen.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable

SUFFIXES = (".so", ".dylib", ".dll")


def libraries(folder: Traversable) -> Iterator[str]:
    """Names of all compiled libraries below a folder."""
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from libraries(entry)
        elif entry.name.endswith(SUFFIXES):
            yield entry.name


def main() -> None:
    """Compare what is there with what this system should have."""
    has_cuda = sys.platform == "linux" and platform.machine() == "x86_64"
    wanted = ("cpu", "cuda") if has_cuda else ("cpu",)
    found = sorted(libraries(files("napari_msd")))
    print("compiled libraries:", ", ".join(found) or "none")
    missing = [kind for kind in wanted if not any(kind in name for name in found)]
    if missing:
        raise SystemExit(f"not built: {', '.join(missing)}")


if __name__ == "__main__":
    main()
