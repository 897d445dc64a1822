"""Small networks, as files of them hold them."""

from dataclasses import replace

import numpy as np

from napari_msd.core.checkpoint import ClassInfo
from napari_msd.images.model_file import ModelRecord, parameter_shapes


def record(names=("background", "nucleus"), **changes):
    rng = np.random.default_rng(0)
    shapes = parameter_shapes(1, len(names), 2, 1)
    weights = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes}
    made = ModelRecord(
        weights=weights,
        in_channels=1,
        n_classes=len(names),
        depth=2,
        width=1,
        dilations=(1,),
        classes=tuple(ClassInfo(i, name, "#102030") for i, name in enumerate(names, start=1)),
        mean=(0.0,),
        std=(1.0,),
        steps=500,
        score=0.75,
        seed=3,
    )
    return replace(made, **changes)
