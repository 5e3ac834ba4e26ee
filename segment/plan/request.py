"""What a user can ask of a survey before a network runs; standard library only."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

from segment.errors import RequestError
from segment.plan.array import asked_shard
from segment.plan.shard import WHOLE, Shard
from tiler.balance import MOST_BALANCE
from tiler.files.beside import GROUPS, SidecarGroup
from tiler.files.outputs import Format
from tiler.files.vector import OneFile as PolygonFormat
from tiler.grid.fit import DEFAULT_BALANCE_PX
from tiler.grid.tiles import LATTICE_PX
from tiler.grid.tiling import Tiling, TilingOptions
from tiler.option import REQUIRED, check, class_table, option, options_in
from tiler.photo.options import PoseOptions
from tiler.polygons.request import PolygonOptions
from tiler.source.options import FileLimits, ReadingOptions


def parse_balance(text: str) -> float | Literal["auto"]:
    """Return the strength that a text means; `auto` stays.

    Raises
    ------
    RequestError
        If the text is neither such a number nor that.
    """
    if text == "auto":
        return "auto"
    with suppress(ValueError):
        if 0 <= float(text) <= MOST_BALANCE:
            return float(text)
    raise RequestError(f"a number from 0 to {MOST_BALANCE:g}, or auto expected; {text!r:.40} found")


def parse_sidecars(text: str) -> frozenset[str]:
    """Return the side files that a text such as `aux,qml` names; `none` and an empty text name none.

    Raises
    ------
    RequestError
        If a name is unknown; the message lists the known ones.
    """
    wanted = frozenset(name.strip() for name in text.split(",")) - {"none", ""}
    if unknown := sorted(wanted - GROUPS.keys()):
        raise RequestError(f"{', '.join(unknown)} unknown; known: {', '.join(GROUPS)}, none")
    return wanted


@dataclass(frozen=True, kw_only=True)
class SurveyOptions:
    """What decides how images are read, where masks lie and how they are stored; `plan` and `segment` share it."""

    format: Literal["auto"] | Format = option(
        "auto", "Masks are stored in this format; auto: COG for georeferenced images, PNG for others.", group="output"
    )
    color: bool | None = option(
        None,
        "Masks are also written in the classes' colours.",
        shown="yes for PNG, no for GeoTIFF and COG",
        group="output",
    )
    confidence: bool = option(
        False,
        "A mask is also written of how sure each label is: 0 (a tie of two classes) to 254 (certain).",
        group="output",
    )
    disagreement: bool = option(
        False,
        "A mask is also written of how far tiles that overlap disagree: 0 (they say the same) to 254; 255 where one "
        "tile alone saw the ground.",
        group="output",
    )
    overlay: bool = option(
        False,
        "The photo with the classes' colours over it is also written, half of each, as a JPEG of full size.",
        group="output",
    )
    report: bool = option(
        True,
        "Small pictures of photos and masks are made beside the masks, and at the end the report of the output folder: "
        "a page for any browser, in DIR/report.",
        group="output",
    )
    sidecars: frozenset[SidecarGroup] = option(
        frozenset(GROUPS),
        "These files stand beside masks. They name and colour the classes in a GIS, and place PNGs: aux (.aux.xml), "
        "qml (QGIS style), vat (ArcGIS table), world (.pgw and .prj).",
        unit="LIST|none",
        group="output",
        read=parse_sidecars,
    )
    strict: bool = option(
        False,
        "An image fails if GDAL complains while it decodes it. Without this option it is done, and called suspect.",
        group="input",
    )
    shard: Shard = option(
        WHOLE,
        "This run takes the I-th of N parts of the survey. Start one run for each part, at the same time if you like, "
        "on other GPUs or machines. Then run once without it, for the summary of the whole. auto: the array job says I "
        "and N (SLURM, Kubernetes, AWS Batch).",
        unit="I/N|auto",
        group="input",
        read=asked_shard,
    )
    georef: Literal["auto", "photo", "none"] = option(
        "auto",
        "Masks lie where this says; auto: the file, or the world file beside it; photo: also the pose in the EXIF and "
        "XMP of photos without either, which is approximate; none: nowhere.",
        group="place",
    )
    polygons: bool = option(False, "Polygons of the labels are written too.", group="polygons")
    polygons_format: PolygonFormat = option(
        "gpkg",
        "Polygons are stored so: GeoPackage, FlatGeobuf, GeoJSON, lines of GeoJSON, GeoParquet, KML or DXF. "
        "`noseam polygons` writes shapefiles too.",
        group="polygons",
    )
    grid_shift_px: int = option(
        0,
        "Tiles between the first and the last of an image lie so many model pixels nearer to its start. Labels that "
        "differ from those without a shift depend on where tiles lie; `noseam evaluate --shifted` counts them.",
        unit="PX",
        least=0,
        multiple=LATTICE_PX,
        group="model",
    )
    balance_classes: float | Literal["auto"] = option(
        0.0,
        "Rare classes are taken more often than the network says: T times the logarithm of each class's frequency in "
        "training is taken off its logits. T from 0 to 2; at 1 all classes count alike. auto: what training found best "
        "on its validation crops, by mean IoU and accuracy together.",
        unit="T|auto",
        group="model",
        read=parse_balance,
    )
    part_size: float = option(
        128.0,
        "An image of at least twice so many megapixels is worked on in parts: workers share it, and a run that was "
        "killed goes on inside it. 0: no image is.",
        unit="MEGAPIXELS",
        least=0,
        group="limits",
    )
    reading: ReadingOptions = ReadingOptions()
    """How images become 8-bit colours."""
    limits: FileLimits = FileLimits()
    """What the header of an image may claim."""
    pose: PoseOptions = PoseOptions()
    """What is known of the poses of photos."""
    polygon_options: PolygonOptions = PolygonOptions()
    """Which polygons."""

    def __post_init__(self) -> None:
        check(self, RequestError)
        if self.balance_classes != "auto" and not 0 <= self.balance_classes <= MOST_BALANCE:
            expected = f"a number from 0 to {MOST_BALANCE:g}, or auto"
            raise RequestError(f"balance_classes: {expected} expected, {self.balance_classes:g} found")
        if self.georef != "photo" and self.pose != PoseOptions():
            given = [asked.flag for asked in options_in(PoseOptions) if getattr(self.pose, asked.name) != asked.default]
            need = "needs" if len(given) == 1 else "need"
            raise RequestError(f'{" and ".join(given)} {need} --georef photo (in Python: georef="photo")')
        if not self.polygons and self.polygon_options != PolygonOptions():
            raise RequestError("--min-area, --simplify, --smooth and --only need --polygons (in Python: polygons=True)")


@dataclass(frozen=True, kw_only=True)
class Request(SurveyOptions):
    """What a survey is planned for: the options, with the tiling that follows from them and the checkpoint."""

    tiling: Tiling
    """How to cut the images."""
    balance_px: float = DEFAULT_BALANCE_PX
    """What the network says of the cost of tiles, see `fit_tile`."""
    out: Path
    """Output folder."""

    def work(self, tile: tuple[int, int]) -> float:
        """Return what a tile (height, width) costs, in tiles of the size that the network was trained at."""
        return self.tiling.work(tile, self.balance_px)


@dataclass(frozen=True, kw_only=True)
class SurveyRequest(SurveyOptions):
    """What the user asked of a survey that is to be planned or segmented."""

    sources: tuple[Path, ...] = option(
        REQUIRED, "These images, and the images in these folders, are taken.", unit="SRC", positional=True
    )
    out: Path = option(
        Path("masks"),
        "The planned run would write to this folder. It is not walked, and nothing is written.",
        unit="DIR",
        path="folder",
        group="output",
    )
    model: str | None = option(
        None,
        "The tiling of this checkpoint is used.",
        unit="ID|DIR|bundled:NAME",
        shown="none, so 512 px tiles at full resolution",
        group="model",
    )
    classes: Path | None = class_table("the checkpoint's", "model")
    cut: TilingOptions = TilingOptions()
    """What replaces the checkpoint's own tiling."""

    def over(self, tiling: Tiling, balance_px: float = DEFAULT_BALANCE_PX) -> Request:
        """Return the request for a checkpoint that asks for a tiling, and whose network costs what `fit_tile` says.

        Raises
        ------
        GridError
            If the tiling does not go together with the user's own settings of it.
        """
        options = {each.name: getattr(self, each.name) for each in fields(SurveyOptions)}
        return Request(tiling=self.cut.over(tiling), balance_px=balance_px, out=self.out, **options)
