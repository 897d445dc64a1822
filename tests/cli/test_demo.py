"""``napari-msd demo`` from end to end: the real window, a real trainer, real files."""

import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from napari_msd.images import model_file
from napari_msd.images.image_files import read_labels


@pytest.mark.skipif(
    sys.platform.startswith("linux") and not os.environ.get("DISPLAY"), reason="needs a display"
)
def test_unattended_demo_leaves_screenshot_labels_and_model(tmp_path):
    folder = tmp_path / "out"
    program = [sys.executable, "-m", "napari_msd.cli.app", "demo", "--headless", "--seconds", "1"]
    done = subprocess.run(
        [*program, "-o", str(folder)], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "nucleus" in done.stdout
    labels = read_labels(folder / "labels.tif")
    assert labels.data.shape == (520, 696)
    assert labels.data.all()
    assert labels.class_names == {1: "background", 2: "nucleus"}
    assert model_file.read(folder / "model.safetensors").class_names == labels.class_names
    with Image.open(folder / "screenshot.png") as screenshot:
        assert len(np.unique(np.asarray(screenshot))) > 10
