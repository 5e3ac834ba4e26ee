"""From label masks to one file of polygons, as a stream."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio import Affine

from tiler.errors import PolygonError
from tiler.files.vector import format_of
from tiler.masks.labels import open_labels
from tiler.polygons.mask import LabelMask
from tiler.polygons.outlines import ground_areas
from tiler.polygons.request import PolygonOptions, PolygonReport
from tiler.polygons.sieve import Read, sieved, strips
from tiler.polygons.trace import trace
from tiler.polygons.vector_file import Features, refuse_foreign, write_features


def write_survey(
    masks: Sequence[LabelMask],
    out: Path,
    request: PolygonOptions,
    *,
    advance: Callable[[int, int], None] = lambda done, total: None,
    layer: str | None = None,
) -> PolygonReport:
    """Write the polygons of label masks to one file; see `tiler.polygons.make.write_survey_polygons`."""
    refuse_foreign(out)
    _refuse_misfits(masks, request)
    if format_of(out) == "geojsonseq" and masks[0].crs is None:
        raise PolygonError(
            f"{out}: GeoJSON holds longitude and latitude, and {masks[0].path} has no CRS; "
            "write .gpkg, .fgb or .parquet"
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    areas: defaultdict[str, float] = defaultdict(float)

    def features() -> Generator[Features, None, None]:
        nonlocal count
        for done, mask in enumerate(masks, 1):
            with closing(_features(mask, request, out.parent)) as found:
                for part in found:
                    yield part
                    count += len(part.polygons)
                    if part.areas_m2 is not None:
                        for name, area in zip(part.class_names, part.areas_m2.tolist(), strict=True):
                            areas[name] += area
            advance(done, len(masks))

    with closing(features()) as stream:
        write_features(out, stream, masks[0].crs, layer or out.stem)
    measured = all(mask.cumulative_m2 is not None for mask in masks)
    return PolygonReport(count, dict(sorted(areas.items())) if measured else None, _notes(masks))


def _refuse_misfits(masks: Sequence[LabelMask], request: PolygonOptions) -> None:
    """Raise, before any work, if masks do not fit together or one of them does not fit the request."""
    if not masks:
        raise PolygonError("polygons of no mask at all; expected at least one")
    for mask in masks:
        if mask.crs != masks[0].crs:
            raise PolygonError(
                f"{masks[0].path} is in {_crs_name(masks[0])}, {mask.path} in {_crs_name(mask)}; "
                "one file of polygons has one CRS: write them to different files"
            )
        mask.chosen(request)
        mask.pixels_of(request.min_area_m2)


def _crs_name(mask: LabelMask) -> str:
    return "no CRS" if mask.crs is None else str(mask.crs.to_string())


def _notes(masks: Sequence[LabelMask]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(note for mask in masks for note in mask.notes))


def _features(mask: LabelMask, request: PolygonOptions, folder: Path) -> Generator[Features, None, None]:
    """Yield the polygons of one mask."""
    with ExitStack() as stack:
        read: Read = stack.enter_context(open_labels(mask.path, None)).read
        if (size_px := mask.pixels_of(request.min_area_m2)) > 1:
            read = stack.enter_context(sieved(read, mask.shape, size_px, folder))
        for patches in trace(
            strips(read, mask.shape, request.tile_px),
            tile_px=request.tile_px, keep=mask.chosen(request), simplify_px=request.simplify_px,
        ):  # fmt: skip
            yield Features(
                polygons=_placed(patches.polygons, mask.transform),
                class_ids=patches.class_ids,
                class_names=[mask.name(class_id) for class_id in patches.class_ids.tolist()],
                areas_m2=None if mask.cumulative_m2 is None else ground_areas(patches.polygons, mask.cumulative_m2),
                source=mask.source,
                model=mask.model,
            )


def _placed(polygons: NDArray[np.object_], transform: Affine) -> NDArray[np.object_]:
    """Return polygons in map coordinates, the outer outline counter-clockwise as GeoJSON and GeoParquet have it."""
    a, b, c, d, e, f = transform[:6]

    def place(points: NDArray[np.float64]) -> NDArray[np.float64]:
        cols, rows = points.T
        return np.stack((a * cols + b * rows + c, d * cols + e * rows + f), axis=1)

    oriented: NDArray[np.object_] = shapely.orient_polygons(shapely.transform(polygons, place))
    return oriented
