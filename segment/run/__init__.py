"""A survey brought to its end: image by image, several in flight."""
