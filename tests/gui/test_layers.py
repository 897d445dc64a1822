"""What is understood of layers, without any window."""

import numpy as np
import pytest
from napari.layers import Image, Labels

from napari_msd.core.box import Box
from napari_msd.core.errors import ImageError, StrokesError
from napari_msd.core.palette import class_color
from napari_msd.session.classes import ClassTable
from napari_msd.trainer.messages import Progress
from napari_msd.viewer import layers as look
from napari_msd.viewer.colors import label_colormap
from napari_msd.widgets.texts import bar, mean_text, speed_text, time_left


@pytest.mark.parametrize(
    ("image", "text"),
    [
        (Image(np.zeros((4, 5))), "Plane · 4 × 5"),
        (Image(np.zeros((40, 50, 3), np.uint8)), "Plane · 40 × 50 · in colour"),
        (Image(np.zeros((4, 5, 3)), rgb=False), "Stack of 4 slices? · 5 × 3"),
        (
            Image(np.zeros((48, 4, 5)), axis_labels=("t", "y", "x")),
            "Time series of 48 frames · 4 × 5",
        ),
        (
            Image(np.zeros((7, 4, 5)), axis_labels=("other", "-2", "-1")),
            "Series of 7 planes · 4 × 5",
        ),
        (
            Image(np.zeros((1, 4, 5)), axis_labels=("Z", "Y", "X")),
            "Stack of 1 slice · 4 × 5",
        ),
        (
            Image(np.zeros((2, 3, 4, 5)), axis_labels=("t", "z", "y", "x")),
            "2 frames × 3 slices · 4 × 5",
        ),
        (
            Image(
                np.zeros((20, 4, 5)),
                axis_labels=("z", "y", "x"),
                scale=(0.5, 0.2, 0.2),
                units=("um",) * 3,
            ),
            "Stack of 20 slices · 4 × 5 · 0.2 × 0.2 × 0.5 µm",
        ),
    ],
)
def test_describe(image, text):
    assert look.describe(image) == text


def test_images_that_cannot_be_learned_from():
    dot = Image(np.zeros((1, 1)), name="dot")
    with pytest.raises(ImageError, match="single pixel"):
        look.check_image(dot)
    empty = Image(np.zeros((3, 3)), name="nothing")
    empty_like = type("Empty", (), {"name": "nothing", "multiscale": False, "ndim": 2})()
    empty_like.data = np.zeros((0, 7))
    with pytest.raises(ImageError, match="empty"):
        look.check_image(empty_like)
    look.check_image(empty)


def test_shapes_must_match():
    with pytest.raises(StrokesError, match=r"3 × 4.*5 × 6"):
        look.check_pair(Image(np.zeros((5, 6)), name="a"), Labels(np.zeros((3, 4), int), name="b"))


def test_a_box_reader_reads_only_its_box():
    dask = pytest.importorskip("dask.array")
    read = []

    def block(block_info=None):
        read.append(block_info[None]["chunk-location"][0])
        return np.full((1, 4, 5), block_info[None]["chunk-location"][0], np.float32)

    stack = dask.map_blocks(block, chunks=((1,) * 6, (4,), (5,)), dtype=np.float32)
    reader = look.box_reader(Image(stack, contrast_limits=(0, 6)))
    read.clear()
    np.testing.assert_array_equal(reader(Box(0, (3, 1, 0), (4, 3, 5))), np.full((1, 2, 5), 3))
    assert read == [3]


def test_class_colours_differ_and_go_on_for_ever():
    colors = [class_color(value) for value in range(1, 256)]
    assert len(set(colors)) == 255
    assert colors[0] == "#56b4e9"


def test_unlabelled_is_transparent():
    colormap = label_colormap({1: "#ff0000", 3: "#00ff00"})
    assert colormap.map(0)[3] == 0
    assert colormap.map(2)[3] == 0
    np.testing.assert_allclose(colormap.map(3), (0, 1, 0, 1))


def test_classes_are_kept_with_their_layer():
    table, layer = ClassTable(), Labels(np.zeros((3, 3), int))
    table.reset({1: "background", 2: "membrane"})
    table.recolor(2, "#123456")
    table.save_to(layer)
    other = ClassTable()
    assert other.load_from(layer)
    assert other.names == {1: "background", 2: "membrane"}
    assert other.colors[2] == "#123456"


@pytest.mark.parametrize("kept", [None, 3, {"x": {}}, {"1": {"name": "a"}}, {"1": "a"}])
def test_foreign_metadata_does_no_harm(kept):
    layer = Labels(np.zeros((3, 3), int), metadata={"napari_msd_classes": kept})
    assert not ClassTable().load_from(layer)


def test_there_are_255_classes_and_no_more():
    table = ClassTable()
    values = [table.add() for _ in range(256)]
    assert values == [*range(1, 256), None]


def test_figures_and_bar():
    progress = Progress("training", step=12, best_score=0.84, steps_per_second=64.3)
    assert mean_text(progress) == "IoU .84"
    assert mean_text(None) == ""
    assert [speed_text(speed) for speed in (64.3, 2.44, None)] == ["64 steps/s", "2.4 steps/s", ""]
    assert bar("", True, progress) == (0, "step 12")
    assert bar("predict", False, None) == (0, "Predicting …")
    assert [time_left(s) for s in (0.3, 12, 300, 7200)] == [
        "almost done",
        "about 12 s left",
        "about 5 min left",
        "about 2 h left",
    ]
