"""Label masks to polygons: traced tile by tile, merged exactly, written as a stream."""
