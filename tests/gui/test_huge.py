"""Images too large for whole arrays: strokes in chunks, segmentation with levels, exact views.

The limits are lowered, so that a small stack counts as large.
"""

import threading

import numpy as np
import pytest

from napari_msd.core.box import Box
from napari_msd.core.checkpoint import ClassInfo
from napari_msd.core.errors import ExportError
from napari_msd.core.space import Space
from napari_msd.document import Document, pyramid
from napari_msd.document.chunked import ChunkedLabels
from napari_msd.document.operations import BindSource, DefineClass, PaintBox
from napari_msd.images.open_sink import open_sink
from napari_msd.plugin.segment_file import result_of
from napari_msd.storage import SavedAnnotation
from napari_msd.trainer.messages import Finished, OverlayBlock
from napari_msd.viewer import label_data, restore, stroke_boxes
from napari_msd.viewer.background_reader import BackgroundReader
from napari_msd.viewer.view_watcher import ViewWatcher

from .fake_client import FakeClient

SHAPE = (4, 300, 400)


@pytest.fixture
def stack(viewer, monkeypatch):
    monkeypatch.setattr(label_data, "LARGE_PIXELS", 1000)
    monkeypatch.setattr(pyramid, "SIDE", 64)
    monkeypatch.setattr(pyramid, "_COARSEST", 100)
    pixels = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    return viewer.add_image(
        [pixels, pixels[:, ::2, ::2], pixels[:, ::4, ::4]],
        multiscale=True,
        name="stack",
        scale=(2, 0.5, 0.5),
        units=("um", "um", "um"),
    )


@pytest.fixture
def huge(stack, open_widget, viewer):
    msd = open_widget(FakeClient)
    msd.panel.new_annotation_button.click()
    viewer.dims.set_current_step(0, 1)
    return msd


def counts(msd):
    return msd.controller.strokes.snapshot.annotation.counts


def strokes(msd):
    return msd.controller.chosen.annotation


def paint_two_classes(msd, qtbot):
    layer = strokes(msd)
    layer.brush_size = 5
    layer.paint((1, 150, 100), 1)
    layer.paint((1, 150, 300), 2)
    qtbot.waitUntil(lambda: len(counts(msd)) == 2)
    return layer


# --- strokes -------------------------------------------------------------------------------------


def test_strokes_of_a_large_image_take_memory_where_they_are(huge, qtbot):
    layer = paint_two_classes(huge, qtbot)
    assert isinstance(layer.data, ChunkedLabels)
    assert layer.data.shape == SHAPE
    assert len(list(layer.data.written())) == 2
    np.testing.assert_array_equal(layer.scale, (2, 0.5, 0.5))


def test_the_mouse_paints_on_it_and_undo_takes_it_back(huge, qtbot, mouse):
    layer = strokes(huge)
    mouse.stroke(layer, (150, 100), (150, 140))
    qtbot.waitUntil(lambda: counts(huge).get(1, 0) > 0)
    assert counts(huge)[1] == np.count_nonzero(layer.data[1])
    layer.undo()
    qtbot.waitUntil(lambda: not counts(huge))
    layer.redo()
    qtbot.waitUntil(lambda: counts(huge).get(1, 0) > 0)


def test_a_script_is_heard_wherever_it_writes(huge, qtbot):
    strokes(huge).data[3, 10:12, 10:20] = 2
    qtbot.waitUntil(lambda: counts(huge) == {2: 20})
    strokes(huge).data[...] = 0
    qtbot.waitUntil(lambda: not counts(huge))


def test_classes_are_merged_and_erased_as_in_an_array(huge, qtbot):
    layer = paint_two_classes(huge, qtbot)
    before = np.asarray(layer.data)
    huge.session.class_actions.remove(2)
    qtbot.waitUntil(lambda: list(counts(huge)) == [1])
    layer.undo()
    qtbot.waitUntil(lambda: len(counts(huge)) == 2)
    np.testing.assert_array_equal(np.asarray(layer.data), before)


