"""Sizes that bound what is on its way between the two processes."""

TILE_SHAPE = {2: (1024, 1024), 3: (48, 192, 192)}
"""Largest block of the overlay, by the number of axes that the network convolves over: a tile and
its halo fit the memory well, and a halo is a small part of the work."""

THIN_SIDE = 256
"""Side of a block of a single plane of a volume: the halo of more would fill the memory."""

AHEAD_BYTES = 256 << 20
"""Of the pixels that are asked for before their turn, at 4 bytes a value."""

MOST_AHEAD = 8
"""Tiles that pixels are asked for before their turn."""
