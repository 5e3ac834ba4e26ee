"""Label masks as polygons need them: what is refused, which classes, where they lie on the ground."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio import Affine
from rasterio.crs import CRS
from rasterio.transform import from_gcps

from tiler.classes import ClassTable, Colour
from tiler.errors import PolygonError, PolygonRequestError
from tiler.files.names import PNG, TIFF, mask_name
from tiler.masks.labels import MASK_LIMITS, open_labels
from tiler.polygons.colours import class_colours, class_name
from tiler.polygons.request import LEAST_PIXELS, PolygonOptions
from tiler.source.footprint import Footprint
from tiler.source.georef import Georeference
from tiler.source.raster import RasterInfo, read_info

_UPRIGHT = Affine.scale(1, -1)
_ROUNDING = 1e-6
_EXAMPLES = " or ".join(mask_name("NAME", "label", suffix) for suffix in (PNG, TIFF))
_EXPECTED = f"; expected a label mask, one channel of 8-bit class ids, such as {_EXAMPLES}"


@dataclass(frozen=True, slots=True)
class LabelMask:
    """What a label mask says about itself."""

    path: Path
    """The file."""
    shape: tuple[int, int]
    """(height, width), pixels."""
    crs: CRS | None
    """CRS of the coordinates that `transform` gives; None: not known."""
    transform: Affine
    """Pixel (col, row) to (x, y)."""
    cumulative_m2: NDArray[np.float64] | None
    """See `Georeference.cumulative_area_m2`."""
    names: tuple[str, ...]
    """Class names by id; none where the mask does not say."""
    colours: Mapping[int, Colour]
    """Colours by id, as far as they are known."""
    footprint: Footprint
    """The ground that it lies on."""
    source: str
    """The image that was segmented, or else the mask's own name."""
    model: str | None
    """The model that segmented it."""
    notes: tuple[str, ...]
    """What is special about its coordinates."""

    def name(self, class_id: int) -> str:
        """Return the name of a class; a made-up one where the mask has none."""
        return self.names[class_id] if class_id < len(self.names) else class_name(class_id)

    def chosen(self, request: PolygonOptions) -> frozenset[int] | None:
        """Return the ids of the classes that are wanted, see `PolygonOptions.chosen`.

        Raises
        ------
        PolygonRequestError
            If a wanted class is unknown. The message names the mask and the classes that are known.
        """
        try:
            return request.chosen(self.names)
        except PolygonRequestError as error:
            raise PolygonRequestError(f"{self.path}: {error}") from error

    @property
    def pixel_m2(self) -> float | None:
        """Ground area of the pixel at the centre, square metres; None where the mask does not say."""
        if self.cumulative_m2 is None:
            return None
        centre = self.shape[0] // 2
        return float(self.cumulative_m2[centre + 1] - self.cumulative_m2[centre])

    def pixels_of(self, area_m2: float | None) -> int:
        """Return the least number of pixels that cover an area, at least 1; `LEAST_PIXELS` for no area.

        Pixels are taken as large on the ground as the one at the centre of the mask.

        Raises
        ------
        PolygonError
            If the mask does not say how large its pixels are on the ground.
        """
        if area_m2 is None:
            return LEAST_PIXELS
        if not area_m2:
            return 1
        if self.pixel_m2 is None:
            raise PolygonError(
                f"{self.path}: a least area of {area_m2:g} square metres needs a mask with CRS and transform; "
                "this one does not say how large its pixels are on the ground"
            )
        return max(math.ceil(area_m2 / self.pixel_m2 - _ROUNDING), 1)


def read_mask(path: Path, georeference: Georeference | None = None, classes: ClassTable | None = None) -> LabelMask:
    """Return what a label mask says about itself; no pixel is decoded.

    Parameters
    ----------
    path : Path
        PNG or TIFF.
    georeference : Georeference, optional
        Where the mask lies; by default the mask says so itself.
    classes : ClassTable, optional
        The colours of its classes; by default `class_colours` looks for them.

    Raises
    ------
    PolygonError
        If the file is no label mask but a photo, or a mask of colours, confidence or disagreement; or if its ground
        control points fit no affine transform.
    RasterReadError
        If the file is not an accepted image, is damaged, or claims too much.
    LabelError
        If its samples cannot be class ids, or its class names are no list.
    """
    _refuse_others(read_info(path, MASK_LIMITS))
    with open_labels(path, None) as labels:
        tags, names, info, palette = labels.tags, labels.class_names, labels.info, labels.palette
    for kind in ("confidence", "disagreement"):
        if kind.upper() in tags:
            raise PolygonError(f"{path}: a mask of {kind}{_EXPECTED}")
    place = georeference or info.georeference
    crs, transform, notes = _placement(path, place)
    source = tags.get("SOURCE", path.name)
    own = dict(enumerate(classes.colours)) if classes else class_colours(path, names, source, palette)
    return LabelMask(
        path=path,
        shape=info.shape,
        crs=crs,
        transform=transform,
        cumulative_m2=place.cumulative_area_m2(*info.shape),
        names=names,
        colours=own,
        footprint=Footprint(place, info.shape),
        source=source,
        model=tags.get("MODEL"),
        notes=notes,
    )


def _refuse_others(info: RasterInfo) -> None:
    if info.driver == "JPEG":
        found = "a JPEG, whose pixels are not exact"
    elif len(info.interpretations) != 1:
        found = f"an image of {len(info.interpretations)} channels ({', '.join(info.interpretations)})"
    elif info.dtype != "uint8":
        found = f"an image of {info.dtype} samples"
    elif info.driver == "PNG" and info.interpretations == ("palette",):
        found = "a PNG of colours"
    else:
        return
    raise PolygonError(f"{info.path}: {found}{_EXPECTED}")


def _placement(path: Path, georeference: Georeference) -> tuple[CRS | None, Affine, tuple[str, ...]]:
    """Return CRS, transform, and what to note about them."""
    if georeference.gcps:
        try:
            fitted = from_gcps(list(georeference.gcps))
        except Exception as error:  # GDAL's own, private to rasterio
            raise PolygonError(f"{path}: its ground control points fit no affine transform: {error}") from error
        return (
            georeference.crs,
            fitted,
            ("placed by an affine fit to ground control points: the place is approximate, and areas are left out",),
        )
    if georeference.transform == Affine.identity():
        return None, _UPRIGHT, ("without georeference: coordinates are pixels, x = column and y = -row",)
    notes = () if georeference.crs else ("without CRS: coordinates are those of its transform, and areas are left out",)
    return georeference.crs, georeference.transform, notes