def test_another_array_of_chunks_takes_its_place(huge, qtbot):
    layer = paint_two_classes(huge, qtbot)
    old, new = layer.data, ChunkedLabels(SHAPE)
    new[2, 5:7, 5:7] = 1
    layer.data = new
    qtbot.waitUntil(lambda: counts(huge) == {1: 4})
    new[2, 5, 5] = 0
    qtbot.waitUntil(lambda: counts(huge) == {1: 3})
    old[0] = 1
    qtbot.waitUntil(lambda: not huge.controller.strokes.busy)
    assert counts(huge) == {1: 3}


def test_strokes_of_a_session_come_back_in_chunks(stack, viewer):
    document = Document()
    document.do(BindSource(0, Space("ZYX", SHAPE), "stack"))
    document.do(DefineClass(ClassInfo(2, "cell", "#c8702a")))
    box = Box(0, (3, 20, 390), (4, 30, 400))
    document.do(PaintBox(box, np.full(box.shape, 2, np.uint8)))
    layer = restore.add_annotation(viewer, stack, SavedAnnotation(1, 1, "strokes", document))
    assert isinstance(layer.data, ChunkedLabels)
    assert (layer.data[3, 20:30, 390:] == 2).all()
    assert np.count_nonzero(np.asarray(layer.data)) == 100


# --- the segmentation ----------------------------------------------------------------------------


@pytest.fixture
def segmented(huge, qtbot):
    paint_two_classes(huge, qtbot)
    huge.panel.live_button.click()
    huge.client.keep()
    huge.client.predict(1, box=Box(0, (1, 0, 0), (2, 150, 400)))
    huge.client.predict(2, box=Box(0, (1, 150, 0), (2, 300, 400)))
    qtbot.waitUntil(lambda: bool((at_full(huge)[1, 150:] == 2).all()))
    return huge


def at_full(msd):
    return np.asarray(msd.overlay.data[0])


def test_the_segmentation_has_levels_and_lies_where_the_image_lies(segmented, stack, viewer):
    overlay = segmented.overlay
    assert overlay.name == "stack segmentation"
    assert [level.shape for level in overlay.data] == [SHAPE, (4, 150, 200), (4, 75, 100)]
    np.testing.assert_array_equal(overlay.scale, stack.scale)
    assert not overlay.editable
    assert viewer.layers.selection.active is strokes(segmented)
    for step, level in zip((1, 2, 4), overlay.data, strict=True):
        np.testing.assert_array_equal(np.asarray(level), at_full(segmented)[:, ::step, ::step])
    assert not at_full(segmented)[[0, 2, 3]].any()


def test_it_is_on_screen_at_every_zoom(segmented, viewer, stack, mouse):
    strokes(segmented).visible = stack.visible = False
    segmented.controller.classes.show(1, True)
    segmented.overlay.opacity = 1
    for zoom in (6.0, 1.0):
        viewer.scene.camera.zoom = zoom
        picture = viewer.screenshot(canvas_only=True, flash=False)[..., :3].astype(int)
        ratio = picture.shape[0] / mouse.canvas.height()
        upper, lower = (
            picture[int(p.y() * ratio), int(p.x() * ratio)]
            for p in (mouse.position(segmented.overlay, (row, 200)) for row in (140, 160))
        )
        assert np.abs(upper - lower).max() > 50


def test_a_first_answer_is_seen_and_does_not_count_as_predicted(segmented, qtbot):
    box = Box(0, (2, 0, 0), (3, 300, 400))
    labels = np.full(box.reduced_shape(8), 2, np.uint8)
    segmented.client.say(OverlayBlock(box, 1, labels, None, "one", 8))
    qtbot.waitUntil(lambda: bool((segmented.overlay.data[2][2] == 2).all()))
    assert not at_full(segmented)[2].any()
    assert segmented.controller.overlay.coverage.completeness.empty == 3


