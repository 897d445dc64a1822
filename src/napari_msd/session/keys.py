"""Keys of the viewer that this plugin uses: napari leaves them free."""

LIVE_KEY = "T"
NEXT_KEY = "N"
HIDE_KEY = "H"
