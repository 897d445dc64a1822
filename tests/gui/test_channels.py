"""Layers as channels, as a person sees and chooses them; the trainer is a fake one."""

import numpy as np
import pytest
import tifffile
from qtpy.QtCore import QPoint, Qt

from napari_msd.core.box import Box
from napari_msd.images.model_file import read
from napari_msd.viewer.splitting import ArrayPart, split_channels
from napari_msd.widgets.channel_dialog import ChannelDialog

from .fake_client import FakeClient
from .models import record

SHAPE = (64, 80)


@pytest.fixture
def two(viewer):
    """Two channels, as napari shows them."""
    pixels = np.random.default_rng(0).integers(0, 255, (2, *SHAPE)).astype(np.uint8)
    made = viewer.add_image(pixels, channel_axis=0, name=["red", "green"])
    viewer.layers.selection.active = made[0]
    return made


@pytest.fixture
def msd(open_widget, two):
    return open_widget(FakeClient)


def annotate(msd, qtbot):
    msd.panel.new_annotation_button.click()
    layer = msd.controller.chosen.annotation
    for x in range(10, 40, 3):
        layer.paint((20, x), 1)
        layer.paint((50, x), 2)
    qtbot.waitUntil(lambda: len(msd.controller.strokes.snapshot.annotation.counts) == 2)
    return layer


def names_of(msd):
    return [layer.name for layer in msd.controller.chosen.layers]


def tick(msd, name, on):
    choice = msd.panel.head.channel_choice
    rows = [choice.list.item(row).text() for row in range(choice.list.count())]
    choice.tick(rows.index(name), on)


def test_channels_that_are_shown_together_are_learned_together(msd, two, qtbot):
    assert names_of(msd) == ["red", "green"]
    assert msd.panel.image_combo.currentText() == "red"
    assert msd.panel.channels_button.isVisible()
    assert "red, green" in msd.panel.channels_button.text()
    assert "2 channels" in msd.panel.head.described
    annotate(msd, qtbot)
    assert msd.client.space.n_channels == 2
    assert msd.client.space.channel_names == ("red", "green")
    box = Box(0, (3, 4), (10, 20))
    read = msd.client.opened[2](box)
    np.testing.assert_array_equal(read[..., 0], two[0].data[box.slices])
    np.testing.assert_array_equal(read[..., 1], two[1].data[box.slices])


def test_images_that_are_not_added_up_are_learned_alone(viewer, open_widget):
    viewer.add_image(np.zeros(SHAPE), name="one")
    viewer.add_image(np.zeros(SHAPE), name="other")
    msd = open_widget(FakeClient)
    assert len(names_of(msd)) == 1
    assert msd.panel.channels_button.isVisible()  # but it can be ticked
    tick(msd, "one", True)
    tick(msd, "other", True)
    assert sorted(names_of(msd)) == ["one", "other"]


def test_a_single_image_has_no_list_of_channels(viewer, open_widget):
    viewer.add_image(np.zeros(SHAPE), name="one")
    viewer.add_image(np.zeros((30, 40)), name="of another size")
    viewer.add_image(np.zeros(SHAPE), name="elsewhere", translate=(5, 5))
    viewer.add_image(np.zeros((*SHAPE, 3), np.uint8), name="in colour")
    msd = open_widget(FakeClient)
    msd.panel.image_combo.setCurrentText("one")
    assert not msd.panel.channels_button.isVisible()
    assert names_of(msd) == ["one"]


def test_each_choice_of_channels_has_its_own_network(msd, qtbot):
    annotate(msd, qtbot)
    msd.panel.live_button.click()
    first = msd.client.number
    msd.client.keep(b"of both")
    qtbot.waitUntil(lambda: msd.controller.weights.model == b"of both")
    tick(msd, "green", False)
    assert msd.client.number > first
    assert msd.client.space.n_channels == 1
    assert msd.client.live  # it goes on
    assert msd.controller.weights.model is None
    msd.client.keep(b"of red")
    qtbot.waitUntil(lambda: msd.controller.weights.model == b"of red")
    tick(msd, "green", True)
    assert msd.client.opened[3] == b"of both"
    assert len(msd.client.strokes) == 1  # the strokes are those of before


def test_the_image_itself_cannot_be_unticked(msd):
    choice = msd.panel.head.channel_choice
    choice.tick(0, False)
    assert "red" in names_of(msd)