def test_start_over_empties_it_and_can_be_undone(segmented, qtbot):
    before = at_full(segmented)
    segmented.session.results.start_over()
    assert not at_full(segmented).any()
    segmented.session.results.start_over()
    np.testing.assert_array_equal(at_full(segmented), before)
    assert segmented.controller.overlay.coverage.completeness.empty == 3


def test_it_is_found_again(segmented, viewer, qtbot):
    overlay = segmented.overlay
    viewer.add_image(np.zeros(SHAPE), name="other", scale=(2, 0.5, 0.5), units=("um",) * 3)
    combo = segmented.panel.image_combo
    combo.setCurrentText("other")
    combo.setCurrentText("stack")
    assert segmented.overlay is overlay
    assert not segmented.controller.overlay.coverage.empty


def test_what_is_right_in_it_becomes_strokes(segmented):
    layer, lasso = strokes(segmented), segmented.session.lasso
    before = np.asarray(layer.data)
    lasso._segmentation = segmented.overlay
    rows, columns = np.mgrid[140:160, 50:60]
    assert lasso._copy(np.stack([rows.ravel(), columns.ravel()], axis=1)) == 200
    new = np.asarray(layer.data)
    assert (new[1, 140:150, 50:60] == 1).all()
    assert (new[1, 150:160, 50:60] == 2).all()
    layer.undo()
    np.testing.assert_array_equal(np.asarray(layer.data), before)


def test_many_small_planes_have_levels(viewer, monkeypatch, open_widget, qtbot):
    monkeypatch.setattr(label_data, "LARGE_PIXELS", 1000)
    viewer.add_image(np.random.default_rng(0).normal(size=(30, 40, 50)), name="planes")
    msd = open_widget(FakeClient)
    msd.panel.new_annotation_button.click()
    msd.panel.live_button.click()
    msd.client.predict(2, plane=(7,))
    qtbot.waitUntil(lambda: msd.overlay is not None and bool((at_full(msd)[7] == 2).all()))
    assert [level.shape for level in msd.overlay.data] == [(30, 40, 50), (30, 20, 25)]


def test_uncertainty_has_levels_too(segmented, viewer, qtbot):
    segmented.panel.uncertainty_button.click()
    box = Box(0, (1, 0, 0), (2, 100, 100))
    segmented.client.predict(1, box=box, uncertainty=200)
    layer = viewer.layers["stack uncertainty"]
    qtbot.waitUntil(lambda: bool((layer.data[1][1][:50, :50] == 200).all()))


def test_a_volume_is_drawn_at_the_end_not_for_each_block(segmented, viewer, qtbot):
    viewer.dims.ndisplay = 3
    drawn = []
    segmented.overlay.events.set_data.connect(drawn.append)
    timer = segmented.controller.overlay._volume_timer
    timer.setInterval(3_600_000)
    for value in (1, 2, 1):
        segmented.client.predict(value, box=Box(0, (1, 0, 0), (2, 50, 50)))
    qtbot.waitUntil(timer.isActive)
    assert not drawn
    segmented.client.say(Finished("update"))
    qtbot.waitUntil(lambda: bool(drawn))
    assert not timer.isActive()


def test_a_large_plane_seen_as_a_whole_shows_what_is_new(
    viewer, monkeypatch, open_widget, qtbot, mouse
):
    monkeypatch.setattr(label_data, "LARGE_PIXELS", 1000)
    monkeypatch.setattr(pyramid, "SIDE", 64)
    monkeypatch.setattr(pyramid, "_COARSEST", 100)
    image = viewer.add_image(np.random.default_rng(0).normal(size=(2000, 2400)), name="plane")
    msd = open_widget(FakeClient)
    msd.panel.new_annotation_button.click()
    layer = strokes(msd)
    layer.paint((100, 100), 1)
    layer.paint((1000, 1000), 2)
    qtbot.waitUntil(lambda: len(counts(msd)) == 2)
    msd.panel.live_button.click()
    image.visible = layer.visible = False
    viewer.scene.camera.zoom = 0.03  # the coarsest level
    colors = []
    for value in (1, 2):
        msd.controller.classes.show(value, True)
        msd.client.predict(value, box=Box(0, (0, 0), (2000, 2400)))
        qtbot.waitUntil(lambda value=value: bool((np.asarray(msd.overlay.data[0]) == value).all()))
        picture = viewer.screenshot(canvas_only=True, flash=False)[..., :3].astype(int)
        assert msd.overlay.data_level == len(msd.overlay.data) - 1
        where = mouse.position(msd.overlay, (1000, 1200))
        ratio = picture.shape[0] / mouse.canvas.height()
        colors.append(picture[int(where.y() * ratio), int(where.x() * ratio)])
    assert np.abs(colors[0] - colors[1]).max() > 50


