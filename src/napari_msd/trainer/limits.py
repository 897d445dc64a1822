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

VIEW_BYTES = 2 << 30
"""Of the pixels that are kept because they are on screen, at 4 bytes a value: a large plane as a
whole, or a cut across all planes of a stack, may be more than there is memory."""

DROP_EVERY = 4
"""Tiles after which pixels that are needed no more are dropped."""
