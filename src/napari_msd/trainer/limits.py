"""Sizes that bound what is on its way between the two processes."""

TILE_SIDE = 1024
"""A block of the overlay has at most TILE_SIDE x TILE_SIDE pixels."""

AHEAD_BYTES = 256 << 20
"""Of the planes that are asked for before their turn, at 4 bytes a value."""

MOST_AHEAD = 8
"""Planes that are asked for before their turn."""


def planes_ahead(plane_shape: tuple[int, int], n_channels: int) -> int:
    """How many planes to ask for before their turn: at least one, so that reading overlaps."""
    size = 4 * plane_shape[0] * plane_shape[1] * n_channels
    return min(MOST_AHEAD, max(1, AHEAD_BYTES // max(size, 1)))
