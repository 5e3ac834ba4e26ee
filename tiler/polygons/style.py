"""The style of a layer of polygons, kept in its GeoPackage as QGIS keeps it there.

QGIS applies the style that `layer_styles` calls the default of a layer when it opens the layer. The table is the one
that QGIS itself makes.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from xml.sax.saxutils import escape

from tiler.classes import Colour
from tiler.polygons.gdal_file import DATE

STYLES = "layer_styles"
"""Name of the table, which GDAL lists as a layer without geometry."""
_TABLE = """
CREATE TABLE layer_styles (
    "id" INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, "f_table_catalog" TEXT(256), "f_table_schema" TEXT(256),
    "f_table_name" TEXT(256), "f_geometry_column" TEXT(256), "styleName" TEXT(30), "styleQML" TEXT, "styleSLD" TEXT,
    "useAsDefault" BOOLEAN, "description" TEXT, "owner" TEXT(30), "ui" TEXT(30),
    "update_time" DATETIME DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now'))
)"""
_ROW = (
    "INSERT INTO layer_styles SELECT 1, '', '', table_name, column_name, 'noseam', ?, '', 1, 'classes by noseam', '', "
    "NULL, ? FROM gpkg_geometry_columns WHERE table_name = ?"
)
_CONTENT = (
    "INSERT INTO gpkg_contents (table_name, data_type, identifier, description, last_change, srs_id) "
    "VALUES ('layer_styles', 'attributes', 'layer_styles', '', ?, 0)"
)
_UNWRITABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_OUTLINE = {
    "outline_color": "35,35,35,255",
    "outline_style": "solid",
    "outline_width": "0.1",
    "outline_width_unit": "MM",
}


def add_style(path: Path, layer: str, colours: Mapping[str, Colour]) -> None:
    """Put the style of a layer into its GeoPackage: each class in its colour, by name.

    Parameters
    ----------
    path : Path
        The GeoPackage.
    layer : str
        Its layer of polygons.
    colours : mapping of str to (int, int, int)
        Colours by class name, of the classes that the legend shows.
    """
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(_TABLE)
        database.execute(_ROW, (qml(colours), DATE, layer))
        database.execute(_CONTENT, (DATE,))
        database.execute("INSERT INTO gpkg_ogr_contents (table_name, feature_count) VALUES ('layer_styles', 1)")


def is_styled_by_others(path: Path) -> bool:
    """Say whether a GeoPackage that noseam wrote holds a style that was saved or changed since."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
        found = database.execute("SELECT update_time FROM layer_styles").fetchall()
    return found != [(DATE,)]


def as_xml(text: str) -> str:
    """Return text as XML holds it; what XML cannot hold at all becomes a question mark."""
    return escape(_UNWRITABLE.sub("?", text), {'"': "&quot;"})


def qml(colours: Mapping[str, Colour]) -> str:
    """Return the style in the language of QGIS; its older and its newer versions read the form with `prop`."""
    categories = "\n".join(
        f'<category value="{as_xml(name)}" label="{as_xml(name)}" symbol="{index}" type="string" render="true"/>'
        for index, name in enumerate(colours)
    )
    symbols = "\n".join(_symbol(index, colour) for index, colour in enumerate(colours.values()))
    return (
        '<!DOCTYPE qgis>\n<qgis version="3.22.0" styleCategories="Symbology">\n'
        '<renderer-v2 type="categorizedSymbol" attr="class_name" symbollevels="0">\n'
        f"<categories>\n{categories}\n</categories>\n<symbols>\n{symbols}\n</symbols>\n</renderer-v2>\n</qgis>\n"
    )


def _symbol(index: int, colour: Colour) -> str:
    values = {"color": ",".join(map(str, (*colour, 255))), "style": "solid", **_OUTLINE}
    properties = "".join(f'<prop k="{key}" v="{value}"/>' for key, value in values.items())
    return (
        f'<symbol type="fill" name="{index}" alpha="1" clip_to_extent="1">'
        f'<layer class="SimpleFill" enabled="1" locked="0">{properties}</layer></symbol>'
    )
