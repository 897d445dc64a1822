"""Everything that imports napari: layers, strokes, the view, key bindings, preferences."""
