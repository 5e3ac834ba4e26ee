"""Segment one image: its rows of labels go to its masks, or part by part to a folder, and from there to its masks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from segment.engine.contract import Engine
from segment.plan.request import Request
from segment.plan.survey import ImagePlan
from segment.run.labelling import Cut, labelling, opened
from segment.run.shown import Shown, shown
from tiler.classes import ClassTable
from tiler.doubt import Doubt, doubt_tags
from tiler.errors import ChangedError
from tiler.grid.parts import Span
from tiler.grid.window import Window
from tiler.masks.coverage import LOW_BELOW, MOST_LOW, Coverage
from tiler.masks.overlay_sink import Photo
from tiler.masks.parts import PartFolder, Seen, seen_tags
from tiler.masks.provenance import source_stamp
from tiler.masks.sink import MaskMeta
from tiler.masks.tally import Tally
from tiler.masks.writer import MaskWriter
from tiler.polygons.make import write_polygons
from tiler.source.image import ImageReader
from tiler.source.raster import FINGERPRINT_KEY
from tiler.source.remarks import Findings
from tiler.source.tiles import Colour
from tiler.stitch.upsample import MaskRows
from tiler.stopwatch import watch


@dataclass(frozen=True, slots=True)
class Segmented:
    """What a run records of one image, besides its masks."""

    coverage: Coverage
    """How much of it each class covers."""
    notes: tuple[str, ...]
    """What the user should know about how it was read."""
    doubts: tuple[Doubt, ...]
    """What makes its masks doubtful."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Masks:
    """The masks of one image that are to be written."""

    plan: ImagePlan
    """The image."""
    request: Request
    """What was asked."""
    classes: ClassTable
    """Names and colours."""
    tags: Mapping[str, str]
    """Provenance to store in the masks."""
    stale: Sequence[Path]
    """Masks and polygons of earlier runs that go when the new ones come; see `Standing`."""
    threads: int
    """Threads of GDAL to compress the blocks of a TIFF."""


def segment_image(masks: Masks, *, engine: Engine, advance: Callable[[int], None]) -> Segmented:
    """Segment one image and write its masks.

    Memory grows with the width of the image and the height of a tile, not with the height of the image. Reading,
    stitching and writing run in one thread each, a few tiles or rows ahead of each other.

    Parameters
    ----------
    masks : Masks
        What is to be written.
    engine : Engine
        The network.
    advance : callable
        Called with how many more pixels are labelled.

    Returns
    -------
    Segmented
        What the classes cover, and what the user should know.

    Raises
    ------
    TilerError
        If the image cannot be read, the logits are unusable or a mask cannot be written; nothing
        is left behind.
    """
    _refuse_changed(masks.plan)
    small = shown(masks.plan, wanted=masks.request.report)
    with labelling(masks.plan, masks.request, engine, seen=small.see if small else None) as labelled:
        return _write(masks, labelled.image, labelled.rows, lambda: labelled.flat.colours, advance, small)


def segment_parts(
    plan: ImagePlan,
    request: Request,
    spans: Sequence[Span],
    folder: PartFolder,
    *,
    engine: Engine,
    classes: ClassTable,
    findings: Findings | None,
    is_open: Callable[[], bool],
    advance: Callable[[int], None],
) -> None:
    """Label consecutive parts of an image, and leave each of them in the folder of its parts.

    Parameters
    ----------
    plan, request, engine, classes, advance
        See `Masks` and `segment_image`.
    spans : sequence of Span
        The parts, each following on the one before.
    folder : PartFolder
        Where they go.
    findings : Findings or None
        What other parts told of the image; None: nothing is known of it.
    is_open : callable
        Returns whether a further part may begin.

    Raises
    ------
    TilerError
        As `segment_image`; parts that are whole stay.
    """
    _refuse_changed(plan)
    with labelling(plan, request, engine, Span(spans[0].start, spans[-1].stop), findings) as labelled:
        rows = Cut(labelled.rows)
        for span in spans:
            if not is_open():
                return
            with folder.writer(span, classes, plan.info.width) as writer:
                for each in rows.take(len(span)):
                    writer.write(each.labels, each.confidence, each.disagreement)
                    advance(each.labels.size)
                _refuse_changed(plan)
                seen = Seen(labelled.image.findings, tuple(labelled.flat.colours))
                writer.commit(tags=seen_tags(seen))


