"""Worker processes that do the tasks of a run, on this machine or on a cluster, by dask.distributed's own client."""
