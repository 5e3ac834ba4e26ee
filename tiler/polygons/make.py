"""From label masks to a file of polygons; the packages that this needs are imported only when it is called."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from tiler.classes import ClassTable
from tiler.errors import MissingExtraError, OutputExistsError
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
    classes: ClassTable | None = None,
    layer: str | None = None,
) -> PolygonReport:
    """Write the polygons of one label mask; see `write_survey_polygons`.

    Parameters
    ----------
    mask, out, request
        See `write_survey_polygons`.
    georeference : Georeference, optional
        Where the mask lies; by default the mask says so itself.
    classes : ClassTable, optional
        The colours of its classes; by default the mask, or the mask of colours beside it, says so.
    layer : str, optional
        Name of the layer; by default the stem of the file's name.
    """
    require_extra("vector")
    from tiler.polygons.mask import read_mask
    from tiler.polygons.stream import write_survey

    return write_survey([read_mask(mask, georeference, classes)], out, request, layer=layer)


def refuse_foreign_polygons(outputs: Sequence[Output]) -> None:
    """Raise if a file that noseam did not write stands where polygons of some outputs go.

    Raises
    ------
    OutputExistsError
        If there is such a file. The message names it.
    """
    for path in (side.path for output in outputs for side in output.sidecars if side.kind == "polygons"):
        from tiler.polygons.vector_file import refuse_foreign

        refuse_foreign(path)


def is_foreign(path: Path) -> bool:
    """Return whether noseam did not write a vector file; True where the packages that could tell are missing."""
    try:
        require_extra("vector")
        from tiler.polygons.vector_file import refuse_foreign

        refuse_foreign(path)
    except (MissingExtraError, OutputExistsError):
        return True
    return False


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
    those of the masks' CRS, or longitude and latitude in GeoJSON and KML. DXF has no fields and no CRS: each class is
    a layer, and each outline a closed line. A mask without georeference gets (col, -row), as QGIS draws it. A file that
    this function wrote before is replaced.

    Parameters
    ----------
    masks : sequence of Path
        PNG or TIFF files of class ids, 255 = no data, such as noseam writes; all in one CRS.
    out : Path
        The file; its suffix chooses the format, see `tiler.files.vector.SUFFIXES`.
    request : PolygonOptions
        Which polygons, and how fine.
    advance : callable
        Called after each mask with the number of masks that are done, and that of all.

    Raises
    ------
    MissingExtraError
        If a package that writes polygons is not installed.
    PolygonError
        If a mask is no label mask or does not fit the request, or two masks do not fit together; or if the suffix of
        `out` is not known, or its format cannot hold the masks' coordinates.
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
