"""The engine on slabs that come in blocks, on views across slabs, on slices with neighbours."""

from dataclasses import replace

import numpy as np
import pytest

from napari_msd.core.box import Box
from napari_msd.core.settings import Settings
from napari_msd.core.space import Slab, Space
from napari_msd.document import Painted
from napari_msd.images.model_file import ModelRecord
from napari_msd.images.sources import ArraySource, in_mode
from napari_msd.inference import Predictor, slab_pixels
from napari_msd.trainer import inference_scheduler, kept_view, tile_order
from napari_msd.trainer.messages import (
    Finished,
    LookHere,
    ModelKept,
    Notice,
    OverlayBlock,
    PixelsUnavailable,
    PredictAll,
    Refresh,
    SetLive,
    SetStrokes,
    SetView,
    ShowMe,
)
from napari_msd.trainer.pixel_parts import parts_of

from .test_engine import Session

SIDE = 320
BLOCK = 32
PLANE = Space("YX", (SIDE, SIDE))
WHOLE = PLANE.whole(0)
SETTINGS = Settings.from_preset(
    depth=3, patch_size=16, learning_rate=0.02, device="cpu", trees=False, share_damping=0.0
)
FAR = Box(0, (250, 260), (270, 300))
"""A view that is far from the strokes."""


@pytest.fixture(autouse=True)
def small_blocks_and_tiles(monkeypatch):
    monkeypatch.setattr(slab_pixels, "ONE_BLOCK", 4 * BLOCK**2)
    monkeypatch.setattr(slab_pixels, "BLOCK_SHAPE", {2: (BLOCK, BLOCK)})
    monkeypatch.setattr(slab_pixels, "SAMPLED", 1)
    for module in ("tile_order", "inference_scheduler"):
        monkeypatch.setattr(f"napari_msd.trainer.{module}.TILE_SHAPE", {2: (40, 40)})


