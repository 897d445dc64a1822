"""Fail unless the compiled libraries of this system are in the installed package.

The package installs without them as well, so a broken kernel would pass unseen.
"""

from __future__ import annotations

import platform
import sys
from importlib.resources import files

SUFFIXES = (".so", ".dylib", ".dll")


def main() -> None:
    """Compare what is there with what this system should have."""
    has_cuda = sys.platform == "linux" and platform.machine() == "x86_64"
    wanted = ("cpu", "trees_cpu", *(("cuda",) if has_cuda else ()))
    entries = files("napari_msd").joinpath("native").iterdir()
    found = sorted({entry.name for entry in entries if entry.name.endswith(SUFFIXES)})
    print("compiled libraries:", ", ".join(found) or "none")
    missing = [kind for kind in wanted if not any(f"napari_msd_{kind}" in name for name in found)]
    if missing:
        raise SystemExit(f"not built: {', '.join(missing)}")


if __name__ == "__main__":
    main()