def join_parts(masks: Masks, spans: Sequence[Span], folder: PartFolder, seen: Seen) -> Segmented:
    """Write the masks of an image whose parts are all labelled, and remove the parts.

    Memory holds a row of blocks at a time.

    Parameters
    ----------
    masks : Masks
        What is to be written.
    spans : sequence of Span
        All parts of the image.
    folder : PartFolder
        Where they are.
    seen : Seen
        What they told, all together.

    Raises
    ------
    TilerError
        As `segment_image`; the parts stay then, but for one that cannot be read.
    """
    _refuse_changed(masks.plan)
    with opened(masks.plan, masks.request, seen.findings) as image:
        made = _write(masks, image, folder.rows(spans), lambda: seen.colours, lambda pixels: None)
    folder.remove()
    return made


def _write(
    masks: Masks,
    image: ImageReader,
    rows: Iterable[MaskRows],
    colours: Callable[[], Sequence[Colour]],
    advance: Callable[[int], None],
    small: Shown | None = None,
) -> Segmented:
    """Write the masks of an image from its rows, then its previews; `colours` is asked after the last row."""
    plan, request, classes = masks.plan, masks.request, masks.classes
    georeference = plan.info.georeference
    meta = MaskMeta(plan.grid.source_shape, classes, georeference, {**masks.tags, **plan.tags, **_reading_tags(image)})
    layer, options = plan.found.path.stem, request.polygon_options
    polygonise = partial(
        write_polygons, request=options, georeference=georeference, classes=classes, layer=layer
    )  # fmt: skip
    tally = Tally(len(classes), georeference.cumulative_area_m2(*meta.shape))
    with (
        _photo(plan, request, image) as photo,
        MaskWriter(
            plan.outputs, meta, stale=masks.stale, threads=masks.threads, polygonise=polygonise, photo=photo
        ) as writer,
    ):
        for each in rows:
            with watch("count"):
                tally.add(each.labels, each.confidence, each.disagreement)
            writer.write(each.labels, each.confidence, each.disagreement)
            if small is not None:
                small.add(each)
            advance(each.labels.size)
        _refuse_changed(plan)
        coverage = tally.coverage()
        doubts = (*image.doubts, *plan.doubts, *_nothing_seen(coverage, colours()), *_hardly_sure(coverage))
        writer.commit(coverage, doubt_tags(doubts))
    if small is not None:
        small.write(request.out, classes, masks.tags[FINGERPRINT_KEY])
    return Segmented(coverage, image.notes + plan.notes, doubts)


@contextmanager
def _photo(plan: ImagePlan, request: Request, image: ImageReader) -> Iterator[Photo | None]:
    """Yield what gives full rows of the photo to an overlay; None where none is planned.

    It has a reader of its own: two that take turns in one JPEG would make GDAL decode it from its top each time.
    """
    if all(output.kind != "overlay" for output in plan.outputs):
        yield None
        return
    with opened(plan, request, image.findings) as full:
        yield lambda start, stop: full.pixels(Window(start, 0, stop - start, full.info.width))


def _refuse_changed(plan: ImagePlan) -> None:
    if source_stamp(plan.found.path) != plan.stamp:
        raise ChangedError(f"{plan.found.path}: changed since the survey was planned")


def _nothing_seen(coverage: Coverage, colours: Sequence[Colour]) -> Iterator[Doubt]:
    """Yield what is doubtful of an image that shows nothing."""
    if not any(coverage.pixels):
        yield Doubt("empty", "no pixel is valid: every label is 255")
    elif len(colours) == 1:
        red, green, blue = colours[0]
        yield Doubt(
            "one value",
            f"the network saw one colour everywhere (red {red}, green {green}, blue {blue}), so labels say nothing; "
            "is the image blank?",
        )


def _hardly_sure(coverage: Coverage) -> Iterator[Doubt]:
    """Yield what is doubtful of an image of whose labels many are hardly surer than the second best."""
    share = coverage.sure.low_share if coverage.sure else None
    if share is not None and share > MOST_LOW:
        yield Doubt(
            "low confidence",
            f"{share:.0%} of its labels have a confidence below {LOW_BELOW:g} (at most {MOST_LOW:.0%} expected): "
            "the model hardly knows what it sees",
        )


def _reading_tags(image: ImageReader) -> dict[str, str]:
    tags = {"NOSEAM_CHANNELS": ",".join(map(str, image.channels.colour))}
    if image.stretch is not None:
        tags["NOSEAM_VALUES"] = str(image.stretch)
    if image.info.orientation != 1:
        tags["NOSEAM_SOURCE_ORIENTATION"] = str(image.info.orientation)
    return tags