def test_the_other_channel_as_image_has_the_same_channels(msd):
    msd.panel.image_combo.setCurrentText("green")
    assert names_of(msd) == ["red", "green"]


def test_a_channel_that_is_hidden_or_renamed_or_moved_in_the_list_stays(msd, viewer, two, qtbot):
    annotate(msd, qtbot)
    msd.panel.live_button.click()
    before = msd.client.number
    two[1].visible = False
    two[1].name = "GFP"
    viewer.layers.move(list(viewer.layers).index(two[1]), 0)
    assert names_of(msd) == ["red", "GFP"]
    assert "GFP" in msd.panel.channels_button.text()
    assert msd.client.number == before
    assert msd.client.live


def test_a_deleted_channel_is_told_and_live_goes_on(msd, viewer, two, qtbot):
    annotate(msd, qtbot)
    msd.panel.live_button.click()
    viewer.layers.remove(two[1])
    assert names_of(msd) == ["red"]
    assert msd.client.live
    assert msd.client.space.n_channels == 1
    assert "green" in msd.status


def test_a_channel_that_was_moved_away_ends_live_with_a_sentence(msd, two, qtbot):
    annotate(msd, qtbot)
    msd.panel.live_button.click()
    two[1].translate = (7, 7)
    qtbot.waitUntil(lambda: "green" in msd.status and "Untick" in msd.status)
    assert not msd.controller.live
    two[1].translate = (0, 0)
    qtbot.waitUntil(lambda: msd.controller.chosen.problem() is None)


def test_layers_that_are_moved_together_go_on(msd, viewer, two, qtbot):
    annotation = annotate(msd, qtbot)
    msd.panel.live_button.click()
    for layer in (*two, annotation):
        layer.scale = (0.5, 0.5)
    qtbot.waitUntil(lambda: msd.controller.chosen.space.pixel_size == (0.5, 0.5))
    assert msd.controller.live
    assert msd.client.live


def test_what_comes_later_does_not_join_what_a_person_paints_on(msd, viewer, two, qtbot):
    annotate(msd, qtbot)
    msd.controller.strokes.edited.emit()
    viewer.add_image(np.zeros(SHAPE, np.uint8), name="blue", blending="additive")
    assert names_of(msd) == ["red", "green"]


def test_replaced_pixels_of_any_channel_begin_anew(msd, two, qtbot):
    annotate(msd, qtbot)
    before = msd.client.number
    two[1].data = two[1].data + 1
    assert msd.client.number > before


# --- an axis of channels -----------------------------------------------------------------------


@pytest.fixture
def stack(viewer, open_widget):
    pixels = np.random.default_rng(0).integers(0, 255, (3, 6, *SHAPE)).astype(np.uint8)
    viewer.add_image(pixels, name="stack", scale=(1, 2, 0.5, 0.5), translate=(0, 4, 0, 1))
    return open_widget(FakeClient)


def test_an_axis_said_to_hold_channels_becomes_layers(stack, viewer):
    whole = viewer.layers["stack"].data
    stack.panel.head.axes_menu.choice(0, "C").trigger()
    made = list(viewer.layers)
    assert [layer.name for layer in made] == ["stack C1", "stack C2", "stack C3"]
    assert names_of(stack) == [layer.name for layer in made]
    assert all(np.shares_memory(layer.data, whole) for layer in made)
    assert made[0].blending != made[1].blending == "additive"
    assert len({layer.colormap.name for layer in made}) == 3
    np.testing.assert_allclose(made[1].scale, (2, 0.5, 0.5))
    np.testing.assert_allclose(made[1].translate, (4, 0, 1))
    assert "3 layers" in stack.status
    assert stack.controller.chosen.space.shape == (6, *SHAPE)


def test_strokes_on_an_array_that_is_split_are_left_as_they_are(stack, viewer, qtbot):
    stack.panel.new_annotation_button.click()
    layer = stack.controller.chosen.annotation
    layer.paint((0, 2, 20, 20), 1)
    layer.paint((0, 2, 40, 40), 2)
    qtbot.waitUntil(lambda: len(stack.controller.strokes.snapshot.annotation.counts) == 2)
    stack.panel.live_button.click()
    before = np.asarray(layer.data).copy()
    stack.panel.head.axes_menu.choice(0, "C").trigger()
    assert not stack.controller.live
    assert stack.controller.chosen.annotation is None
    np.testing.assert_array_equal(np.asarray(viewer.layers[layer.name].data), before)
    stack.panel.new_annotation_button.click()
    assert stack.controller.chosen.problem() is None


