"""How much of the view is kept in memory.

All of it, mostly: it is predicted again whenever the network has learned. But a large plane as a
whole, or a cut across all planes of a stack, may be more than there is memory.
"""

from __future__ import annotations

from napari_msd.core.box import Box
from napari_msd.core.space import Slab
from napari_msd.trainer.limits import VIEW_BYTES
from napari_msd.trainer.tile_order import tiles_of_view
from napari_msd.training import Trainer


def kept_tiles(view: Box, trainer: Trainer) -> tuple[list[Box], bool]:
    """Tiles of the view, the nearest to its middle first, whose blocks fit into `VIEW_BYTES`.

    Parameters
    ----------
    view
        What is on screen.
    trainer
        Knows the blocks.

    Returns
    -------
    list of Box
        The tiles.
    bool
        Whether these are all tiles of the view.
    """
    given = trainer.data.given
    kept: list[Box] = []
    blocks: set[Box] = set()
    size = 0
    for tile in tiles_of_view(view, given.convolved):
        slab = Slab.of(tile, given.convolved)
        touched = trainer.data.slab(slab).blocks_of(tile)
        new = {slab.box(block.start, block.stop) for block in touched} - blocks
        size += 4 * given.values * sum(block.size for block in new)
        if size > VIEW_BYTES:
            return kept, False
        blocks |= new
        kept.append(tile)
    return kept, True
