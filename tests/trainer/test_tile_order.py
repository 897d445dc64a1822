"""Which tile of the view comes next."""

import pytest

from napari_msd.core.box import Box
from napari_msd.trainer import tile_order
from napari_msd.trainer.tile_order import ViewRefresh, tiles_of_view

VIEW = Box(0, (0, 0), (60, 60))


@pytest.fixture(autouse=True)
def _small_tiles(monkeypatch):
    monkeypatch.setattr(tile_order, "TILE_SHAPE", {2: (10, 10)})
    monkeypatch.setattr(tile_order, "FEW_TILES", 4)


def tiles(refresh: ViewRefresh, weights, n: int) -> list[Box]:
    """The next tiles, at most `n`, each with the next of some weights."""
    found = []
    while len(found) < n and (tile := refresh.next(next(weights), at_once=True)) is not None:
        found.append(tile)
        refresh.done(0.0)
    return found


def always(weights: int):
    while True:
        yield weights


def test_all_of_a_view_is_shown_once_while_nothing_is_learned():
    refresh = ViewRefresh()
    refresh.look_at(VIEW)
    assert tiles(refresh, always(1), 100) == tiles_of_view(VIEW, 2)
    assert refresh.complete(1)


def test_a_small_view_is_shown_as_a_whole_before_newer_weights():
    refresh, view = ViewRefresh(), Box(0, (0, 0), (20, 20))
    refresh.look_at(view)
    found = tiles(refresh, iter(range(8)), 8)
    assert found == 2 * tiles_of_view(view, 2)


def test_newer_weights_begin_at_the_middle_and_the_rest_has_its_turn_too():
    refresh = ViewRefresh()
    refresh.look_at(VIEW)
    every = tiles_of_view(VIEW, 2)
    found = tiles(refresh, iter(range(200)), 4 + 8 + 16 + 36)
    assert found == every[:4] + every[:8] + every[:16] + every[:32] + every[:4]


def test_strokes_bring_the_middle_back_soon():
    refresh = ViewRefresh()
    refresh.look_at(VIEW)
    every = tiles_of_view(VIEW, 2)
    assert tiles(refresh, iter(range(20)), 20) == every[:4] + every[:8] + every[:8]
    refresh.hurry()
    assert tiles(refresh, always(99), 3) == every[:3]
