"""Windows as a GeoPackage for QGIS: a layer of windows, and a layer of polygons of their labels; and back from it.

The polygons run along the edges of pixels, so labels that nobody changes come back pixel by pixel.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio import Affine
from rasterio.crs import CRS
from rasterio.features import rasterize

from segment.errors import RequestError
from segment.review.drafts import Draft
from segment.review.known import Known
from segment.review.survey import Reviewed
from tiler.classes import NO_LABEL, ClassTable
from tiler.crops.write import geotiff, shift
from tiler.errors import LabelError
from tiler.extra import require_extra
from tiler.files.atomic import hidden_folder, write_whole
from tiler.polygons.request import PolygonOptions

FILE = "windows.gpkg"
_WINDOWS, _LABELS = "windows", "labels"
_AS_THEY_ARE = PolygonOptions(min_area_m2=0, simplify_px=0, smooth=False)
_STYLE = (
    "INSERT INTO layer_styles SELECT 2, '', '', table_name, column_name, 'noseam', ?, '', 1, 'windows by noseam', '', "
    "NULL, update_time FROM gpkg_geometry_columns, layer_styles WHERE table_name = 'windows' AND id = 1"
)
_COUNT = "UPDATE gpkg_ogr_contents SET feature_count = 2 WHERE table_name = 'layer_styles'"
_ONE_CLASS = ("PRAGMA legacy_alter_table = ON", f"ALTER TABLE {_LABELS} DROP COLUMN class_id")
"""Leaves the class of a polygon in `class_name` alone, so that nobody corrects an id that does not count."""
_OUTLINE = """<!DOCTYPE qgis>
<qgis version="3.22.0" styleCategories="Symbology">
<renderer-v2 type="singleSymbol" symbollevels="0">
<symbols><symbol type="fill" name="0" alpha="1" clip_to_extent="1">
<layer class="SimpleLine" enabled="1" locked="0"><prop k="line_color" v="255,0,255,255"/><prop k="line_width" v="0.6"/>
</layer></symbol></symbols>
</renderer-v2>
</qgis>
"""


def write_geopackage(folder: Path, drafts: Iterable[Draft], classes: ClassTable) -> Path:
    """Write drafts as a GeoPackage, with the windows as GeoTIFFs beside it to look at, and return it.

    Raises
    ------
    MissingExtraError
        If a package that writes polygons is not installed.
    RequestError
        If the masks lie in several coordinate reference systems.
    """
    require_extra("vector")
    from tiler.polygons.mask import LabelMask, read_mask
    from tiler.polygons.stream import write_survey

    windows: list[tuple[Known, LabelMask]] = []
    (folder / "images").mkdir(parents=True)
    with hidden_folder(folder / "masks") as scratch:
        for draft in drafts:
            place = shift(draft.mask_place, draft.known.window)
            tags = {"SOURCE": draft.known.name, "CLASS_NAMES": json.dumps(classes.names)}
            path = scratch / f"{draft.known.name}_label.tif"
            path.write_bytes(geotiff(draft.labels[np.newaxis], place, nodata=NO_LABEL, classes=classes, tags=tags))
            write_whole(folder / f"images/{draft.known.name}.tif", geotiff(draft.pixels, place, lossy=True))
            windows.append((draft.known, read_mask(path)))
        if several := sorted({str(mask.crs) for _, mask in windows} - {str(windows[0][1].crs)} if windows else ()):
            raise RequestError(
                f"the masks lie in {windows[0][1].crs} and {several[0]}, and one GeoPackage is in one of them; segment "
                "them into two output folders, or take --format label-studio, crops or cvat"
            )
        if windows:
            write_survey([mask for _, mask in windows], folder / FILE, _AS_THEY_ARE, layer=_LABELS)
            _add_windows(folder / FILE, windows)
    return folder / FILE


def refuse_placeless(image: Reviewed) -> None:
    """Raise unless a mask says where it lies.

    Raises
    ------
    RequestError
        If it does not. The message says what helps.
    """
    if _placed(image)[0] is None:
        raise RequestError(
            f"{image.label}: no georeference, which a GeoPackage needs; take --format label-studio, crops or cvat, or "
            "place drone photos with noseam segment --georef photo"
        )


class GeoPackageMasks:
    """Corrected polygons in a GeoPackage.

    A class is told by its name. Where polygons overlap, the later one counts.
    A polygon without a source, such as a new one, counts for each window that it lies in.

    Parameters
    ----------
    path : Path
        The file.
    classes : ClassTable
        The classes of the masks.
    images : mapping of str to Reviewed
        The images by name.

    Raises
    ------
    MissingExtraError
        If the packages that read it are not installed.
    RequestError
        If it lacks one of the two layers, or fields of them.
    """

    def __init__(self, path: Path, classes: ClassTable, images: Mapping[str, Reviewed]) -> None:
        require_extra("vector")
        from tiler.polygons.gdal_file import fields_of, layers_of

        self._path, self._images = path, images
        self._ids = {name: index for index, name in enumerate(classes.names)}
        try:
            layers = layers_of(path)
            lacking = [name for name in (_WINDOWS, _LABELS) if name not in layers]
            expected = {_WINDOWS: {"name"}, _LABELS: {"class_name", "source"}}
            lacking += [
                f"{layer}.{field}"
                for layer, fields in expected.items()
                if layer in layers
                for field in sorted(fields - set(fields_of(path, layer)))
            ]
        except Exception as error:  # what GDAL raises has many classes
            raise RequestError(f"{path}: no GeoPackage that can be read: {error}") from error
        if lacking:
            raise RequestError(f"{path}: {lacking[0]} is missing; expected the layers windows and labels as exported")
        _, _, (found,) = self._read(_WINDOWS, ["name"])
        self.names: Sequence[str] = [str(name) for name in found if name is not None]

    def read(self, known: Known) -> NDArray[np.uint8]:
        """Return the labels of a window, of the shape of its files."""
        image = self._images.get(known.image)
        if image is None:
            raise LabelError(f"{self._path}: {known.name}: {known.image} has no mask any more")
        crs, transform = _placed(image)
        transform = transform @ Affine.translation(known.col_off, known.row_off)
        outline = _outline(transform, known)
        found_crs, shapes, (names, sources) = self._read(_LABELS, ["class_name", "source"], bbox=tuple(outline.bounds))
        if found_crs is not None and crs is not None and CRS.from_user_input(found_crs) != crs:
            raise LabelError(f"{self._path}: layer {_LABELS} in {found_crs}, expected {crs} as exported")
        polygons = [
            (shape, self._class(name, known))
            for shape, name, source in zip(shapes, names, sources, strict=True)
            if shape is not None and not shape.is_empty and source in {None, "", known.name}
        ]
        labels = np.full((known.window_px, known.window_px), NO_LABEL, np.uint8)
        if polygons:
            labels[: known.height, : known.width] = rasterize(
                polygons, (known.height, known.width), fill=NO_LABEL, transform=transform, dtype="uint8"
            )
        return labels

    def _class(self, name: Any, known: Known) -> int:
        if name in self._ids:
            return self._ids[name]
        found = f"the class {name!r}" if name else "no class_name"
        raise LabelError(f"{self._path}: a polygon in {known.name} has {found}; expected one of {', '.join(self._ids)}")

    def _read(self, layer: str, columns: list[str], **known: Any) -> tuple[Any, Any, list[Any]]:
        """Return CRS, shapes and columns of a layer."""
        import pyogrio.raw

        about, _, shapes, fields = pyogrio.raw.read(self._path, layer=layer, columns=columns, force_2d=True, **known)
        by_name = dict(zip(about["fields"], fields, strict=True))
        return about["crs"], shapely.from_wkb(shapes), [by_name[column] for column in columns]


def _placed(image: Reviewed) -> tuple[CRS | None, Affine]:
    """Return where a mask lies, by the same rule as its polygons."""
    from tiler.polygons.mask import read_mask

    mask = read_mask(image.label)
    return mask.crs, mask.transform


def _outline(transform: Affine, known: Known) -> Any:
    corners = [(0, 0), (known.width, 0), (known.width, known.height), (0, known.height)]
    return shapely.Polygon([transform @ corner for corner in corners])


def _add_windows(path: Path, windows: Sequence[tuple[Known, Any]]) -> None:
    """Add the layer of windows, drawn as outlines."""
    import pyogrio.raw

    shapes = [_outline(mask.transform, known) for known, mask in windows]
    columns = {
        "name": np.array([known.name for known, _ in windows], object),
        "image": np.array([known.image for known, _ in windows], object),
        "doubt": np.array([round(known.score, 4) for known, _ in windows]),
        "mostly": np.array([known.why for known, _ in windows], object),
    }
    crs = windows[0][1].crs
    pyogrio.raw.write(
        path, shapely.to_wkb(shapes), list(columns.values()), list(columns), layer=_WINDOWS, driver="GPKG",
        geometry_type="Polygon", crs=crs and crs.to_wkt(), append=True,
    )  # fmt: skip
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(_STYLE, (_OUTLINE,))
        database.execute(_COUNT)
        for statement in _ONE_CLASS:
            database.execute(statement)
