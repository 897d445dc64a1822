"""Everything that knows napari: layers, strokes, the view, key bindings, preferences."""
