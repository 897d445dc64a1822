"""What an import really loads, package by package."""

import subprocess
import sys

import pytest

VIEWERS_SIDE = [
    "napari_msd",
    "napari_msd.core.settings",
    "napari_msd.samples",
    "napari_msd.images.export",
    "napari_msd.images.image_files",
    "napari_msd.images.model_file",
    "napari_msd.images.napari_writer",
    "napari_msd.document",
    "napari_msd.storage",
    "napari_msd.trees",
    "napari_msd.trainer.client",
    "napari_msd.trainer.messages",
    "napari_msd.trainer.process",
    "napari_msd.trainer.protocol",
    "napari_msd.document",
    "napari_msd.plugin.dock",
]
CORE_ROOMS = [
    "napari_msd.images.export",
    "napari_msd.images.image_files",
    "napari_msd.images.model_file",
    "napari_msd.images.napari_writer",
    "napari_msd.samples",
    "napari_msd.document",
    "napari_msd.segmenter",
    "napari_msd.storage",
    "napari_msd.trainer.client",
    "napari_msd.trainer.in_process",
    "napari_msd.trainer.server",
]


def loaded_by(module):
    code = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize("module", VIEWERS_SIDE)
def test_viewers_side_loads_no_torch(module):
    assert "torch" not in loaded_by(module)


@pytest.mark.parametrize("module", CORE_ROOMS)
def test_core_packages_load_neither_qt_nor_napari(module):
    assert not {"qtpy", "napari", "PyQt6", "PySide6", "vispy"} & loaded_by(module)


def test_package_import_is_light():
    heavy = {"torch", "napari", "qtpy", "skimage", "scipy", "safetensors", "msgspec", "numpy"}
    assert not heavy & loaded_by("napari_msd")


def test_public_names():
    import napari_msd

    assert set(dir(napari_msd)) >= {"MSDNet", "MSDSegmenter", "__version__"}
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = napari_msd.nonsense
