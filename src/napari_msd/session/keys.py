"""Viewer keys that this plugin binds; napari does not use them."""

LIVE_KEY = "T"
NEXT_KEY = "N"
HIDE_KEY = "H"
