"""Reading and writing files: images, labels and models."""
