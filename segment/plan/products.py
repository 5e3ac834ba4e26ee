"""Which products an image can have of those that are asked for, and whether the model knows its scale."""

from __future__ import annotations

from rasterio import Affine

from segment.plan.request import Request
from tiler.files.beside import GROUPS, Sidecar
from tiler.files.outputs import MOST_JPEG_PX
from tiler.files.vector import OF_LONGITUDES
from tiler.photo.scale import photo_scale
from tiler.source.georef import Georeference
from tiler.source.raster import RasterInfo


def without_polygons(info: RasterInfo, request: Request) -> str:
    """Return why an image cannot have the polygons that are asked for; empty if it can."""
    if request.polygons and request.polygon_options.min_area_m2 and info.gsd_m is None:
        return "a least area in square metres needs an image with CRS and transform"
    if request.polygons and request.polygons_format in OF_LONGITUDES and info.georeference.crs is None:
        return f"{request.polygons_format} holds longitude and latitude, and the image has no CRS"
    return ""


def without_overlay(info: RasterInfo, request: Request) -> str:
    """Return why an image cannot have the overlay that is asked for; empty if it can."""
    if request.overlay and max(info.shape) > MOST_JPEG_PX:
        return f"a JPEG has at most {MOST_JPEG_PX:,} pixels along a side, the image has {max(info.shape):,}"
    return ""


def possible_sidecars(georeference: Georeference, request: Request) -> set[Sidecar]:
    """Return the side files that are asked for and that the georeference has content for."""
    wanted = {kind for group in request.sidecars for kind in GROUPS[group]}
    if georeference.transform == Affine.identity():
        wanted -= {"world", "prj"}
    return wanted - {"prj"} if georeference.crs is None else wanted


def judge_scale(info: RasterInfo, request: Request) -> tuple[float | None, str]:
    """Return the ground sample distance by which the scale of an image is judged, and why the model is not for it.

    It is that of its georeference, else that of its EXIF; None where neither says it, or where the model does not say
    what it was trained on.
    """
    if request.tiling.trained_gsd_m is None:
        return None, ""
    if info.gsd_m is not None:
        return info.gsd_m, request.tiling.off_scale(info.gsd_m)
    found = photo_scale(info.path, info.height, info.width, request.pose)
    return (None, "") if found is None else (found.gsd_m, request.tiling.off_scale(found.gsd_m, estimated=str(found)))
