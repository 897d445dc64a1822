"""The version of the package."""

from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("napari-msd")
except PackageNotFoundError:  # a source tree that was never installed
    VERSION = "0.0.0"
