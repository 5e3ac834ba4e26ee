"""Grids, blending, reading and writing of large rasters; knows nothing of the model."""

from tiler.source.shut_off import shut_off

shut_off()  # GDAL asks once, when it starts
