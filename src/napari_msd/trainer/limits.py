"""Sizes that bound what is on its way between the two processes."""

TILE_SIDE = 1024
"""A block of the overlay has at most TILE_SIDE x TILE_SIDE pixels."""

AHEAD_BYTES = 256 << 20
"""Of the slabs that are asked for before their turn, at 4 bytes a value."""

MOST_AHEAD = 8
"""Slabs that are asked for before their turn."""


def slabs_ahead(size: int, n_channels: int) -> int:
    """How many slabs of `size` pixels to ask for before their turn: at least one.

    So reading overlaps with predicting.
    """
    return min(MOST_AHEAD, max(1, AHEAD_BYTES // max(4 * size * n_channels, 1)))