def test_an_image_in_colour_has_no_other_channels(viewer, open_widget):
    photo = viewer.add_image(np.zeros((*SHAPE, 3), np.uint8), name="photo")
    grey = viewer.add_image(np.zeros(SHAPE, np.uint8), name="grey", blending="additive")
    msd = open_widget(FakeClient)
    msd.controller.memory.choose_channels([photo, grey])  # as a damaged session may say
    msd.panel.image_combo.setCurrentText("photo")
    assert names_of(msd) == ["photo"]
    msd.panel.image_combo.setCurrentText("grey")
    assert "Untick it" in str(msd.controller.chosen.problem())


def test_channels_of_a_file_keep_their_names(viewer, open_widget, tmp_path):
    path = tmp_path / "cells.ome.tif"
    pixels = np.random.default_rng(0).integers(0, 255, (4, 2, *SHAPE)).astype(np.uint8)
    about = {"axes": "ZCYX", "Channel": {"Name": ["DAPI", "GFP"]}, "PhysicalSizeX": 0.2}
    tifffile.imwrite(path, pixels, ome=True, metadata=about | {"PhysicalSizeY": 0.2})
    viewer.open(path, plugin="napari")
    msd = open_widget(FakeClient)
    assert msd.panel.head.described.startswith("4 slices × 2 channels")
    assert "holds 2 channels" in msd.panel.offers.text
    offered = next(
        b
        for b in msd.panel.offers.findChildren(type(msd.panel.axes_button))
        if b.text() == "Use them together"
    )
    offered.click()
    assert names_of(msd) == ["DAPI", "GFP"]
    assert msd.panel.head.described.startswith("Stack of 4 slices")
    assert msd.panel.head.described.endswith("0.2 × 0.2 µm")
    assert "deleted" not in msd.status
    assert msd.controller.chosen.axes_said


def test_an_axis_of_too_many_channels_is_refused(viewer, open_widget):
    viewer.add_image(np.zeros((100, 20, 30), np.uint8), name="movie")
    msd = open_widget(FakeClient)
    msd.panel.head.axes_menu.choice(0, "C").trigger()
    assert "too many for channels" in msd.status
    assert [layer.name for layer in viewer.layers] == ["movie"]


class Lazy:
    """Counts what is read."""

    def __init__(self, data):
        self.data, self.read = data, 0
        self.shape, self.dtype, self.ndim = data.shape, data.dtype, data.ndim

    def __getitem__(self, key):
        found = self.data[key]
        self.read += np.asarray(found).size
        return found


def test_a_part_reads_what_is_asked_for():
    data = np.random.default_rng(0).integers(0, 255, (4, 3, 10, 12))
    lazy = Lazy(data)
    part = ArrayPart(lazy, 1, 2)
    assert (part.shape, part.ndim, part.size) == ((4, 10, 12), 3, 480)
    np.testing.assert_array_equal(part[1, 2:5, 3:7], data[1, 2, 2:5, 3:7])
    assert lazy.read == 12
    np.testing.assert_array_equal(part[..., 3], data[:, 2, :, 3])
    np.testing.assert_array_equal(part[2], data[2, 2])
    np.testing.assert_array_equal(np.asarray(part), data[:, 2])


def test_a_lazy_array_is_split_without_reading_all(viewer):
    dask = pytest.importorskip("dask.array")
    read = []

    def block(block_info=None):
        read.append(block_info[None]["chunk-location"])
        return np.full((1, 1, *SHAPE), 7, np.uint8)

    array = dask.map_blocks(block, chunks=((1,) * 2, (1,) * 50, (64,), (80,)), dtype=np.uint8)
    image = viewer.add_image(array, contrast_limits=(0, 9), name="lazy")
    read.clear()
    made = split_channels(viewer, image, 0)
    assert [layer.data.shape for layer in made] == [(50, *SHAPE)] * 2
    assert len(read) < 20  # of 100


# --- models ------------------------------------------------------------------------------------


def two_channels(path, names=("green", "red"), **changes):
    values = 2 * (2 * changes.get("context", 0) + 1)
    return record(in_channels=values, channels=names, **changes).write(path)


@pytest.fixture(autouse=True)
def nobody_is_asked(monkeypatch):
    """A dialog would wait for ever."""

    def refuse(dialog):
        raise AssertionError("nobody needs to be asked")

    monkeypatch.setattr(ChannelDialog, "exec", refuse)


