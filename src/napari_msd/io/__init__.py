"""Files: model files, exported labels, images for the command line; no torch, Qt or napari."""
