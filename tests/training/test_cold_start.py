"""What the first answer does not wait for."""

from __future__ import annotations

import subprocess
import sys

FIRST_ANSWER = """
import sys
import numpy as np
from napari_msd import MSDSegmenter

image = np.random.default_rng(0).normal(size=(48, 48)).astype(np.float32)
strokes = np.zeros((48, 48), np.uint8)
strokes[8:12, 4:44], strokes[32:36, 4:44] = 1, 2
segmenter = MSDSegmenter(depth=2, patch_size=32, device="{device}")
segmenter.fit(image, strokes, max_steps=1)
assert segmenter.predict(image).shape == image.shape
loaded = {{"torch._dynamo", "torch._inductor", "sympy"}} & set(sys.modules)
assert not loaded, loaded
"""


def test_a_first_answer_does_not_load_torchs_compiler():
    for device in ("cpu", "torch"):
        subprocess.run([sys.executable, "-c", FIRST_ANSWER.format(device=device)], check=True)
