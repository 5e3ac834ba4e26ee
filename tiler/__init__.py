"""Grids, blending, reading and writing of large rasters; knows nothing of the model."""
