"""What a report says, before it is a page: plain values that become JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["green", "amber", "red", "unknown"]
"""How a light shines; `unknown`: it was not measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Light:
    """One traffic light."""

    id: str
    """What it watches, such as `failed` or `low confidence`."""
    label: str
    """The same for people."""
    level: Level
    """How it shines."""
    count: int
    """Images that it counts."""
    of: int
    """Images that it looked at."""
    says: str
    """What was found, and what helps."""
    counts: str = ""
    """When it counts an image."""
    thresholds: str
    """When it is green, amber and red."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassRow:
    """What the report says of one class, over all images with masks."""

    id: int
    """Its label."""
    name: str
    """Its name."""
    colour: tuple[int, int, int]
    """Red, green and blue, 0 to 255."""
    pixels: int
    """Pixels in all images."""
    percent: float
    """Share of all labelled pixels."""
    m2: float | None
    """Square metres of ground, each counted once; None where that is not known."""
    confidence: float | None = None
    """Mean confidence of its pixels, 0 to 1; None where it was not measured."""
    low: float | None = None
    """Share of its pixels whose confidence is low; None where it was not measured."""


ClassShare = tuple[int, float] | tuple[int, float, float, float]
"""Label and share of the labelled pixels of an image; then, where it was measured, the mean confidence of these pixels,
0 to 1, and the share of them whose confidence is low."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRow:
    """What the report says of one image."""

    name: str
    """Its place below its source; any text."""
    state: Literal["done", "skipped", "failed", "left"]
    """How it ended; `left`: the run did not get to it."""
    size: tuple[int, int] | None = None
    """Width and height in pixels; None where the header could not be read."""
    seconds: float = 0.0
    """Its share of the time of the run."""
    doubts: tuple[str, ...] = ()
    """Kinds of doubt, such as `suspect`."""
    warnings: tuple[str, ...] = ()
    """What the user should know of it, doubts among them, in words."""
    reason: str = ""
    """Why it failed, was skipped or made again."""
    advice: str = ""
    """What helps where it failed."""
    thumb: str = ""
    """URL, below the folder of the report, of a small JPEG of photo and mask blended; empty where there is none."""
    photo: str = ""
    """URL of a JPEG of the photo at the size of the preview."""
    layers: str = ""
    """URL of a script that calls `noseamLayers` with the masks at that size."""
    preview: tuple[int, int] | None = None
    """Width and height of the preview in pixels."""
    masks: tuple[tuple[str, str], ...] = ()
    """Kind and URL of each full-size file beside the report, such as ("label", "../a/IMG_1_label.png")."""
    classes: tuple[ClassShare, ...] = ()
    """What it shows of each class that occurs, the largest first."""
    confidence: float | None = None
    """Mean confidence, 0 to 1."""
    low: float | None = None
    """Share of pixels whose confidence is low."""
    disagreement: float | None = None
    """Mean disagreement of overlapping tiles, 0 to 1."""
    judged_gsd_m: str = ""
    """Metres per pixel by which its scale was judged, as its mask says it; empty where it could not be."""
    footprint: tuple[tuple[float, float], ...] = ()
    """Latitude and longitude of its four corners: top left, top right, bottom right, bottom left of the raster."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confusion:
    """Truth against prediction, from an evaluation beside the report, or a model card."""

    classes: tuple[str, ...]
    """Names, in the order of rows and columns."""
    pixels: tuple[tuple[int, ...], ...]
    """Rows: truth. Columns: prediction."""
    iou: tuple[float | None, ...]
    """Intersection over union of each class; None where it does not occur."""
    miou: float | None
    """Their mean."""
    of: Literal["images", "crops"] = "images"
    """`crops`: of those on which the model was validated while it learned, not of the images of the report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """One bin of a reliability diagram."""

    confidence: float
    """Mean stated probability of the pixels in it, 0 to 1."""
    accuracy: float
    """Share of them that is right."""
    pixels: int
    """How many there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """All that a report says."""

    title: str
    """What was segmented; any text."""
    made: str
    """When the report was made, ISO 8601."""
    low_below: float
    """Confidence counts as low below this, 0 to 1."""
    caveat: str = ""
    """Why no mask is to be passed on unseen, whatever the lights say; empty where nothing speaks against it."""
    notes: tuple[str, ...] = ()
    """What a reader is to know before anything else."""
    run: tuple[tuple[str, str], ...]
    """What was run, as pairs of label and text: model, device, engine, precision, dates, duration, end."""
    settings: tuple[tuple[str, str], ...]
    """Options that decide labels, as pairs of name and value."""
    versions: tuple[tuple[str, str], ...]
    """Packages and their versions."""
    lights: tuple[Light, ...]
    """The traffic lights, gravest first."""
    classes: tuple[ClassRow, ...]
    """All classes of the table, in order of their ids."""
    area_note: str
    """Why there are no square metres, or which ground was counted once."""
    images: tuple[ImageRow, ...]
    """All images of the survey, in natural order of their names."""
    learning_curve: tuple[tuple[str, tuple[float | None, ...]], ...] = ()
    """Columns of the learning curve: name, and a value for each epoch; empty where there is none."""
    confusion: Confusion | None = None
    """From an evaluation, or else of the model while it learned; None where there is neither."""
    reliability: tuple[Bin, ...] = ()
    """From an evaluation; empty where there is none."""
