"""The command line, ``napari-msd``."""

from napari_msd.cli.app import main

__all__ = ["main"]
