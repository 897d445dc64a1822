"""A trainer is opened, and opened again, from a document and nothing else."""

import numpy as np

from napari_msd.core.box import Box
from napari_msd.core.settings import Settings
from napari_msd.core.space import Space
from napari_msd.document import Document, requests_of
from napari_msd.document.operations import (
    BindSource,
    ChooseSettings,
    MergeClasses,
    PaintBox,
)
from napari_msd.images.model_file import ModelRecord
from napari_msd.training import Trainer

SPACE = Space("ZYX", (2, 64, 64))
SETTINGS = Settings.from_preset(depth=3, patch_size=32, device="cpu", held_out_fraction=0.4)
IMAGE = np.random.default_rng(0).random(SPACE.shape) + np.linspace(0, 3, 64)


def opened(document: Document, model: ModelRecord | None = None) -> Trainer:
    """What a trainer's process does with the requests that open a session."""
    settings, spaces = Settings(), {}
    painted = []
    for request in requests_of(document):
        match request:
            case BindSource(source, space):
                spaces[source] = space
            case ChooseSettings():
                settings = request.settings
            case PaintBox():
                painted.append(request)
    trainer = Trainer(settings, spaces[0].network_input, model)
    for request in painted:
        trainer.paint(request.box, request.values)
    for source, space in spaces.items():
        trainer.add_source(source, space)
    for box in trainer.missing():
        trainer.set_pixels(box, IMAGE[box.slices].reshape(box.last(2).shape))
    return trainer


def painted_document() -> Document:
    document = Document()
    document.do(BindSource(0, SPACE, "image"))
    document.do(ChooseSettings(SETTINGS))
    for z in (0, 1):
        for value, column in ((1, 4), (2, 50), (3, 58)):
            box = Box(0, (z, 3, column), (z + 1, 60, column + 5))
            document.do(PaintBox(box, np.full(box.shape, value, np.uint8)))
    document.do(MergeClasses(3, 2))
    return document


def sides(trainer: Trainer) -> list[set[tuple]]:
    """Pixels of each class that are trained on, and those that are measured on."""
    split = trainer.data.split
    return [
        {(piece.slab, *map(int, at)) for piece in side(value) for at in piece.pixels}
        for side in (split.training, split.measured)
        for value in (1, 2)
    ]


def test_a_trainer_started_again_measures_on_the_same_strokes_and_goes_on():
    document = painted_document()
    first = opened(document)
    assert first.classes == [1, 2]
    for _ in range(12):
        first.step()
    first.measure()
    kept = ModelRecord.from_bytes(first.record().to_bytes())
    again = opened(Document(document.journal), kept)  # as after a crash
    assert sides(again) == sides(first)
    assert all(sides(again))
    assert again.network_id == first.network_id
    again.step()
    assert again.kept_scores.mean >= first.kept_scores.mean - 0.02


def test_opening_twice_gives_the_same_weights():
    def weights() -> bytes:
        trainer = opened(painted_document())
        for _ in range(5):
            trainer.step()
        return b"".join(array.tobytes() for array in trainer.record().weights.values())

    assert weights() == weights()
