"""Plan a survey from headers alone: tiles, outputs, clashes; no pixel is read, no model loaded."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from segment.plan.figures import Estimate
from segment.plan.products import judge_scale, possible_sidecars, without_overlay, without_polygons
from segment.plan.request import Request
from tiler.doubt import JUDGED_GSD_KEY, Doubt, Kind
from tiler.errors import PoseError, advice_of, reason_of
from tiler.files.names import PICTURES
from tiler.files.outputs import Output, all_paths, plan_outputs, refuse_clashes
from tiler.files.walk import Found, Survey
from tiler.grid.parts import BLOCK_PX, Span, plan_parts
from tiler.grid.tiles import LOGITS_STRIDE, Grid
from tiler.grid.window import Window
from tiler.masks.provenance import source_stamp
from tiler.photo.pose import Placement, place_photo
from tiler.source.channels import choose_channels
from tiler.source.georef import Georeference
from tiler.source.raster import READ_FROM_TOP, RasterInfo, read_info
from tiler.source.shut_off import allow_vrt
from tiler.words import readable

_HEADER_THREADS = 8
_NAME_MAX_BYTES = 255


@dataclass(frozen=True, slots=True)
class ImagePlan:
    """One image that can be segmented, as far as its header tells."""

    found: Found
    """Where it is."""
    info: RasterInfo
    """What its header says."""
    grid: Grid
    """Its tiles."""
    outputs: tuple[Output, ...]
    """The files its masks go to."""
    work: float
    """What all its tiles cost, in tiles of the size that the network was trained at."""
    stamp: tuple[int, int]
    """Size in bytes and modification time in ns when it was planned."""
    parts: tuple[Span, ...]
    """The parts that it is worked on in, top to bottom; one of all its rows unless it is large."""
    placement: Placement | None = None
    """Where its pose puts it; None unless that was asked for and needed."""
    unplaced: str = ""
    """Why its pose puts it nowhere; empty unless that was asked for and needed."""
    judged_gsd_m: float | None = None
    """Metres per pixel by which its scale is judged; None where these, or those of the model, are not known."""
    off_scale: str = ""
    """Why the model is not to be trusted with its resolution; empty where that fits or is not known."""
    no_polygons: str = ""
    """Why it gets no polygons; empty unless they were asked for."""
    no_overlay: str = ""
    """Why it gets no overlay; empty unless that was asked for."""

    shown: bool = False
    """Whether previews of it are made for the report."""

    within: Window | None = None
    """The part of the file that counts as the image; None: all of it."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know about its place and its polygons."""
        found = self.placement.notes if self.placement else ()
        without = (("no polygons", self.no_polygons), ("no overlay", self.no_overlay))
        return (*found, *(f"{what}: {why}" for what, why in without if why))

    @property
    def doubts(self) -> tuple[Doubt, ...]:
        """What makes its masks doubtful, as far as its header tells."""
        whys: tuple[tuple[Kind, str], ...] = ("not placed", self.unplaced), ("far from scale", self.off_scale)
        return tuple(Doubt(kind, why) for kind, why in whys if why)

    @property
    def tags(self) -> Mapping[str, str]:
        """What its masks shall say about its place and its scale."""
        place = self.placement.tags if self.placement else {}
        return place if self.judged_gsd_m is None else {**place, JUDGED_GSD_KEY: f"{self.judged_gsd_m:.6g}"}

    @property
    def source_text(self) -> str:
        """Its path below the survey as its masks tell it; bytes that are not UTF-8 become escapes."""
        return readable(self.found.relative.as_posix())

    @property
    def pixels(self) -> int:
        """Number of source pixels."""
        return self.info.height * self.info.width

    @property
    def output_bytes(self) -> int:
        """Bytes of its masks before compression: one per pixel, four per pixel of a colour GeoTIFF."""
        return sum(map(self._bytes_of, self.outputs))

    def _bytes_of(self, output: Output) -> int:
        channels = 3 if output.kind == "overlay" else 4 if output.kind == "color" and output.format != "png" else 1
        return self.pixels * channels

    @property
    def random_access(self) -> bool:
        """Whether rows in the middle can be read without those above them."""
        return self.info.driver not in READ_FROM_TOP

    @property
    def label(self) -> Path:
        """Its label mask."""
        return self.outputs[0].path

    def working_bytes(self, classes: int) -> int:
        """Return about how many bytes work on the image holds. They grow with its width, not with its height."""
        height, width = self.grid.tile_shape[0], self.grid.padded_shape[1]
        cells = height // LOGITS_STRIDE * (width // LOGITS_STRIDE)
        strips, blended = 4 * 3 * height * width, 3 * 4 * (classes + 1) * cells
        return strips + blended + self.writing_bytes

    @property
    def writing_bytes(self) -> int:
        """About how many bytes the writing of its masks holds."""
        return 8 * BLOCK_PX * self.info.width

    @property
    def scratch_bytes(self) -> int:
        """Bytes of the files that are there only while its masks are made, before compression.

        These are its parts, if it has several, and each COG as a plain GeoTIFF.
        """
        parts = len(self.parts) > 1
        return sum(
            self._bytes_of(out) * ((parts and out.kind not in PICTURES) + (out.format == "cog")) for out in self.outputs
        )


@dataclass(frozen=True, slots=True)
class Refused:
    """One input that cannot be segmented."""

    path: Path
    """Where it is."""
    reason: str
    """Why, in full."""
    relative: Path
    """Its place below its source."""
    advice: str = ""
    """What helps."""


