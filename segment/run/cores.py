"""How the cores are shared: the one place that says how many threads do what."""

from __future__ import annotations

from dataclasses import dataclass

import joblib

_LEAST_IMAGES = 3


@dataclass(frozen=True, slots=True)
class Threads:
    """A run's threads, by what they do.

    A run waits for the network, so the network may keep every core busy. Decoding, stitching and encoding are far
    less work and come in short pieces. While the operating system runs such a piece, one tile waits, and no core is
    idle. No thread is pinned to a core, and no library but the network's starts threads of its own.
    """

    cores: int
    """Tiles that the network computes at once on the CPU."""
    images: int
    """Images in flight: one for each core, since a photo may be a single tile, and one that is decoded or written; at
    least three."""
    gdal: int
    """Threads of GDAL to compress and decompress the blocks of one TIFF."""


def share_cores(cores: int | None = None) -> Threads:
    """Return the threads of a run.

    Parameters
    ----------
    cores : int or None
        Cores to use; None: those that this process may use, by its affinity and its container's limits.
    """
    cores = cores or int(joblib.cpu_count())
    return Threads(cores=cores, images=max(_LEAST_IMAGES, cores + 1), gdal=cores)
