"""Write made-up surveys: photos with a pose, orthomosaics with a georeference, and the truth beside them."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import rasterio
from joblib import Parallel, delayed
from numpy.typing import NDArray
from PIL import ExifTags, Image, PngImagePlugin
from rasterio import Affine
from rasterio.enums import ColorInterp

from tiler.classes import DRONE_CLASSES, NO_LABEL, write_class_table
from tiler.errors import OutputExistsError
from tiler.scenes.request import SceneOptions
from tiler.scenes.scene import Scene, make_scene
from tiler.scenes.shapes import axes
from tiler.scenes.watch import noter, watched
from tiler.source.raster import FINGERPRINT_KEY, gdal_environment

IMAGES, TRUTH, CLASSES = "images", "truth", "classes.csv"
"""What a survey folder holds: the images, label masks of the same names, and the class table."""
_MARKER = ".noseam-scenes"
_UNFINISHED = "unfinished"
_TRUTH_MARK = "made-up truth"
_SENSOR_M, _FOCAL_M = 0.0132, 0.0088
"""Width of the sensor and focal length of a common 1-inch drone camera."""
_ORIGIN = (47.0707, 15.4395)
"""Latitude and longitude of the first photo, degrees: a place on land, in UTM zone 33."""
_UTM, _CORNER = "EPSG:32633", (533_400.0, 5_213_400.0)
_METRES_PER_DEGREE = 111_320.0
_TAKEN = "2026:06:21 10:{:02d}:{:02d}"
_XMP = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">\
<rdf:Description rdf:about="" xmlns:drone-dji="http://www.dji.com/drone-dji/1.0/" \
drone-dji:GpsLatitude="{lat:.7f}" drone-dji:GpsLongitude="{lon:.7f}" drone-dji:RelativeAltitude="+{height:.2f}" \
drone-dji:AbsoluteAltitude="+{above_sea:.2f}" drone-dji:GimbalYawDegree="+0.00" drone-dji:GimbalPitchDegree="-90.00" \
drone-dji:GimbalRollDegree="+0.00" drone-dji:FlightYawDegree="+0.00"/></rdf:RDF></x:xmpmeta>"""
_GROUND_M = 353.0