def test_a_model_finds_its_channels_by_name(msd, tmp_path):
    msd.session.models.load_model(two_channels(tmp_path / "model"))
    assert names_of(msd) == ["green", "red"]  # as the network wants them
    assert msd.controller.weights.model is not None
    assert msd.client.space.channel_names == ("green", "red")
    assert "model.safetensors" in msd.status


def test_channels_of_other_names_are_asked_for_once(msd, tmp_path, monkeypatch):
    asked = []

    def answer(dialog):
        asked.append([made.currentText() for made in dialog.combos])
        dialog.combos[0].setCurrentIndex(1 - dialog.combos[0].currentIndex())
        assert not dialog.buttons.button(dialog.buttons.StandardButton.Ok).isEnabled()
        dialog.combos[1].setCurrentIndex(1 - dialog.combos[1].currentIndex())
        return ChannelDialog.DialogCode.Accepted

    monkeypatch.setattr(ChannelDialog, "exec", answer)
    path = two_channels(tmp_path / "model", ("GFP", "DAPI"))
    msd.session.models.load_model(path)
    (proposed,) = asked
    assert names_of(msd) == proposed[::-1]
    msd.session.models.load_model(path)
    assert len(asked) == 1


def test_nothing_changes_if_the_question_is_cancelled(msd, tmp_path, monkeypatch):
    monkeypatch.setattr(ChannelDialog, "exec", lambda dialog: ChannelDialog.DialogCode.Rejected)
    msd.session.models.load_model(two_channels(tmp_path / "model", ("GFP", "DAPI")))
    assert names_of(msd) == ["red", "green"]
    assert msd.controller.weights.model is None


def test_a_model_of_one_channel_takes_the_image_alone(msd, tmp_path):
    msd.session.models.load_model(record().write(tmp_path / "model"))
    assert names_of(msd) == ["red"]
    assert msd.controller.weights.model is not None


def test_too_few_layers_for_a_model_are_refused(viewer, open_widget, tmp_path):
    viewer.add_image(np.zeros(SHAPE), name="alone")
    msd = open_widget(FakeClient)
    msd.session.models.load_model(two_channels(tmp_path / "model"))
    assert "needs 2 channels ('green', 'red')" in msd.status
    assert msd.controller.weights.model is None


def test_a_model_that_sees_slices_needs_them(msd, stack_of_slices, tmp_path):
    path = two_channels(tmp_path / "model", ("slices 1", "slices 2"), context=2)
    msd.session.models.load_model(path)
    assert "works in 2.5-D" in msd.status
    assert msd.controller.weights.model is None
    msd.panel.image_combo.setCurrentText("slices 1")
    msd.session.models.load_model(path)
    assert msd.panel.mode_combo.currentText() == "2.5-D"
    assert msd.controller.network.context == 2
    assert msd.controller.weights.model is not None
    assert msd.client.space.network_input.values == 10


@pytest.fixture
def stack_of_slices(viewer):
    pixels = np.zeros((2, 3, *SHAPE), np.uint8)
    made = viewer.add_image(pixels, channel_axis=0, name=["slices 1", "slices 2"])
    for layer in made:
        layer.axis_labels = ("z", "y", "x")
    return made


def test_a_saved_model_names_its_channels(msd, tmp_path, qtbot):
    annotate(msd, qtbot)
    msd.panel.live_button.click()
    msd.client.keep(record(in_channels=2).to_bytes())
    qtbot.waitUntil(lambda: msd.controller.weights.model is not None)
    msd.session.results.save_model(tmp_path / "model.safetensors")
    assert read(tmp_path / "model.safetensors").channels == ("red", "green")


def test_a_click_on_a_name_or_on_its_box_ticks_once(msd, qtbot):
    choice = msd.panel.head.channel_choice
    msd.panel.channels_button.click()
    assert choice.popup.isVisible()
    for x in (60, 10):  # the name, the box
        for expected in (["red"], ["red", "green"]):
            at = choice.list.visualItemRect(choice.list.item(1))
            place = QPoint(at.left() + x, at.center().y())
            qtbot.mouseClick(choice.list.viewport(), Qt.MouseButton.LeftButton, pos=place)
            assert names_of(msd) == expected
    qtbot.keyClick(choice.popup, Qt.Key.Key_Escape)
    assert not choice.popup.isVisible()
