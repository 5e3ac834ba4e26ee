"""Label masks to a file of polygons; imports what that needs only when asked to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from tiler.extra import require_extra
from tiler.files.outputs import Output
from tiler.polygons.request import PolygonOptions, PolygonReport
from tiler.source.georef import Georeference

_DEFAULT = PolygonOptions()


def write_polygons(
    mask: Path,
    out: Path,
    request: PolygonOptions = _DEFAULT,
    *,
    georeference: Georeference | None = None,
    layer: str | None = None,
) -> PolygonReport:
    """Write the polygons of one label mask; see `write_survey_polygons`.

    Parameters
    ----------
    mask, out, request
        See `write_survey_polygons`.
    georeference : Georeference, optional
        Where the mask lies; by default it says so itself.
    layer : str, optional
        Name of the layer; that of the file by default.
    """
    require_extra("vector")
    from tiler.polygons.mask import read_mask
    from tiler.polygons.stream import write_survey

    return write_survey([read_mask(mask, georeference)], out, request, layer=layer)


def refuse_foreign_polygons(outputs: Sequence[Output]) -> None:
    """Raise if a file that noseam did not write stands where polygons of some outputs go.

    Raises
    ------
    OutputExistsError
        If there is such a file; names it.
    """
    for path in (side.path for output in outputs for side in output.sidecars if side.kind == "polygons"):
        from tiler.polygons.vector_file import refuse_foreign

        refuse_foreign(path)


def write_survey_polygons(
    masks: Sequence[Path],
    out: Path,
    request: PolygonOptions = _DEFAULT,
    *,
    advance: Callable[[int, int], None] = lambda done, total: None,
) -> PolygonReport:
    """Write the polygons of label masks to one file, whole or not at all.

    Each polygon is a patch of pixels of one class that share edges, with the fields `class_id`, `class_name`,
    `area_m2` (on the ground; empty where the mask does not say), `source` (the image) and `model`. Coordinates are
    those of the masks' CRS, or longitude and latitude in GeoJSON; of a mask without georeference (col, -row),
    as QGIS draws it. A file that this function wrote before is replaced.

    Parameters
    ----------
    masks : sequence of Path
        PNG or TIFF files of class ids, 255 = no data, such as noseam writes; all in one CRS.
    out : Path
        The file; its ending chooses the format, see `tiler.polygons.request.SUFFIXES`.
    request : PolygonOptions
        Which polygons, and how fine.
    advance : callable
        Told how many masks are done, and how many there are.

    Raises
    ------
    MissingExtraError
        If a package that writes polygons is not installed.
    PolygonError
        If a mask is no label mask or does not fit the request, or two masks do not fit together.
    RasterReadError, LabelError
        If a mask cannot be read.
    OutputExistsError
        If a file stands in the way that this function did not write.
    RasterWriteError
        If the file cannot be written whole.
    """
    require_extra("vector")
    from tiler.polygons.mask import read_mask
    from tiler.polygons.stream import write_survey

    return write_survey([read_mask(mask) for mask in masks], out, request, advance=advance)
