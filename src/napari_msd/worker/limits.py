"""Sizes that both ends of the wall must agree on."""

SLOT_SIDE = 1024
"""The overlay slot holds one tile of at most SLOT_SIDE x SLOT_SIDE labels."""
