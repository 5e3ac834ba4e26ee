"""Model, batches and the survey run, on the grids and files of `tiler`."""