def stripes() -> np.ndarray:
    rng = np.random.default_rng(0)
    grey = 100 + 100 * (np.arange(SIDE) // 8 % 2)[None, :] + rng.normal(0, 15, (SIDE, SIDE))
    return grey.astype(np.float32)


class Large(Session):
    """A session on a large plane whose blocks can be unreadable."""

    def __init__(
        self, pixels=None, spaces=None, settings=SETTINGS, read=None, model=None, refit=False
    ):
        self.source = stripes() if pixels is None else pixels
        self.asked: list[Box] = []
        self.bad: list[Box] = []
        read = read or (lambda box: self.source[box.slices])
        super().__init__(
            np.zeros((4, 4)),
            model,
            read,
            spaces or {0: PLANE},
            settings,
            fit_normalisation=refit,
        )

    def answer(self, box):
        self.asked.append(box)
        if any(not box.intersect(bad).empty for bad in self.bad):
            self.ask(PixelsUnavailable(box, "read", "the disk is gone"))
            return
        for part in parts_of(box, self.read(box)):
            self.ask(part)

    def rest(self):
        while self.work():
            pass


def strokes(index: tuple[int, ...] = ()) -> list[Painted]:
    found = []
    for value, column in ((1, 1), (2, 41)):
        box = Slab(0, index).box((8, column), (40, column + 6))
        found.append(Painted(box, np.full(box.shape, value, np.uint8)))
    return found


@pytest.fixture
def trained() -> Large:
    session = Large()
    session.ask(SetView(Box(0, (0, 0), (30, 30))))
    session.paint(strokes())
    session.learn(10)
    session.asked.clear()
    session.events.clear()
    return session


def halo_of(session: Large) -> tuple[int, ...]:
    return session.engine._trainer.kept.network.receptive_radii


def test_a_view_asks_for_what_its_tiles_read_and_for_nothing_twice(trained):
    trained.ask(SetView(FAR))
    trained.ask(Refresh())
    trained.rest()
    assert [block.box for block in trained.all(OverlayBlock)] == [FAR]
    assert trained.asked
    assert len(trained.asked) == len(set(trained.asked))
    reach = FAR.grow(halo_of(trained))
    assert all(not box.intersect(reach).empty for box in trained.asked)


def test_looking_elsewhere_drops_what_is_off_screen_and_not_what_strokes_need(trained):
    trained.ask(SetView(FAR))
    trained.ask(Refresh())
    trained.rest()
    slab = trained.engine._trainer.slabs[Slab(0, ())]
    assert slab.has(FAR)
    trained.ask(SetView(Box(0, (0, 0), (30, 30))))
    assert not slab.has(FAR)
    assert not trained.engine._trainer.missing()


def test_of_a_very_large_view_a_part_is_held_and_all_is_shown(trained, monkeypatch):
    monkeypatch.setattr(kept_view, "VIEW_BYTES", 4 * 16 * BLOCK**2)
    slab = trained.engine._trainer.slabs[Slab(0, ())]
    trained.ask(SetView(WHOLE))
    trained.ask(Refresh())
    most = 0
    while trained.work():
        most = max(most, len(slab._blocks))
    covered = np.zeros((SIDE, SIDE), int)
    for block in trained.all(OverlayBlock):
        covered[block.box.slices] += 1
    assert (covered == 1).all()
    assert most < 0.7 * len(slab.blocks_of(WHOLE))
    assert slab.has(Box(0, (140, 140), (180, 180)))  # the middle of the view


def test_predict_all_covers_a_large_plane_once_and_holds_little_of_it(trained):
    slab = trained.engine._trainer.slabs[Slab(0, ())]
    trained.ask(PredictAll((WHOLE,)))
    most = 0
    while not trained.all(Finished):
        trained.work()
        most = max(most, len(slab._blocks))
    covered = np.zeros((SIDE, SIDE), int)
    for block in trained.all(OverlayBlock):
        covered[block.box.slices] += 1
        assert block.box.shape == (40, 40)
    assert (covered == 1).all()
    assert most < 0.8 * len(slab.blocks_of(WHOLE))
    labels = np.zeros((SIDE, SIDE), np.uint8)
    for block in trained.all(OverlayBlock):
        labels[block.box.slices] = block.labels
    trainer = trained.engine._trainer
    network, normalisation = trainer.kept.network, trainer.normalisation.for_slab(slab)
    whole = slab_pixels.SlabPixels.whole(stripes()[None])
    expected = Predictor(network, normalisation, trainer.outputs).labels(whole, WHOLE)
    np.testing.assert_array_equal(labels, expected)


def test_predict_all_goes_round_an_unreadable_block_and_says_so_once(trained):
    bad = Box(0, (200, 200), (201, 201))
    trained.bad.append(bad)
    trained.ask(PredictAll((WHOLE,)))
    trained.until(lambda: trained.all(Finished))
    texts = [(notice.level, notice.text) for notice in trained.all(Notice)]
    assert texts == [
        ("warning", "A part of the plane could not be read and was skipped: the disk is gone")
    ]
    shown = [block.box for block in trained.all(OverlayBlock)]
    assert 64 - 9 <= len(shown) < 64
    assert all(box.intersect(bad).empty for box in shown)


def test_of_a_view_all_is_shown_but_the_unreadable(trained):
    view = Box(0, (160, 160), (320, 320))
    trained.bad += [Box(0, (200, 200), (201, 201)), Box(0, (300, 300), (301, 301))]
    trained.ask(SetView(view))
    trained.ask(Refresh())
    trained.rest()
    (notice,) = trained.all(Notice)
    assert notice.level == "error"
    assert "the disk is gone" in notice.text
    shown = {block.box for block in trained.all(OverlayBlock)}
    assert len(shown) > 6
    assert not any(bad.intersect(box).size for bad in trained.bad for box in shown)
    assert not trained.work()  # nothing is asked for again and again
    trained.bad.clear()
    trained.ask(Refresh())
    trained.rest()
    assert {block.box for block in trained.all(OverlayBlock)} > shown


def test_show_me_looks_round_the_view_only_and_past_an_unreadable_block(trained):
    trained.ask(SetView(FAR))
    trained.bad.append(Box(0, (250, 300), (251, 301)))
    trained.ask(ShowMe())
    trained.rest()
    errors = [notice for notice in trained.all(Notice) if notice.level == "error"]
    assert len(errors) == 1
    assert trained.all(LookHere)
    near = FAR.grow((160, 160))
    assert all(not near.intersect(box).empty for box in trained.asked)
    assert len(trained.asked) < 60  # of 100 blocks


def test_nothing_is_suggested_where_nothing_can_be_read(trained):
    trained.ask(SetView(FAR))
    trained.engine._trainer.keep_only([])
    trained.bad.append(Box(0, (100, 100), (SIDE, SIDE)))
    trained.ask(ShowMe())
    trained.rest()
    assert [notice.level for notice in trained.all(Notice)] == ["error"]
    assert not trained.all(LookHere)


@pytest.mark.parametrize(("brighter", "said"), [(0, []), (500, ["much brighter"])])
def test_a_block_of_background_is_not_taken_for_a_darker_image(monkeypatch, brighter, said):
    """Grey values are compared with the model's when enough of the slab is here."""
    settings = replace(SETTINGS, normalise="first")
    known = Large(settings=settings)
    known.paint(strokes())
    known.learn(2)
    monkeypatch.setattr(slab_pixels, "SAMPLED", 3)
    pixels = stripes() + brighter
    corner = pixels[BLOCK : 2 * BLOCK, BLOCK : 2 * BLOCK]  # what comes first
    corner[:] = np.random.default_rng(1).normal(0, 1, corner.shape)
    model = known.engine._trainer.record().to_bytes()
    session = Large(pixels=pixels, settings=settings, model=model)
    session.paint(strokes())
    session.learn(known.engine._trainer.steps + 2)
    texts = [notice.text for notice in session.all(Notice)]
    assert len(texts) == len(said)
    assert all(word in text for word, text in zip(said, texts, strict=True))


def test_holes_of_a_large_plane_are_told_once():
    pixels = stripes()
    pixels[::30, ::30] = np.nan
    session = Large(pixels=pixels)
    session.paint(strokes())
    session.learn(2)
    (notice,) = session.all(Notice)
    assert notice.text.startswith("This plane has NaN or infinite values")


def test_the_normalisation_can_be_fitted_anew_to_a_large_plane():
    settings = replace(SETTINGS, normalise="first")
    known = Large(settings=settings)
    known.paint(strokes())
    known.learn(5)
    model = known.engine._trainer.record().to_bytes()
    bright = Large(pixels=3 * stripes() + 500, settings=settings, model=model, refit=True)
    bright.ask(SetView(FAR))
    bright.ask(Refresh())
    bright.rest()
    assert bright.all(OverlayBlock)
    assert not bright.all(Notice)
    (kept,) = bright.all(ModelKept)
    assert ModelRecord.from_bytes(kept.model).mean == bright.engine._trainer.normalisation.mean


# --- several slabs at once -----------------------------------------------------------------------

STACK = Space("ZYX", (6, 48, 64))


def stack() -> np.ndarray:
    return np.stack([stripes()[:48, :64] + 3 * z for z in range(6)])


def of_stack(space: Space = STACK, settings: Settings = SETTINGS, read=None) -> Large:
    array = stack()
    read = read or (lambda box: array[box.slices])
    session = Large(spaces={0: space}, settings=settings, read=read)
    session.paint(strokes((2,)))
    session.learn(10)
    session.asked.clear()
    session.events.clear()
    return session


def test_a_view_across_slices_is_shown_slice_by_slice():
    session = of_stack()
    cut = Box(0, (1, 20, 0), (5, 21, 64))
    session.ask(SetView(cut))
    session.ask(Refresh())
    session.rest()
    boxes = [block.box for block in session.all(OverlayBlock)]
    assert all(box.shape[0] == 1 for box in boxes)
    covered = np.zeros(STACK.shape, int)
    for box in boxes:
        covered[box.slices] += 1
    expected = np.zeros(STACK.shape, int)
    expected[cut.slices] = 1
    np.testing.assert_array_equal(covered, expected)


def test_of_a_cut_across_many_planes_some_are_held(monkeypatch):
    monkeypatch.setattr(kept_view, "VIEW_BYTES", 4 * 48 * 64)
    monkeypatch.setattr(inference_scheduler, "DROP_EVERY", 1)
    session = of_stack()
    session.ask(SetView(Box(0, (0, 20, 0), (6, 21, 64))))
    session.ask(Refresh())
    most = 0
    while session.work():
        most = max(most, len(session.engine._trainer.slabs))
    assert {block.box.start[0] for block in session.all(OverlayBlock)} == set(range(6))
    assert most < 5  # what is painted, the middle, and those around the tile in hand


def test_what_is_shown_of_a_cut_is_what_is_shown_of_its_slices():
    session = of_stack()
    for view in (Box(0, (0, 20, 0), (6, 21, 64)), Box(0, (3, 0, 0), (4, 48, 64))):
        session.ask(SetView(view))
        session.ask(Refresh())
        session.rest()
    shown = np.zeros((2, *STACK.shape), np.uint8)
    for block in session.all(OverlayBlock):
        shown[(int(block.box.shape[1] > 1), *block.box.slices)] = block.labels
    np.testing.assert_array_equal(shown[0, 3, 20], shown[1, 3, 20])
    assert set(np.unique(shown[0, 3, 20])) == {1, 2}


def test_tiles_of_a_view_lie_within_single_slabs_the_nearest_first():
    view = Box(0, (0, 0, 0), (3, 40, 100))
    tiles = tile_order.tiles_of_view(view, 2)
    assert len(tiles) == 3 * 3
    assert {tile.start[0] for tile in tiles} == {0, 1, 2}
    assert tiles[0].start[0] == 1
    assert sum(tile.size for tile in tiles) == view.size


# --- slices with their neighbours ----------------------------------------------------------------


def test_slices_are_learned_with_their_neighbours():
    read, space = in_mode(ArraySource(stack(), STACK).read, STACK, "2.5d", 1)
    assert space.network_input.values == 3
    session = of_stack(space, SETTINGS, read)
    trainer = session.engine._trainer
    assert trainer.record().network_input == space.network_input
    assert trainer.record().in_channels == 3
    pixels = trainer.slabs[Slab(0, (2,))].read(Box.whole(0, STACK.shape[1:]))
    np.testing.assert_array_equal(pixels, stack()[1:4])
    session.ask(SetView(Box(0, (0, 0, 0), (1, 48, 64))))
    session.ask(Refresh())
    session.rest()
    first = trainer.slabs[Slab(0, (0,))].read(Box.whole(0, STACK.shape[1:]))
    np.testing.assert_array_equal(first, stack()[[1, 0, 1]])  # mirrored beyond the first slice
    labels = np.zeros((48, 64), np.uint8)
    for block in session.all(OverlayBlock):
        labels[block.box.last(2).slices] = block.labels[0]
    truth = np.broadcast_to(np.arange(64) // 8 % 2 + 1, (48, 64))
    assert (labels == truth).mean() > 0.8


# --- volumes -------------------------------------------------------------------------------------


def test_planes_of_a_volume_are_shown_whichever_way_they_are_cut(monkeypatch):
    monkeypatch.setattr(tile_order, "TILE_SHAPE", {3: (4, 24, 32)})
    monkeypatch.setattr(tile_order, "THIN_SIDE", 40)
    monkeypatch.setattr(slab_pixels, "BLOCK_SHAPE", {3: (4, 16, 16)})
    settings = Settings.from_preset(
        mode="3d", depth=3, patch_size=16, trees=False, pretrained=False, device="cpu"
    )
    session = of_stack(STACK.in_mode("3d"), settings)
    cut = Box(0, (0, 20, 0), (6, 21, 64))
    plane = Box(0, (3, 0, 0), (4, 48, 64))
    shown = {}
    for box in (cut, plane, STACK.whole(0)):
        session.events.clear()
        if box in (cut, plane):
            session.ask(SetView(box))
            session.ask(Refresh())
        else:
            session.ask(PredictAll((box,)))
        session.rest()
        blocks = session.all(OverlayBlock)
        assert sum(block.box.size for block in blocks) == box.size
        shown[box] = np.zeros(STACK.shape, np.uint8)
        for block in blocks:
            shown[box][block.box.slices] = block.labels
        assert shown[box][box.slices].all()
    for box in (cut, plane):
        same = shown[box][box.slices] == shown[STACK.whole(0)][box.slices]
        assert same.mean() > 0.99  # of nearly equal classes, the last bit decides


def test_learning_does_without_unreadable_blocks_that_strokes_do_not_need(monkeypatch):
    monkeypatch.setattr(slab_pixels, "SAMPLED", 3)
    monkeypatch.setattr(slab_pixels, "ONE_BLOCK", 16)
    session = Large(settings=replace(SETTINGS, share_damping=0.4))
    session.bad = [Box(0, (160, 160), (170, 170)), Box(0, (300, 300), (310, 310))]
    session.ask(SetView(Box(0, (0, 0), (40, 40))))
    session.ask(SetStrokes(tuple(strokes())))
    session.ask(SetLive(True))
    for _ in range(60):
        session.work()
    assert session.engine._trainer.steps > 0
    assert not [e for e in session.events if isinstance(e, Notice) and e.level == "error"]