# --- what is on screen ---------------------------------------------------------------------------


@pytest.fixture
def screen(viewer, stack, qtbot):
    watcher = ViewWatcher(viewer)
    watcher.watch(stack)
    viewer.screenshot(canvas_only=True, flash=False)
    yield watcher
    watcher.close()


def test_of_an_image_with_levels_only_what_is_visible_is_in_view(screen, viewer, stack):
    viewer.dims.set_current_step(0, 2)
    viewer.scene.camera.center = (0, 75, 100)  # in micrometres: the middle
    viewer.scene.camera.zoom = 10
    rows, columns = (round(n / 10 / 0.5) for n in viewer.canvas.size)
    seen = screen.view()
    assert seen.start[0] == 2
    assert seen.shape[0] == 1
    assert seen.shape[1:] == pytest.approx((rows, columns), abs=2)
    assert seen.centre[1:] == pytest.approx((150.5, 200.5), abs=1)
    viewer.scene.camera.zoom = 0.5
    assert screen.view() == Box(0, (2, 0, 0), (3, 300, 400))


@pytest.mark.parametrize("multiscale", [True, False])
def test_a_cut_across_slices_is_a_thin_box(viewer, stack, qtbot, multiscale):
    layer = stack if multiscale else viewer.add_image(np.zeros(SHAPE), scale=(2, 0.5, 0.5))
    viewer.dims.order = (1, 0, 2)
    viewer.dims.set_current_step(1, 120)
    viewer.scene.camera.center = (0, 3, 100)
    viewer.scene.camera.zoom = 40
    watcher = ViewWatcher(viewer)
    watcher.watch(layer)
    viewer.screenshot(canvas_only=True, flash=False)
    seen = watcher.view()
    assert (seen.start[1], seen.stop[1]) == (120, 121)
    assert (seen.start[0], seen.stop[0]) == (0, 4)
    assert seen.shape[2] < 100
    assert watcher.shows(Box(0, (3, 100, 0), (4, 130, 5)))
    assert not watcher.shows(Box(0, (3, 100, 0), (4, 110, 5)))
    watcher.close()


# --- annotations of other programs ---------------------------------------------------------------


def test_only_chunks_that_exist_are_read(tmp_path):
    zarr = pytest.importorskip("zarr")
    path = str(tmp_path / "labels")
    data = zarr.create_array(path, shape=(50, 4000, 4000), chunks=(1, 500, 500), dtype="uint8")
    data[30, 600, 700] = 1
    data[3, 10, 10] = 2
    shown = Box(0, (30, 0, 0), (31, 4000, 4000))
    boxes = list(stroke_boxes.lazy_chunks(data, data.shape, shown))
    assert boxes == [
        Box(0, (30, 500, 500), (31, 1000, 1000)),
        Box(0, (3, 0, 0), (4, 500, 500)),
    ]


def test_chunks_of_dask_cover_all_of_it():
    dask = pytest.importorskip("dask.array")
    data = dask.zeros((3, 50, 70), chunks=(2, 30, 70), dtype="uint8")
    covered = np.zeros(data.shape, int)
    for box in stroke_boxes.lazy_chunks(data, data.shape, Box(0, (1, 0, 0), (2, 50, 70))):
        covered[box.slices] += 1
    assert (covered == 1).all()


