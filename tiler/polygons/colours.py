"""The colours of the classes of a label mask, for maps of its polygons."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath

from tiler.classes import MAX_CLASSES, Colour, distinct_colours, read_class_table
from tiler.errors import TilerError
from tiler.files.names import PNG, mask_name, read_name
from tiler.masks.labels import open_labels
from tiler.source.raster import read_info

_TABLE = "classes.csv"
_MADE_UP = distinct_colours(MAX_CLASSES)


def class_colours(mask: Path, names: Sequence[str], source: str, palette: Mapping[int, Colour]) -> Mapping[int, Colour]:
    """Return the colours of the classes of a label mask by id, as far as anything says them.

    A label GeoTIFF says them itself, and a label PNG cannot. So for one that noseam wrote they come from the mask of
    colours beside it, or else from the class table in the output folder.

    Parameters
    ----------
    mask : Path
        The label mask.
    names : sequence of str
        Its class names, by id.
    source : str
        Place of its image below the survey, such as `day1/IMG_7.JPG`; the mask lies as deep in the output folder.
    palette : mapping of int to (int, int, int)
        The mask's own palette.
    """
    if palette or not names:
        return palette
    with suppress(TilerError):  # they are for looks alone
        beside = mask.with_name(mask_name(read_name(mask.stem).image, "color", PNG))
        if read_info(beside).made_by_noseam:
            with open_labels(beside, None) as colours:
                return colours.palette
    with suppress(TilerError, IndexError):
        table = read_class_table(mask.absolute().parents[len(PurePosixPath(source).parts) - 1] / _TABLE)
        known = dict(zip(table.names, table.colours, strict=True))
        return {class_id: known[name] for class_id, name in enumerate(names) if name in known}
    return {}


def legend(masks: Iterable[tuple[Sequence[str], Mapping[int, Colour]]]) -> dict[str, Colour]:
    """Return the colour of each class by name, for masks given as (names, colours by id).

    Where two masks give a class different colours, the first counts. A class without a colour gets one that is made up.
    Masks without names have the classes `class 0` to `class 254`.
    """
    found: dict[str, Colour] = {}
    for names, colours in masks:
        for class_id, name in enumerate(names or map(class_name, range(MAX_CLASSES))):
            found.setdefault(name, colours.get(class_id, _MADE_UP[class_id]))
    return found


def class_name(class_id: int) -> str:
    """Return what a class is called of which only the id is known."""
    return f"class {class_id}"
