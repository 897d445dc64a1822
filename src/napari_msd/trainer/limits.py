"""Sizes that both ends of the process boundary must agree on."""

SLOT_SIDE = 1024
"""The overlay slot holds one tile of at most SLOT_SIDE x SLOT_SIDE labels."""

SLOT_BYTES = SLOT_SIDE**2
"""Bytes of one value per pixel; the slot has room for two: labels, then their uncertainty."""

SLOT_PLANES = 2