class Slow:
    """An array whose chunks come when a test says so, with the values of before."""

    dtype = np.dtype(np.uint8)

    def __init__(self, shape):
        self.values = np.zeros(shape, np.uint8)
        self.shape, self.ndim, self.size = shape, len(shape), self.values.size
        self.chunks = shape
        self.began, self.may_come = threading.Event(), threading.Event()
        self.window = threading.current_thread()

    def __getitem__(self, key):
        found = self.values[key].copy()
        if threading.current_thread() is not self.window:
            self.began.set()
            assert self.may_come.wait(30)
        return found

    def __setitem__(self, key, value):
        self.values[key] = value


def test_a_stroke_made_while_a_chunk_is_read_is_not_undone_by_it(viewer, image, open_widget, qtbot):
    slow = Slow(image.data.shape)
    slow.values[100, 100] = 1
    layer = viewer.add_labels(slow, name="slow", scale=image.scale, units=image.units)
    msd = open_widget(FakeClient)
    assert slow.began.wait(30)
    layer.paint((30, 60), 2)
    qtbot.waitUntil(lambda: 2 in counts(msd))
    slow.may_come.set()
    qtbot.waitUntil(lambda: not msd.controller.strokes.busy)
    assert counts(msd) == {1: 1, 2: int((slow.values == 2).sum())}


def test_a_chunk_that_cannot_be_read_is_left_out():
    class Damaged:
        def __getitem__(self, key):
            if key[0].start == 1:
                raise OSError("damaged")
            return np.ones([k.stop - k.start for k in key], np.uint8)

    reader = BackgroundReader(Damaged(), Box(0, (0, 0), (3, 5)).tiles((1, 5)))
    found = []
    while not reader.done:
        if (read := reader.take()) is not None:
            found.append(read[0].start[0])
    assert found == [0, 2]


# --- into a file ----------------------------------------------------------------------------------


def labels_of(path):
    zarr = pytest.importorskip("zarr")
    return np.asarray(zarr.open_group(str(path), mode="r")["0"])


def test_all_of_it_is_segmented_into_a_file(segmented, tmp_path, qtbot):
    path = tmp_path / "all.ome.zarr"
    segmented.session.results.to_file.start(path)
    qtbot.waitUntil(lambda: segmented.client.work == "predict")
    assert [box.start[0] for box in segmented.client.boxes] == [1, 0, 2, 3]
    assert not segmented.panel.segment_file_button.isEnabled()
    for box in segmented.client.boxes:
        segmented.client.predict(2, box=box)
    segmented.client.say(Finished("predict"))
    qtbot.waitUntil(lambda: "All of the image is segmented in all.ome.zarr" in segmented.status)
    assert (labels_of(path) == 2).all()
    assert segmented.controller.overlay.coverage.completeness.complete


def test_what_was_stopped_is_gone_on_with(segmented, tmp_path, qtbot):
    path = tmp_path / "all.ome.zarr"
    results = segmented.session.results
    results.to_file.start(path)
    qtbot.waitUntil(lambda: segmented.client.work == "predict")
    for plane in (1, 0):
        for box in Box(0, (plane, 0, 0), (plane + 1, 300, 400)).tiles((1, 100, 400)):
            segmented.client.predict(2, box=box)
    qtbot.waitUntil(lambda: bool((at_full(segmented)[0] == 2).all()))
    segmented.panel.stop_button.click()
    qtbot.waitUntil(lambda: "Stopped: 50% is done" in segmented.status)
    assert not path.exists()
    results.to_file.start(path)
    qtbot.waitUntil(lambda: segmented.client.work == "predict")
    assert [box.start[0] for box in segmented.client.boxes] == [2, 3]
    segmented.client.predict(1, box=segmented.client.boxes[0])
    segmented.client.say(Finished("predict"))  # the last slice could not be read
    qtbot.waitUntil(lambda: "25% of it could not be segmented" in segmented.status)
    np.testing.assert_array_equal(labels_of(path).max(axis=(1, 2)), [2, 2, 1, 0])


