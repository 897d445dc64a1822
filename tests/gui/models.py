"""Small networks, as files of them hold them."""

from dataclasses import replace

import numpy as np

from napari_msd.core.checkpoint import ClassInfo
from napari_msd.images.model_file import ModelRecord, parameter_shapes


def record(names=("background", "nucleus"), **changes):
    rng = np.random.default_rng(0)
    n_channels = changes.get("in_channels", 1)
    shapes = parameter_shapes(n_channels, len(names), 2, 1)
    weights = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes}
    made = ModelRecord(
        weights=weights,
        in_channels=1,
        n_classes=len(names),
        depth=2,
        width=1,
        dilations=(1,),
        classes=tuple(ClassInfo(i, name, "#102030") for i, name in enumerate(names, start=1)),
        mean=(0.0,) * n_channels,
        std=(1.0,) * n_channels,
        steps=500,
        score=0.75,
        seed=3,
    )
    return replace(made, **changes)
