"""The ground that an image shows, as far as the file itself says it."""

from __future__ import annotations

import numpy as np
from rasterio import Affine
from rasterio.crs import CRS

from tiler.photo.geometry import to_utm
from tiler.photo.pose import camera_position, photo_georeference
from tiler.photo.scale import photo_scale
from tiler.source.footprint import Footprint
from tiler.source.georef import Georeference
from tiler.source.raster import RasterInfo

AROUND_M = 50.0
"""How far from the camera the ground counts as seen, where a photo says no more than where the camera was, metres."""


def georeference_of(info: RasterInfo) -> Georeference:
    """Return where an image lies: by its georeference, or else by its pose."""
    return info.georeference if info.georeference.present else photo_georeference(info.path, info.height, info.width)


def ground_sample_distance(info: RasterInfo) -> float | None:
    """Return the ground sample distance of an image, metres per pixel, where its georeference or its EXIF says it."""
    if info.georeference.present:
        return info.gsd_m
    found = photo_scale(info.path, info.height, info.width)
    return None if found is None else found.gsd_m


def footprint_of(info: RasterInfo, georeference: Georeference) -> Footprint | None:
    """Return the ground that an image shows; None where nobody knows.

    A photo that says where the camera was, but not how it looked, counts as a square around the camera, `AROUND_M` to
    each side.
    """
    if georeference.present:
        return Footprint(georeference, info.shape)
    position = camera_position(info.path)
    return None if position is None else _around(*position)


def _around(latitude: float, longitude: float) -> Footprint:
    here = np.zeros(1)
    epsg, x, y = to_utm(latitude, longitude, here, here)
    corner = Affine(2 * AROUND_M, 0, float(x[0]) - AROUND_M, 0, -2 * AROUND_M, float(y[0]) + AROUND_M)
    return Footprint(Georeference(CRS.from_epsg(epsg), corner), (1, 1))