@dataclass(frozen=True, slots=True)
class SurveyPlan:
    """Every input of a survey, each either planned or refused."""

    images: tuple[ImagePlan, ...]
    """Images that can be segmented, in the order of the survey."""
    refused: tuple[Refused, ...]
    """Inputs that cannot, with reasons."""
    masks: int = 0
    """Files that are passed over because noseam itself wrote them."""
    elsewhere: int = 0
    """Inputs of other shards."""
    unlisted: int = 0
    """Folders that could not be listed; their images are not known."""
    whole: bool = True
    """Whether the survey of the output folder has no other inputs, but for those of other shards."""
    current: frozenset[Path] = frozenset()
    """Images whose masks are up to date; empty where nobody asked, or without a model."""
    gone: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)
    """Masks and polygons of photos that have left the survey, by photo; see `find_gone`."""
    again: tuple[str, ...] = ()
    """Why masks are made again, and what goes with them: a line for each reason."""
    estimate: Estimate | None = None
    """What a run takes; None where nobody asked."""

    @property
    def to_do(self) -> tuple[ImagePlan, ...]:
        """Images whose masks are not up to date."""
        return tuple(image for image in self.images if image.found.path not in self.current)

    @property
    def named(self) -> tuple[Path, ...]:
        """Every input by its place below the survey."""
        return tuple(image.found.relative for image in self.images) + tuple(each.relative for each in self.refused)

    @property
    def paths(self) -> tuple[Path, ...]:
        """Every input by its path."""
        return tuple(image.found.path for image in self.images) + tuple(each.path for each in self.refused)

    @property
    def inputs(self) -> int:
        """Number of inputs, each either planned or refused."""
        return len(self.images) + len(self.refused)

    @property
    def outputs(self) -> Iterator[Output]:
        """The outputs of all planned images."""
        return (output for image in self.images for output in image.outputs)

    @property
    def pixels(self) -> int:
        """Number of source pixels of all planned images."""
        return sum(image.pixels for image in self.images)


def plan_survey(survey: Survey, request: Request) -> SurveyPlan:
    """Return the plan of a survey, whichever shard of it is asked for.

    Raises
    ------
    OutputClashError
        If two images of the survey would write one output.
    """
    if request.limits.allow_vrt:
        allow_vrt()
    with ThreadPoolExecutor(_HEADER_THREADS) as pool:
        planned = list(pool.map(lambda found: plan_image(found, request), survey.images))
    images = tuple(plan for plan in planned if isinstance(plan, ImagePlan))
    refused = tuple(plan for plan in planned if isinstance(plan, Refused))
    refuse_clashes((image.found.path, image.outputs) for image in images)
    unlisted = "look who may read the folder, and whether its drive is connected"
    refused = (
        *(Refused(path, f"{path}: {reason}", Path(path.name), unlisted) for path, reason in survey.unreadable),
        *refused,
    )
    return SurveyPlan(images, refused, planned.count(None), unlisted=len(survey.unreadable))


def plan_image(found: Found, request: Request) -> ImagePlan | Refused | None:
    """Return what an image's header leads to: a plan or a refusal; None for a mask that noseam wrote."""
    try:
        stamp = source_stamp(found.path)
        info = read_info(found.path, request.limits)
        if info.made_by_noseam:
            return None
        choose_channels(info, request.reading.channels)
        info, placement, unplaced = _locate(info, request)
        scale = request.tiling.scale(info.gsd_m, no_gsd=info.georeference.no_gsd)
        shift = request.grid_shift_px, request.grid_shift_px
        grid = request.tiling.grid(info.shape, scale=scale, balance_px=request.balance_px, shift=shift)
    except Exception as error:  # one bad header costs only itself, whatever it raised
        return Refused(found.path, reason_of(error, found.path), found.relative, advice_of(error))
    no_polygons = without_polygons(info, request)
    no_overlay = without_overlay(info, request)
    outputs = plan_outputs(
        found.relative,
        request.out,
        georeferenced=info.georeference.present,
        wanted=request.format,
        color=request.color,
        confidence=request.confidence,
        disagreement=request.disagreement,
        overlay=request.overlay and not no_overlay,
        sidecars=possible_sidecars(info.georeference, request),
        polygons=request.polygons_format if request.polygons and not no_polygons else None,
    )
    if too_long := [path.name for path in all_paths(outputs) if len(os.fsencode(path.name)) > _NAME_MAX_BYTES]:
        return Refused(
            found.path,
            f"{found.path}: the name of its mask would exceed {_NAME_MAX_BYTES} bytes: {too_long[0]}",
            found.relative,
            "give the file a shorter name",
        )
    work = len(grid) * request.work(grid.tile_shape)
    parts = plan_parts(grid, round(1e6 * request.part_size))
    return ImagePlan(
        found,
        info,
        grid,
        outputs,
        work,
        stamp,
        parts,
        placement,
        unplaced,
        *judge_scale(info, request),
        no_polygons,
        no_overlay,
        request.report,
    )


def _locate(info: RasterInfo, request: Request) -> tuple[RasterInfo, Placement | None, str]:
    """Return the header with the georeference that is asked for, the place by a photo's pose, and why it has none."""
    if request.georef == "none":
        return replace(info, georeference=Georeference()), None, ""
    if request.georef == "auto" or info.georeference.present:
        return info, None, ""
    try:
        placed = place_photo(info.path, info.height, info.width, request.pose)
    except PoseError as error:
        return info, None, str(error).removeprefix(f"{info.path}: ")
    return replace(info, georeference=placed.georeference), placed, ""