def test_blocks_of_the_network_before_are_not_for_the_file(segmented, tmp_path, qtbot):
    """What Live had sent when the work began comes first."""
    path = tmp_path / "all.ome.zarr"
    segmented.session.results.to_file.start(path)
    qtbot.waitUntil(lambda: segmented.client.work == "predict")
    segmented.client.predict(1, box=Box(0, (1, 0, 0), (2, 40, 40)), network="before")
    for box in segmented.client.boxes:
        segmented.client.predict(2, box=box, network="now")
    segmented.client.say(Finished("predict"))
    qtbot.waitUntil(lambda: "All of the image is segmented in all.ome.zarr" in segmented.status)
    assert (labels_of(path) == 2).all()


def test_another_image_chosen_meanwhile_does_not_get_into_the_file(
    segmented, viewer, tmp_path, qtbot
):
    pixels = np.random.default_rng(1).normal(size=SHAPE)
    viewer.add_image(pixels, name="other", scale=(2, 0.5, 0.5), units=("um", "um", "um"))
    segmented.panel.image_combo.setCurrentText("other")
    segmented.client.keep()
    qtbot.waitUntil(lambda: segmented.controller.network.kept is not None)
    segmented.panel.image_combo.setCurrentText("stack")
    segmented.session.results.to_file.start(tmp_path / "all.ome.zarr")
    segmented.panel.image_combo.setCurrentText("other")
    qtbot.waitUntil(lambda: "Stopped: 0% is done" in segmented.status)
    assert segmented.client.work != "predict"


def test_nothing_is_predicted_for_a_file_that_cannot_be_written(
    segmented, tmp_path, qtbot, monkeypatch
):
    def fails(self, box, values):
        raise ExportError("The disk is full.")

    monkeypatch.setattr("napari_msd.images.zarr_sink.OmeZarrSink.write", fails)
    segmented.session.results.to_file.start(tmp_path / "all.ome.zarr")
    qtbot.waitUntil(lambda: segmented.client.work == "predict")
    for box in segmented.client.boxes[:4]:
        segmented.client.predict(2, box=box)
    qtbot.waitUntil(lambda: "The disk is full." in segmented.status)
    assert segmented.controller.work == ""


def test_it_is_exported_and_copied_as_it_is(segmented, viewer, tmp_path, qtbot):
    path = tmp_path / "now.ome.zarr"
    results = segmented.session.results
    results.export_labels(path)
    qtbot.waitUntil(lambda: "saved as now.ome.zarr" in segmented.status)
    np.testing.assert_array_equal(labels_of(path), at_full(segmented))
    results.copy_segmentation()
    qtbot.waitUntil(lambda: "stack segmentation copy" in viewer.layers)
    copy = viewer.layers["stack segmentation copy"]
    np.testing.assert_array_equal(np.asarray(copy.data), at_full(segmented))
    assert copy.editable
    copy.data[0, 5, 5] = 1
    assert at_full(segmented)[0, 5, 5] == 0


def test_an_export_does_not_go_on_from_an_interrupted_one(segmented, tmp_path, qtbot):
    """Its labels may be there no more, and what is empty is not written."""
    path, controller = tmp_path / "now.ome.zarr", segmented.controller
    space = controller.network.seen(controller.chosen.data.space)
    interrupted = open_sink(path, result_of(controller, space, ""))
    whole = Box.whole(0, SHAPE)
    interrupted.write(whole, np.full(SHAPE, 2, np.uint8))
    interrupted.leave()
    segmented.session.results.export_labels(path)
    qtbot.waitUntil(lambda: "saved as now.ome.zarr" in segmented.status)
    np.testing.assert_array_equal(labels_of(path), at_full(segmented))


def test_without_a_network_nothing_is_written(huge, tmp_path, qtbot):
    huge.session.results.to_file.start(tmp_path / "all.ome.zarr")
    qtbot.waitUntil(lambda: "There is no network yet" in huge.status)
    assert not list(tmp_path.iterdir())
