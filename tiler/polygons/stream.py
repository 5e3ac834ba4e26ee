"""From label masks to one file of polygons, as a stream."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio import Affine

from tiler.classes import MAX_CLASSES
from tiler.errors import PolygonError
from tiler.files.vector import OF_LONGITUDES, format_of
from tiler.grid.window import Window
from tiler.masks.labels import open_labels
from tiler.masks.tally import Tally
from tiler.polygons.colours import legend
from tiler.polygons.features import Features
from tiler.polygons.mask import LabelMask
from tiler.polygons.outlines import ground_areas
from tiler.polygons.request import LEAST_PIXELS, ClassArea, PolygonOptions, PolygonReport
from tiler.polygons.sieve import Read, sieved, strips
from tiler.polygons.trace import trace
from tiler.polygons.vector_file import refuse_foreign, write_features
from tiler.source.footprint import overlap_in_words


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
    if format_of(out) in OF_LONGITUDES and masks[0].crs is None:
        raise PolygonError(
            f"{out}: {format_of(out)} holds longitude and latitude, and {masks[0].path} has no CRS; "
            "write .gpkg, .fgb, .parquet, .shp or .dxf"
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    sums = _Sums(measured=all(mask.cumulative_m2 is not None for mask in masks))

    def features() -> Generator[Features, None, None]:
        for done, mask in enumerate(masks, 1):
            with closing(_features(mask, request, out.parent, sums)) as found:
                yield from found
            advance(done, len(masks))

    with closing(features()) as stream:
        colours = legend((mask.names, mask.colours) for mask in masks)
        write_features(out, stream, masks[0].crs, layer or out.stem, colours)
    return sums.report(_least(masks, request), _notes(masks, out))


class _Sums:
    """What polygons add up to, by class."""

    def __init__(self, *, measured: bool) -> None:
        self._measured = measured
        self._count = 0
        self._before: defaultdict[str, float] = defaultdict(float)
        self._after: defaultdict[str, float] = defaultdict(float)

    def scale(self, mask: LabelMask) -> NDArray[np.float64]:
        """Return the area of the first rows of a strip of a mask, in square metres, or in pixels if one has none."""
        if self._measured and mask.cumulative_m2 is not None:
            return mask.cumulative_m2
        return np.arange(mask.shape[0] + 1.0)

    @contextmanager
    def counting(self, read: Read, mask: LabelMask, keep: Collection[int] | None) -> Iterator[Read]:
        """Yield what reads a mask and counts what it reads, each pixel once; take in the counts afterwards."""
        tally = Tally(MAX_CLASSES, self.scale(mask))

        def counted(window: Window) -> NDArray[np.uint8]:
            labels = read(window)
            tally.add(labels)
            return labels

        yield counted
        for class_id, area in enumerate(tally.coverage().area_m2 or ()):
            if area and (keep is None or class_id in keep):
                self._before[mask.name(class_id)] += area

    def add(self, names: Sequence[str], areas: NDArray[np.float64]) -> None:
        """Take in polygons."""
        self._count += len(names)
        for name, area in zip(names, areas.tolist(), strict=True):
            self._after[name] += area

    def report(self, least: str, notes: tuple[str, ...]) -> PolygonReport:
        """Return what was written."""
        names = sorted(self._before.keys() | self._after.keys())
        return PolygonReport(
            polygons=self._count,
            area_m2=dict(sorted(self._after.items())) if self._measured else None,
            notes=notes,
            least=least,
            areas=tuple(ClassArea(name, self._before[name], self._after[name]) for name in names),
            unit="m2" if self._measured else "pixels",
        )


def _least(masks: Sequence[LabelMask], request: PolygonOptions) -> str:
    """Return the least area of a patch in words; empty where each stays."""
    if request.min_area_m2 is not None:
        return f"{request.min_area_m2:g} m2" if request.min_area_m2 else ""
    sizes = {None if mask.pixel_m2 is None else f"{LEAST_PIXELS * mask.pixel_m2:.2g}" for mask in masks}
    ground = f" ({sizes.pop()} m2)" if len(sizes) == 1 and None not in sizes else ""
    return f"{LEAST_PIXELS} pixels{ground}"


def _refuse_misfits(masks: Sequence[LabelMask], request: PolygonOptions) -> None:
    """Raise, before any work, if masks do not fit together or one of them does not fit the request."""
    if not masks:
        raise PolygonError("polygons of no mask at all; expected at least one")
    for mask in masks:
        if mask.crs != masks[0].crs:
            raise PolygonError(
                f"{masks[0].path} is in {_crs_name(masks[0])}, {mask.path} in {_crs_name(mask)}; "
                "one file of polygons has one CRS: name a folder as --out, which gets a file for each mask"
            )
        mask.chosen(request)
        mask.pixels_of(request.min_area_m2)


def _crs_name(mask: LabelMask) -> str:
    return "no CRS" if mask.crs is None else str(mask.crs.to_string())


def _notes(masks: Sequence[LabelMask], out: Path) -> tuple[str, ...]:
    notes = [note for mask in masks for note in mask.notes]
    if format_of(out) == "dxf" and masks[0].crs is not None:
        notes.append(f"DXF says no CRS: its coordinates are those of {_crs_name(masks[0])}")
    sources = [mask.path.name for mask in masks]
    if overlap := overlap_in_words([mask.footprint for mask in masks], sources, "masks"):
        notes.append(f"{overlap}: sums of areas count that ground more than once")
    return tuple(dict.fromkeys(notes))


def _features(mask: LabelMask, request: PolygonOptions, folder: Path, sums: _Sums) -> Generator[Features, None, None]:
    """Yield the polygons of one mask."""
    keep, size_px, scale = mask.chosen(request), mask.pixels_of(request.min_area_m2), sums.scale(mask)
    with ExitStack() as stack:
        labels = stack.enter_context(open_labels(mask.path, None))
        read = stack.enter_context(sums.counting(labels.read, mask, keep))
        if size_px > 1:
            read = stack.enter_context(sieved(read, mask.shape, size_px, folder))
        for patches in trace(
            strips(read, mask.shape, request.tile_px),
            tile_px=request.tile_px, keep=keep, simplify_px=request.simplify_px, smooth=request.smooth,
        ):  # fmt: skip
            areas = ground_areas(patches.polygons, scale)
            names = [mask.name(class_id) for class_id in patches.class_ids.tolist()]
            sums.add(names, areas)
            yield Features(
                polygons=_placed(patches.polygons, mask.transform),
                class_ids=patches.class_ids,
                class_names=names,
                areas_m2=_areas_m2(mask, patches.polygons, scale, areas),
                source=mask.source,
                model=mask.model,
            )


def _areas_m2(
    mask: LabelMask, polygons: NDArray[np.object_], scale: NDArray[np.float64], areas: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    """Return ground areas; `areas` are those in the unit of `scale`, which may be pixels."""
    if mask.cumulative_m2 is None:
        return None
    return areas if scale is mask.cumulative_m2 else ground_areas(polygons, mask.cumulative_m2)


def _placed(polygons: NDArray[np.object_], transform: Affine) -> NDArray[np.object_]:
    """Return polygons in map coordinates, the outer outline counter-clockwise as GeoJSON and GeoParquet have it."""
    a, b, c, d, e, f = transform[:6]

    def place(points: NDArray[np.float64]) -> NDArray[np.float64]:
        cols, rows = points.T
        return np.stack((a * cols + b * rows + c, d * cols + e * rows + f), axis=1)

    oriented: NDArray[np.object_] = shapely.orient_polygons(shapely.transform(polygons, place))
    return oriented