def make_survey(
    folder: Path,
    request: SceneOptions,
    *,
    jobs: int = -1,
    advance: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Write a survey: `images/`, `truth/` with label masks of the same names, and `classes.csv`.

    Parameters
    ----------
    folder : Path
        New, empty, or of an earlier call for the same survey.
    request : SceneOptions
        What it holds; scene `i` is made from the seed `(seed, i)`, photos first.
    jobs : int
        Processes; -1: one per core.
    advance : callable
        Called with (megapixels made, megapixels in all), from another thread.

    Raises
    ------
    OutputExistsError
        If the folder holds other files, or another survey.
    """
    folder = folder.absolute()  # workers of an earlier call may stand in another folder
    marker = folder / _MARKER
    if folder.exists() and not marker.exists() and any(folder.iterdir()):
        raise OutputExistsError(f"{folder} holds files that are no made-up survey; choose a new or empty folder")
    if marker.exists() and marker.read_text() not in {request.key, _UNFINISHED}:
        raise OutputExistsError(f"{folder} holds another made-up survey; choose a new or empty folder")
    for part in (IMAGES, TRUTH):
        (folder / part).mkdir(parents=True, exist_ok=True)
    marker.write_text(_UNFINISHED)
    write_class_table(folder / CLASSES, DRONE_CLASSES)
    sizes = [math.prod(request.photo_shape) / 1e6] * request.photos
    sizes += [math.prod(request.orthomosaic_shape) / 1e6] * request.orthomosaics
    jobs = min(len(sizes), (os.cpu_count() or 1) if jobs == -1 else jobs)
    with watched(sizes, advance) as shares:
        for _ in Parallel(n_jobs=max(jobs, 1), return_as="generator_unordered")(_tasks(folder, request, shares)):
            pass
    marker.write_text(request.key)


def is_made(folder: Path, request: SceneOptions) -> bool:
    """Return whether a folder holds the whole survey of a request."""
    marker, names = folder / _MARKER, list(_names(request))
    if not marker.exists() or marker.read_text() != request.key:
        return False
    return (folder / CLASSES).exists() and all((folder / name).exists() for name in names)


def _names(request: SceneOptions) -> Iterator[Path]:
    for index in range(request.photos):
        yield Path(IMAGES, f"{_photo(index)}.jpg")
        yield Path(TRUTH, f"{_photo(index)}.png")
    for index in range(request.orthomosaics):
        yield Path(IMAGES, f"{_orthomosaic(index)}.tif")
        yield Path(TRUTH, f"{_orthomosaic(index)}.tif")


def _photo(index: int) -> str:
    return f"IMG_{index + 1:04d}"


def _orthomosaic(index: int) -> str:
    return f"ortho_{index + 1}"


def _tasks(folder: Path, request: SceneOptions, shares: Path) -> Iterator[object]:
    for index in reversed(range(request.photos, request.photos + request.orthomosaics)):  # the longest first
        yield delayed(_write_orthomosaic)(folder, request, index, shares)
    for index in range(request.photos):
        yield delayed(_write_photo)(folder, request, index, shares)


def _write_photo(folder: Path, request: SceneOptions, index: int, shares: Path) -> None:
    note = noter(shares, index)
    scene = make_scene(
        *request.photo_shape,
        seed=(request.seed, index),
        gsd_m=_gsd_m(request, index),
        world=request.world,
        advance=note,
    )
    path = folder / IMAGES / f"{_photo(index)}.jpg"
    widest_m = (request.gsd_to_m or request.gsd_m) * request.photo_shape[1]
    exif, xmp = _pose(scene, index, east_m=index * 1.05 * widest_m)
    Image.fromarray(scene.pixels).save(path, quality=scene.quality, exif=exif, xmp=xmp)
    made_here = PngImagePlugin.PngInfo()
    made_here.add_itxt(FINGERPRINT_KEY, _TRUTH_MARK)  # so that no run takes the truth for photos
    Image.fromarray(scene.labels).save(folder / TRUTH / f"{path.stem}.png", compress_level=1, pnginfo=made_here)
    note(1)


def _gsd_m(request: SceneOptions, index: int) -> float:
    """Return the ground sample distance of a photo; each doubling is as likely as any other."""
    if request.gsd_to_m is None:
        return request.gsd_m
    share = np.random.default_rng((request.seed, index, 1)).uniform()
    return float(request.gsd_m * (request.gsd_to_m / request.gsd_m) ** share)


def _pose(scene: Scene, index: int, *, east_m: float) -> tuple[Image.Exif, bytes]:
    """Return EXIF and XMP of a photo taken straight down, north up, from the height that gives its resolution."""
    width_m = scene.gsd_m * scene.labels.shape[1]
    height = width_m * _FOCAL_M / _SENSOR_M
    lat = _ORIGIN[0]
    lon = _ORIGIN[1] + east_m / (_METRES_PER_DEGREE * math.cos(math.radians(lat)))
    exif = Image.Exif()
    exif[ExifTags.Base.Make], exif[ExifTags.Base.Model] = "noseam", "made-up camera"
    exif[ExifTags.Base.DateTime] = _TAKEN.format(index // 60 % 60, index % 60)
    exif.get_ifd(ExifTags.IFD.Exif).update(
        {ExifTags.Base.FocalLength: _FOCAL_M * 1000, ExifTags.Base.FocalLengthIn35mmFilm: 24}
    )
    exif.get_ifd(ExifTags.IFD.GPSInfo).update(
        {
            ExifTags.GPS.GPSLatitudeRef: "N", ExifTags.GPS.GPSLatitude: _degrees(lat),
            ExifTags.GPS.GPSLongitudeRef: "E", ExifTags.GPS.GPSLongitude: _degrees(lon),
            ExifTags.GPS.GPSAltitudeRef: b"\0", ExifTags.GPS.GPSAltitude: _GROUND_M + height,
        }
    )  # fmt: skip
    return exif, _XMP.format(lat=lat, lon=lon, height=height, above_sea=_GROUND_M + height).encode()


def _degrees(angle: float) -> tuple[float, float, float]:
    minutes = angle % 1 * 60
    return float(int(angle)), float(int(minutes)), round(minutes % 1 * 60, 5)


def _write_orthomosaic(folder: Path, request: SceneOptions, index: int, shares: Path) -> None:
    note = noter(shares, index)
    scene = make_scene(
        *request.orthomosaic_shape,
        seed=(request.seed, index),
        gsd_m=request.gsd_m,
        world=request.world,
        mosaic=True,
        advance=note,
    )
    name = f"{_orthomosaic(index - request.photos)}.tif"
    valid = _footprint(scene.labels.shape)
    east = _CORNER[0] + (index - request.photos) * 1.05 * scene.labels.shape[1] * scene.gsd_m
    profile = {
        "driver": "GTiff", "height": len(valid), "width": valid.shape[1], "dtype": "uint8", "crs": _UTM,
        "transform": Affine(scene.gsd_m, 0, east, 0, -scene.gsd_m, _CORNER[1]),
        "tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate",
    }  # fmt: skip
    colour = np.concatenate((scene.pixels * valid[..., np.newaxis], valid[..., np.newaxis] * np.uint8(255)), axis=2)
    with gdal_environment():
        with rasterio.open(folder / IMAGES / name, "w", count=4, zlevel=1, predictor=2, **profile) as dataset:
            dataset.colorinterp = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha]
            dataset.write(colour.transpose(2, 0, 1))
        with rasterio.open(folder / TRUTH / name, "w", count=1, nodata=NO_LABEL, **profile) as dataset:
            dataset.update_tags(**{FINGERPRINT_KEY: _TRUTH_MARK})
            dataset.write(np.where(valid, scene.labels, NO_LABEL).astype(np.uint8), 1)
    note(1)


def _footprint(shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return what a flight of slanted strips covers: the image without its corners, shape (height, width)."""
    height, width = shape[:2]
    local = axes((height / 2, width / 2), math.radians(8))
    along, across = local(np.arange(height)[:, np.newaxis] + 0.5, np.arange(width)[np.newaxis] + 0.5)
    covered: NDArray[np.bool_] = (np.abs(along) < 0.48 * width) & (np.abs(across) < 0.46 * height)
    return covered
