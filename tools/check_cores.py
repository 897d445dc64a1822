"""Fail unless the compiled libraries of this system are in the installed package.

The package installs without them as well, so a broken kernel would pass unseen.

Usage: python tools/check_cores.py [--driver NUMBER]

With --driver, the CUDA core must say that it runs with NVIDIA drivers from this number on.
"""

from __future__ import annotations

import argparse
import platform
import re
import sys
from importlib.resources import files

SUFFIXES = (".so", ".dylib", ".dll")


def main() -> None:
    """Compare what is there with what this system should have."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--driver", help="the oldest NVIDIA driver that must do")
    driver = parser.parse_args().driver
    has_cuda = sys.platform == "linux" and platform.machine() in ("x86_64", "aarch64")
    wanted = ("cpu", "trees_cpu", *(("cuda",) if has_cuda else ()))
    entries = files("napari_msd").joinpath("native").iterdir()
    found = {entry.name: entry for entry in entries if entry.name.endswith(SUFFIXES)}
    print("compiled libraries:", ", ".join(sorted(found)) or "none")
    missing = [kind for kind in wanted if not any(f"napari_msd_{kind}" in name for name in found)]
    if missing:
        raise SystemExit(f"not built: {', '.join(missing)}")
    for name, library in found.items():
        if "napari_msd_cuda" in name and driver:
            # Its own sentence for older drivers (kernels/cuda/api.cu): no GPU is here to ask it.
            said = re.findall(rb"version (\d+) or newer is needed", library.read_bytes())
            if said != [driver.encode()]:
                raise SystemExit(f"{name} needs drivers from {said} on, not {driver}")


if __name__ == "__main__":
    main()
