"""The noseam command line: parse, call one function per command, map errors to exit codes."""

from __future__ import annotations

import json
import logging
import math
import os
import shutil
import tomllib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click
from click.core import ParameterSource

from segment.record.logs import configure_logging, one_line

if TYPE_CHECKING:
    from segment.plan.survey import Request, SurveyPlan
    from tiler.grid.tiling import Tiling
    from tiler.photo.options import PoseOptions
    from tiler.polygons.request import PolygonRequest
    from tiler.source.limits import FileLimits

FAILED, NOTHING_MATCHED, STOPPED, IN_USE = 3, 4, 5, 75
_TYPICAL_COMPRESSION = 20
"""Pixels of a mask per byte of its file; smooth masks have twice that, noisy ones a quarter."""
SETTINGS_FILE = Path("noseam.toml")
_MODEL_CHOICE = """--model is missing: which network shall segment your images?
  --model {hub}
      24 classes of low-flying drone photos; fetched once from the Hugging Face hub
  --model FOLDER
      your own SegFormer checkpoint, such as `noseam train` writes
  --model demo
      comes with noseam, for trying it out: it knows made-up scenes only, see `noseam demo`"""
_RESUMABLE = {
    **dict.fromkeys(("segment", "crop", "demo"), "; the same command again goes on from here"),
    "train": "; the same command again goes on from the last finished epoch",
}
_POLYGON_FORMAT = click.Choice(["gpkg", "fgb", "geojsonseq", "parquet"])
_Command = TypeVar("_Command", bound=Callable[..., Any])
_log = logging.getLogger("noseam")


class _ClassName(click.types.StringParamType):
    """The name of a class; a variable holds several with commas between them, for names can hold spaces."""

    envvar_list_splitter = ","


class _Group(click.Group):
    """Turn noseam's own errors into one line and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        from segment.errors import FolderInUseError
        from segment.guard.signals import Interrupted, ending_in_order

        try:
            with ending_in_order():
                return super().invoke(ctx)
        except Interrupted as signal:
            click.echo("interrupted" + _RESUMABLE.get(ctx.invoked_subcommand or "", ""), err=True)
            ctx.exit(signal.exit_code)
        except FolderInUseError as error:
            click.echo(one_line(f"Error: {error}"), err=True)
            ctx.exit(IN_USE)
        except Exception as error:
            ours = type(error).__module__ in {"tiler.errors", "segment.errors"}
            if not ours and (not isinstance(error, OSError) or isinstance(error, BrokenPipeError)):  # Click's own
                raise
            raise click.ClickException(str(error)) from error


def _load_settings(ctx: click.Context, _: click.Parameter, path: Path | None) -> None:
    """Take defaults from a TOML file; a key that no command has is an error, never ignored."""
    if path is None and not SETTINGS_FILE.is_file():
        return
    path = path or SETTINGS_FILE
    try:
        tables = tomllib.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise click.UsageError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise click.UsageError(f"{path}: {error}") from error
    settings: dict[str, dict[str, Any]] = {}
    for name, table in tables.items():
        command = main.get_command(ctx, name)
        if not isinstance(table, dict):
            raise click.UsageError(f"{path}: {name} stands alone; options belong below their command, as [segment]")
        if command is None:
            raise click.UsageError(f"{path}: [{name}] is no command; known: {', '.join(main.list_commands(ctx))}")
        options = {flag.lstrip("-"): option for option in command.params for flag in option.opts}
        if unknown := sorted(key for key in table if key.replace("_", "-") not in options):
            meant = get_close_matches(unknown[0].replace("_", "-"), options, 1, 0.7)
            hint = f"; did you mean {meant[0]}?" if meant else ""
            raise click.UsageError(f"{path}: [{name}] has no option {', '.join(unknown)}{hint}")
        settings[name] = {}
        for key, value in table.items():
            option = options[key.replace("_", "-")]
            try:
                settings[name][str(option.name)] = _setting(option, value)
            except ValueError as error:
                raise click.UsageError(f"{path}: [{name}] {key}: {error}") from error
    shared = {option.name for option in plan.params}  # a plan is one of what segment would do
    same = {name: value for name, value in settings.get("segment", {}).items() if name in shared}
    ctx.default_map = settings | {"plan": same | settings.get("plan", {})}


def _setting(option: click.Parameter, value: Any) -> Any:
    """Return a value of TOML as the command line would give it: text, which the option then reads."""
    many = option.nargs != 1 or option.multiple
    if option.multiple and not isinstance(value, list):
        value = [value]
    if many != isinstance(value, list):
        raise ValueError(f"{'a list' if many else 'one value'} expected, {value!r:.80} found")
    if many:
        return [_word(each) for each in value]
    if getattr(option, "is_flag", False) != isinstance(value, bool):
        raise ValueError(
            f"{'text or a number' if isinstance(value, bool) else 'true or false'} expected, {value!r:.80} found"
        )
    return value if isinstance(value, bool) else _word(value)


def _word(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)) or "\0" in str(value):
        raise ValueError(f"text or a number expected, {value!r:.80} found")
    return str(value)


@click.group(
    cls=_Group,
    context_settings={"show_default": True, "help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="noseam")
@click.option("--config", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", is_eager=True,
              expose_value=False, callback=_load_settings, show_default=f"{SETTINGS_FILE}, if it is there",
              help="Settings as TOML: a table per command, such as [segment], with its options as keys.")  # fmt: skip
@click.option("-v", "--verbose", count=True, help="Log more: -v tells why images failed.")
@click.option("-q", "--quiet", count=True, help="Log less: -q warnings and errors only, -qq errors only.")
@click.option("--log-json", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", show_default="none",
              help="Append the log to a file too, as lines of JSON.")  # fmt: skip
def main(verbose: int, quiet: int, log_json: Path | None) -> None:
    """Turn folders of large aerial images into full-resolution masks, with no seams.

    \b
    Exit codes: 0 all done, 1 the run failed, 2 usage, 3 some images failed,
    4 no image found, 5 stopped by --max-runtime, 75 another run holds the output
    folder, 130 interrupted, 143 terminated. Every option can be set as a
    variable, such as NOSEAM_SEGMENT_DEVICE=cpu, and in noseam.toml.

    \b
    Examples:
      noseam demo
      noseam crop images/ masks/ --out crops/ --classes classes.csv
      noseam train crops/ --out model/
      noseam segment survey/ --out masks/ --model model/
      noseam evaluate masks/ truth/ --classes classes.csv
      noseam polygons masks/ --out polygons/
    """
    _refuse_unknown_variables()
    configure_logging(min(max(logging.INFO + 10 * (quiet - verbose), logging.DEBUG), logging.ERROR), log_json)


def _reading_options(command: _Command) -> _Command:
    """Add what decides how samples become 8-bit colours."""
    command = click.option(
        "--value-range",
        type=float,
        nargs=2,
        metavar="MIN MAX",
        show_default="each file's own 2nd and 98th percentile",
        help="Values that become black and white in files that are not 8-bit.",
    )(command)
    return click.option("--channels", metavar="R,G,B[,VALID]", show_default="by the file's own names",
                        help="Channels to read, from 1: three, one (grey), or four "
                        "(the fourth marks valid pixels); any other alpha is then ignored.")(command)  # fmt: skip


def _trust_options(command: _Command) -> _Command:
    """Add what decides which files are read at all."""
    for option in reversed(
        (
            click.option("--max-megapixels", type=click.FloatRange(0, min_open=True), default=20_000.0, metavar="MP",
                         help="Refuse images that claim more; 100,000 x 100,000 pixels are 10,000."),
            click.option("--max-block-mb", type=click.FloatRange(0, min_open=True), default=2048.0, metavar="MB",
                         help="Refuse TIFFs with a larger tile or strip, decoded: it is held in memory whole."),
            click.option("--max-pixels-per-byte", type=click.FloatRange(0, min_open=True), metavar="N",
                         show_default="JPEG 512, PNG 8300, TIFF 400000",
                         help="Refuse files that claim more pixels for their size: their headers are damaged."),
            click.option("--strict", is_flag=True,
                         help="Fail images whose damage GDAL decodes over; else they are done and called suspect."),
            click.option("--allow-vrt", is_flag=True,
                         help="Also read VRT mosaics that are named as SRC. Only where you trust them: a VRT can show "
                         "any file that you may read."),
        )
    ):  # fmt: skip
        command = option(command)
    return command


def _place_options(command: _Command) -> _Command:
    """Add what decides where masks lie."""
    for option in reversed(
        (
            click.option("--georef", type=click.Choice(["auto", "photo", "none"]), default="auto",
                         help="Where masks lie; auto: as the file or the world file beside it says; photo: photos "
                         "without either by the pose in their EXIF and XMP too, approximate; none: nowhere."),
            click.option("--flying-height", "height_m", type=click.FloatRange(0, min_open=True), metavar="METRES",
                         show_default="by laser, else above take-off", help="Of all photos, above the ground."),
            click.option("--ground-elevation", "ground_m", type=float, metavar="METRES", show_default="none",
                         help="Of the ground below all photos, in the datum of their absolute altitude."),
            click.option("--dem", type=click.Path(exists=True, path_type=Path, dir_okay=False), metavar="FILE",
                         show_default="none", help="Elevation of the ground as a raster, in the same datum."),
            click.option("--yaw-source", type=click.Choice(["gimbal", "flight"]), default="gimbal",
                         help="Whose heading turns a photo."),
            click.option("--focal-px", type=click.FloatRange(0, min_open=True), metavar="PX",
                         show_default="by the photo's tags", help="Focal length of all photos, in pixels."),
        )
    ):  # fmt: skip
        command = option(command)
    return command


def _polygon_options(command: _Command) -> _Command:
    """Add what decides which polygons are written."""
    for option in reversed(
        (
            click.option("--min-area", "min_area_m2", type=click.FloatRange(0), default=0.0, metavar="M2",
                         help="Smaller patches become part of their largest neighbour."),
            click.option("--simplify", "simplify_px", type=click.FloatRange(0), default=0.0, metavar="PX",
                         help="How far outlines of polygons may leave those of the pixels; neighbours stay gap-free."),
            click.option("--only", "only", multiple=True, type=_ClassName(), metavar="CLASS", show_default="all",
                         help="Write polygons of this class alone, by name or id; may be repeated."),
        )
    ):  # fmt: skip
        command = option(command)
    return command


def _survey_options(command: _Command) -> _Command:
    """Add what `plan` and `segment` share: sources, tiling, reading, placing and storing."""
    command = _polygon_options(_place_options(_reading_options(_trust_options(command))))
    for option in reversed(
        (
            click.argument("sources", metavar="SRC...", nargs=-1, required=True, type=click.Path(path_type=Path)),
            click.option("--window", type=click.IntRange(1), metavar="PX", show_default="the checkpoint's",
                         help="Side of the source window that becomes one tile, source pixels."),
            click.option("--input", type=click.IntRange(64), metavar="PX", show_default="the checkpoint's",
                         help="Side of a tile as the network sees it, model pixels; a multiple of 32."),
            click.option("--overlap", type=click.FloatRange(0, 1, max_open=True), metavar="FRACTION",
                         show_default="the checkpoint's, or 0.25",
                         help="Least overlap of neighbouring tiles in total, as a fraction of the tile."),
            click.option("--gsd", type=click.FloatRange(0, min_open=True), metavar="METRES",
                         show_default="the checkpoint's, if any",
                         help="Ground sample distance that the model expects, metres per pixel; "
                         "instead of --window, for georeferenced images."),
            click.option("--format", type=click.Choice(["auto", "png", "geotiff", "cog"]), default="auto",
                         help="How to store masks; auto: COG for georeferenced images, PNG for others."),
            click.option("--color/--no-color", default=None, show_default="yes for PNG, no for GeoTIFF and COG",
                         help="Also write masks in the classes' colours."),
            click.option("--confidence", is_flag=True,
                         help="Also write how sure each label is: 0 (a tie of two classes) to 254 (certain)."),
            click.option("--sidecars", default="aux,qml,vat,world", metavar="LIST|none",
                         help="Files beside masks that name and colour their classes in a GIS, and place PNGs: aux "
                         "(.aux.xml), qml (QGIS style), vat (ArcGIS table), world (.pgw and .prj)."),
            click.option("--shard", metavar="I/N", default="1/1",
                         help="Take the I-th of N parts of the survey: one run each, at the same time if you like, on "
                         "other GPUs or machines. Then once without, for the summary of the whole."),
            click.option("--polygons", is_flag=True, help="Also write polygons of the labels."),
            click.option("--polygons-format", type=_POLYGON_FORMAT, default="gpkg",
                         help="GeoPackage, FlatGeobuf, lines of GeoJSON, or GeoParquet."),
        )
    ):  # fmt: skip
        command = option(command)
    return command


def _class_table_option(default: str) -> Callable[[_Command], _Command]:
    return click.option("--classes", type=click.Path(exists=True, path_type=Path, dir_okay=False), metavar="CSV",
                        show_default=default,
                        help="Class table: name, r, g, b; one row per class, in order of id.")  # fmt: skip


@main.command()
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
              help="Output folder; mirrors the tree of the sources.")  # fmt: skip
@click.option(
    "--model",
    metavar="ID|DIR|demo",
    show_default="none: you are told the choice",
    help="Checkpoint: a SegFormer folder, a Hugging Face hub id owner/name, or the bundled `demo`.",
)
@_class_table_option("the checkpoint's")
@_survey_options
@click.option("--device", default="auto", metavar="auto|cpu|cuda[:N]", help="Where the network runs.")
@click.option("--engine", type=click.Choice(["auto", "openvino", "torch"]), default="auto",
              help="What runs it; auto: OpenVINO on the CPU, PyTorch on CUDA.")  # fmt: skip
@click.option("--precision", type=click.Choice(["auto", "fp32", "bf16", "fp16"]), default="auto",
              help="Arithmetic of the network; auto: bf16 where the hardware has it, "
              "else fp32 or, on CUDA, fp16.")  # fmt: skip
@click.option("--batch-size", type=click.IntRange(1), metavar="TILES", show_default="4 on the CPU, 16 on CUDA",
              help="Most tiles per call of PyTorch; OpenVINO takes one per core.")  # fmt: skip
@click.option("--threads", type=click.IntRange(1), metavar="CORES", show_default="all",
              help="Cores that the network uses; fewer leave room for other work on the machine.")  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Make masks again that are up to date; replace foreign files.")
@click.option("--max-errors", type=click.IntRange(0), metavar="N", show_default="any number",
              help="Stop when more images than this have failed; those refused unread do not count.")  # fmt: skip
@click.option("--max-runtime", type=click.FloatRange(0, min_open=True), metavar="MINUTES", show_default="none",
              help="Begin no image after this; the same command again goes on from there.")  # fmt: skip
@click.option("--max-stall", type=click.FloatRange(0, min_open=True), metavar="MINUTES", default=120.0,
              help="Give up when nothing moved for so long, as on a drive that hangs.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the sums of the run as JSON.")
@click.pass_context
def segment(
    ctx: click.Context, /, out: Path, model: str | None, classes: Path | None, device: str, engine: Any, precision: Any,
    batch_size: int | None, threads: int | None, overwrite: bool, max_errors: int | None, max_runtime: float | None,
    max_stall: float, as_json: bool, **survey: Any,
) -> None:  # fmt: skip
    """Segment images and folders of images; write full-resolution masks.

    SRC are JPEG, PNG or TIFF files, and folders that are walked recursively. For survey/a/IMG_1.JPG
    the masks are DIR/a/IMG_1_label.png (value = class id, 255 = no data) and DIR/a/IMG_1_color.png.
    Images whose masks are up to date are skipped; a bad image is reported and costs only itself.

    \b
    Examples:
      noseam segment survey/ --out masks/ --model my-checkpoint/
      noseam segment ortho.tif --out masks/ --model my-checkpoint/ --gsd 0.05
      noseam segment survey/ --out masks/ --model owner/name --window 2000 --input 512
    """
    from segment.guard.limits import Gate, Limits
    from segment.guard.pulse import giving_up
    from segment.guard.signals import exit_now
    from segment.model.checkpoint import DRONE_MODEL, describe_checkpoint
    from segment.plan.report import place_note

    if model is None:
        raise click.UsageError(_MODEL_CHOICE.format(hub=DRONE_MODEL))
    if model.startswith("--"):
        raise click.UsageError(f"--model needs a value; the next option was found: {model}")
    gate = Gate(Limits(max_errors, None if max_runtime is None else 60 * max_runtime, 60 * max_stall))
    ctx.with_resource(giving_up(gate.pulse, 60 * max_stall, FAILED))
    description = describe_checkpoint(model)
    request = _request(survey, out, description.tiling)
    if request.tiling == description.tiling:
        _log.info("tiling: %s", description.tiling_source)
    plan = _plan(survey["sources"], request)
    if not plan.inputs + plan.elsewhere:
        _nothing_matched(ctx, f"no JPEG, PNG or TIFF image found in {_listed(survey['sources'])}")
    if note := place_note(plan):
        _log.info("%s", note)
    from segment.guard.lock import hold_folder
    from segment.record.manifest import Sums
    from segment.record.progress import Progress
    from segment.run.runner import open_runner

    _claim(out)
    sums = Sums(plan.inputs)
    with hold_folder(out, request.shard), ExitStack() as stack:
        if as_json:
            stack.callback(lambda: click.echo(json.dumps(sums.as_dict(out, gate.end), indent=2)))
        stack.push(lambda kind, error, at: gate.shut_by(error) if error else None)
        _warn(out, plan)
        runner = open_runner(
            description, classes, tile_px=request.tiling.input_px, kind=engine, device=device, precision=precision,
            batch_size=batch_size, threads=threads,
        )  # fmt: skip
        stack.enter_context(closing(runner.engine))
        with _usage_errors("--only: "):
            request.polygon_request.chosen(runner.classes.names)
        progress = stack.enter_context(Progress(plan, quiet=_quiet()))
        outcomes = runner.run(plan, request, overwrite=overwrite, gate=gate, advance=progress.advance)
        for outcome in stack.enter_context(closing(outcomes)):
            sums.add(outcome)
            progress.report(outcome)
    if sums.left:
        then = "see to what failed, or allow more" if gate.end == "errors" else "the same command goes on"
        _log.warning("stopped (%s): %d of %d images are left; %s", gate.end, sums.left, sums.inputs, then)
    if gate.end == "stalled":
        exit_now(FAILED)
    ctx.exit(FAILED if sums.failures else STOPPED if sums.left else 0)


@main.command()
@_survey_options
@click.option("--model", metavar="ID|DIR", show_default="none, so 512 px tiles at full resolution",
              help="Checkpoint whose tiling to use.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", default=Path("masks"),
              help="Output folder of the run that is planned; not walked, nothing is written.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
@click.pass_context
def plan(ctx: click.Context, /, model: str | None, out: Path, as_json: bool, **survey: Any) -> None:
    """Say what segment would do, from headers alone: no pixel is read, nothing is written.

    Prints images, sizes in pixels, tiles, the size of the masks before compression, and every file
    whose header cannot be read, with the reason.

    \b
    Examples:
      noseam plan survey/ --window 2000 --input 512 --overlap 0.25
      noseam plan survey/ --model my-checkpoint/ --json
    """
    from segment.model.checkpoint import describe_checkpoint
    from segment.plan.report import plan_as_dict, plan_as_lines

    planned = _plan(survey["sources"], _request(survey, out, describe_checkpoint(model).tiling if model else None))
    lines = [json.dumps(plan_as_dict(planned), indent=2)] if as_json else map(one_line, plan_as_lines(planned))
    click.echo("\n".join(lines))
    if not planned.inputs + planned.elsewhere:
        _nothing_matched(ctx, f"no JPEG, PNG or TIFF image found in {_listed(survey['sources'])}")
    ctx.exit(FAILED if planned.refused else 0)


@main.command()
@click.argument("images", type=click.Path(exists=True, path_type=Path))
@click.argument("masks", type=click.Path(exists=True, path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
              help="Folder of the crops: images/, masks/, crops.csv and classes.csv.")  # fmt: skip
@click.option("--window", "window_px", type=click.IntRange(1), default=2000, metavar="PX",
              help="Side of a crop, source pixels.")  # fmt: skip
@click.option("--overlap", type=click.FloatRange(0, 1, max_open=True), default=0.0, metavar="FRACTION",
              help="Least overlap of neighbouring crops in total, as a fraction of the window.")  # fmt: skip
@_class_table_option("none: masks hold class ids")
@click.option("--split", type=click.FloatRange(0, 1), default=0.875, metavar="FRACTION",
              help="Share of the images that train; the crops of one image stay together.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, metavar="N", help="Which images train.")
@click.option("--min-labelled", type=click.FloatRange(0, 1), default=0.0, metavar="FRACTION",
              help="Leave out crops of which less carries a label.")  # fmt: skip
@click.option("--skip-empty", is_flag=True, help="Leave out crops without any label.")
@click.option("--balance", is_flag=True, help="Show crops with rare classes more often in training.")
@click.option("--format", type=click.Choice(["png", "jpeg"]), default="png",
              help="How to store crops: png is lossless, jpeg of quality 95; GeoTIFFs stay GeoTIFFs.")  # fmt: skip
@_reading_options
@click.option("--jobs", type=click.IntRange(1), metavar="N", show_default="one per core", help="Images cut at once.")
@click.pass_context
def crop(
    ctx: click.Context, /, images: Path, masks: Path, out: Path, classes: Path | None, jobs: int | None, channels: str,
    value_range: tuple[float, float] | None, **wanted: Any,
) -> None:  # fmt: skip
    """Cut IMAGES and their MASKS into training crops.

    Images and masks are paired by name. Masks hold class ids (255 = no label), or colours of the
    class table. The same command again cuts only what is new or has changed, and deletes the crops of
    images that are gone.

    \b
    Examples:
      noseam crop images/ masks/ --out crops/
      noseam crop images/ masks_rgb/ --out crops/ --classes class_dict_seg.csv
    """
    from segment.record.progress import Meter
    from tiler.classes import read_class_table
    from tiler.crops.cut import CropOutcome
    from tiler.crops.make import make_crops
    from tiler.crops.plan import CropRequest
    from tiler.errors import NoPairError

    with _usage_errors():
        request = CropRequest(channels=_channels(channels), value_range=_value_range(value_range), **wanted)
    table = None if classes is None else read_class_table(classes)
    with Meter("images", quiet=_quiet()) as count:

        def advance(outcome: CropOutcome, done: int, total: int) -> None:
            count(done, total)
            if outcome.state == "failed":
                _log.error("failed: %s", outcome.reason)
            for note in outcome.notes:
                _log.info("%s: %s", outcome.path, note)

        try:
            report = make_crops(images, masks, out, request, classes=table, jobs=jobs or -1, advance=advance)
        except NoPairError as error:
            _nothing_matched(ctx, str(error))
    for lone, what in ((report.only_images, "image without a mask"), (report.only_masks, "mask without an image")):
        for path in lone:
            _log.warning("%s: %s", what, path)
    click.echo(
        f"{out}: {report.train + report.val} crops of {len(report.done) + len(report.skipped)} images, "
        f"{report.train} to train, {report.val} to validate; {report.filtered} left out for want of labels\n"
        f"{len(report.done)} images cut, {len(report.skipped)} up to date, {len(report.failed)} failed, "
        f"{len(report.only_images)} without a mask, {len(report.only_masks)} masks without an image"
        + (f"; crops of {report.removed} images that are gone deleted" if report.removed else "")
    )
    if bool(report.train) != bool(report.val):
        _log.warning("all crops are on one side of the split: training needs two images, and 0 < --split < 1")
    ctx.exit(FAILED if report.failed else 0)


@main.command()
@click.argument("crops", type=click.Path(exists=True, path_type=Path, file_okay=False))
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
              help="Folder of the model.")  # fmt: skip
@click.option("--base", default="nvidia/mit-b5", metavar="ID|DIR|SIZE",
              help="What to start from: a hub id or folder of an encoder or a whole SegFormer, or a size "
              "(nano, mini, b0 to b5) for random weights, which needs no download.")  # fmt: skip
@click.option("--epochs", type=click.FloatRange(0, min_open=True), default=10.0, metavar="N",
              help="How often every crop is shown.")  # fmt: skip
@click.option("--max-steps", type=click.IntRange(1), metavar="N", show_default="by the epochs",
              help="Steps of the optimizer in all.")  # fmt: skip
@click.option("--lr", type=click.FloatRange(0, min_open=True), default=6e-5, metavar="RATE",
              help="Learning rate of AdamW at its highest.")  # fmt: skip
@click.option("--schedule", type=click.Choice(["linear", "cosine", "constant"]), default="linear",
              help="How the learning rate falls.")  # fmt: skip
@click.option("--warmup", type=click.FloatRange(0, 1), default=0.0, metavar="FRACTION",
              help="Share of the steps in which the learning rate rises.")  # fmt: skip
@click.option("--weight-decay", type=click.FloatRange(0), default=0.01, metavar="RATE", help="Of AdamW.")
@click.option("--batch-size", type=click.IntRange(1), default=4, metavar="CROPS", help="Crops at a time, per device.")
@click.option("--accumulate", type=click.IntRange(1), default=1, metavar="BATCHES",
              help="Batches per step of the optimizer: a larger batch in the same memory.")  # fmt: skip
@click.option("--input", "input_px", type=click.IntRange(64), default=512, metavar="PX",
              help="Side to which a crop is resized for the network, model pixels; a multiple of 32.")  # fmt: skip
@click.option("--overlap", type=click.FloatRange(0, 1, max_open=True), default=0.25, metavar="FRACTION",
              help="Least overlap of tiles that the model will ask for in `segment`.")  # fmt: skip
@click.option("--class-weights", is_flag=True, help="Let rare classes weigh more in the loss.")
@click.option("--augment/--no-augment", default=True, help="Turn, mirror and recolour crops at random.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto",
              help="Where to train; on all GPUs: torchrun --nproc-per-node=gpu -m cli train ...")  # fmt: skip
@click.option("--precision", type=click.Choice(["auto", "fp32", "bf16", "fp16"]), default="auto",
              help="Arithmetic of the network; auto: fp32 on the CPU, bf16 or fp16 on CUDA.")  # fmt: skip
@click.option("--workers", type=click.IntRange(0), default=2, metavar="N", help="Processes that read crops.")
@click.option(
    "--seed", type=click.IntRange(0, 2**32 - 1), default=0, metavar="N", help="Of weights, order and augmentation."
)
@click.option("--half", is_flag=True, help="Store the weights as float16: half the size.")
@click.option("--tensorboard", is_flag=True, help="Write logs for TensorBoard too.")
@click.option("--fresh", is_flag=True, help="Start over, where the same command would go on.")
def train(crops: Path, out: Path, **wanted: Any) -> None:
    """Train a SegFormer on CROPS that `noseam crop` cut.

    DIR becomes a checkpoint for `noseam segment --model DIR`: weights of the best epoch, class table,
    the cut of the crops, a model card and the learning curve. The same command again goes on where
    it was stopped.

    \b
    Examples:
      noseam train crops/ --out model/
      noseam train crops/ --out model/ --base nvidia/mit-b0 --epochs 20 --batch-size 8
      noseam train crops/ --out model/ --base b0 --lr 6e-4 --warmup 0.05 --epochs 50
    """
    from segment.record.progress import Meter
    from segment.training.request import TrainRequest
    from segment.training.train import train

    with Meter("steps", quiet=_quiet()) as count:
        result = train(TrainRequest(crops=crops, out=out, **wanted), count)
    if os.environ.get("RANK", "0") != "0":  # under torchrun one process speaks for all
        return
    click.echo(
        f"{result.folder}: mIoU {result.best_miou:.4f} on the validation crops, {result.steps} steps\n"
        f"Next: noseam segment YOUR_PHOTOS --out MASKS --model {result.folder}"
    )


@main.command()
@click.argument("predicted", type=click.Path(exists=True, path_type=Path))
@click.argument("truth", type=click.Path(exists=True, path_type=Path))
@_class_table_option("the names in the masks; colours need it")
@click.option("--seam-width", "seam_px", type=click.IntRange(1), metavar="PX", show_default="the overlaps of tiles",
              help="Width of the zones where tiles meet, model pixels.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", show_default="none",
              help="Folder for evaluation.json, per_class.csv, confusion.csv and confusion.png.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead.")
@click.pass_context
def evaluate(
    ctx: click.Context, /, predicted: Path, truth: Path, classes: Path | None, seam_px: int | None, out: Path | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Compare PREDICTED masks with the TRUTH, at full resolution.

    Masks are paired by name and hold class ids (255 = no label) or colours of the class table. Prints
    IoU, F1, precision, recall and support per class, and how the zones where tiles meet fare
    against the rest.

    \b
    Examples:
      noseam evaluate masks/ truth/ --classes class_dict_seg.csv
      noseam evaluate masks/ truth/ --json --out evaluation/
    """
    from segment.evaluation.compare import evaluate
    from segment.evaluation.report import evaluation_as_dict, evaluation_as_lines, write_report
    from segment.record.progress import Meter
    from tiler.classes import read_class_table
    from tiler.errors import NoPairError

    if out is not None:
        if out.resolve() in {predicted.resolve(), truth.resolve()}:
            raise click.UsageError(f"--out {out}: choose a folder beside the masks")
        out.mkdir(parents=True, exist_ok=True)
    table = None if classes is None else read_class_table(classes)
    with Meter("masks", quiet=_quiet()) as count:
        try:
            evaluation = evaluate(predicted, truth, classes=table, seam_px=seam_px, advance=count)
        except NoPairError as error:
            _nothing_matched(ctx, str(error))
    if as_json:
        click.echo(json.dumps(evaluation_as_dict(evaluation), indent=2))
    else:
        click.echo("\n".join(map(one_line, evaluation_as_lines(evaluation))))
    if out is not None:
        write_report(evaluation, out)
    ctx.exit(FAILED if evaluation.failed else 0)


@main.command()
@click.argument("masks", metavar="MASK...", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="FILE|DIR",
              help="One file for all masks if it ends in .gpkg, .fgb, .geojsonl, .geojsons or .parquet; "
              "else a folder with one file per mask.")  # fmt: skip
@click.option("--format", type=_POLYGON_FORMAT, default="gpkg",
              help="How to store files in a folder: GeoPackage, FlatGeobuf, lines of GeoJSON, GeoParquet.")  # fmt: skip
@_polygon_options
@click.pass_context
def polygons(ctx: click.Context, /, masks: tuple[Path, ...], out: Path, format: Any, **wanted: Any) -> None:
    """Turn label masks into polygons for a GIS.

    MASK are label masks, and folders in which every *_label.png and *_label.tif counts. Each patch of pixels of
    one class becomes a polygon with class, ground area, source and model, in the mask's CRS.

    \b
    Examples:
      noseam polygons masks/ortho_label.tif --out ortho.gpkg --min-area 0.5
      noseam polygons masks/ --out polygons/ --format parquet --only car --only 9
    """
    from segment.record.progress import Meter
    from tiler.errors import TilerError
    from tiler.files.vector import SUFFIXES
    from tiler.polygons.make import write_survey_polygons
    from tiler.polygons.plan import plan_files

    request = _polygons(wanted, wanted=True)
    chosen = ctx.get_parameter_source("format") is not ParameterSource.DEFAULT
    if chosen and SUFFIXES.get(out.suffix.lower(), format) != format and not out.is_dir():
        raise click.UsageError(f"--out {out} is no file of --format {format}; leave out one of them")
    planned = plan_files(masks, out, format)
    if not planned:
        _nothing_matched(ctx, f"no *_label.png or *_label.tif found in {_listed(masks)}")
    one, code = planned[0].path == out, 0
    with Meter("masks", quiet=_quiet()) as count:
        for done, file in enumerate(planned, 1):
            try:
                report = write_survey_polygons(
                    file.masks, file.path, request, advance=count if one else lambda done, total: None
                )
            except TilerError as error:
                if one:
                    raise
                _log.error("failed: %s", error)
                code = FAILED
            else:
                click.echo(one_line(f"{file.path}: {report.polygons} polygons"))
                for note in report.notes:
                    _log.info("%s: %s", file.path, note)
            if not one:
                count(done, len(planned))
    ctx.exit(code)


@main.command()
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
@click.option("--photos", type=click.IntRange(0), default=3, metavar="N", help="Number of JPEG photos.")
@click.option("--photo-size", "photo_shape", type=click.IntRange(64), nargs=2, default=(4000, 6000),
              metavar="HEIGHT WIDTH", help="Of a photo, pixels.")  # fmt: skip
@click.option("--orthomosaics", type=click.IntRange(0), default=0, metavar="N", help="Number of georeferenced TIFFs.")
@click.option("--orthomosaic-size", "orthomosaic_shape", type=click.IntRange(64), nargs=2, default=(6000, 8000),
              metavar="HEIGHT WIDTH", help="Of an orthomosaic, pixels.")  # fmt: skip
@click.option("--gsd", "gsd_m", type=click.FloatRange(0.005, 0.5), default=0.015, metavar="METRES",
              help="Ground sample distance, metres per pixel.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, metavar="N", help="Another seed, other scenes.")
def scenes(out: Path, **wanted: Any) -> None:
    """Make up a survey in OUT: photos and orthomosaics with exact label masks.

    For trying out, training and tests: streets, houses, gardens and ponds in 22 of the 24 classes of
    the Semantic Drone Dataset, in OUT/images, OUT/truth and OUT/classes.csv.

    \b
    Example:
      noseam scenes made-up/ --photos 4 --orthomosaics 1 --seed 7
    """
    from segment.record.progress import Meter
    from tiler.scenes.survey import IMAGES, TRUTH, SurveyRequest, make_survey

    request = SurveyRequest(**wanted)
    with Meter("images", quiet=_quiet()) as count:
        make_survey(out, request, advance=count)
    click.echo(
        f"{out}: {request.photos} photos, {request.orthomosaics} orthomosaics, and their truth\n"
        f"Next: noseam segment {out / IMAGES} --out masks --model demo && noseam evaluate masks {out / TRUTH}"
    )


@main.command()
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=Path("noseam-demo"), metavar="DIR",
              help="Folder for the survey, the masks and the evaluation.")  # fmt: skip
@click.pass_context
def demo(ctx: click.Context, /, out: Path) -> None:
    """Make a small survey, segment it with the bundled model, evaluate; needs no network.

    Three photos of 6000 x 4000 pixels and a georeferenced orthomosaic of made-up streets and gardens,
    whose truth is known exactly. The bundled model knows such scenes and no others.

    \b
    Example:
      noseam demo --out noseam-demo/
    """
    from segment.demo import DEMO_SURVEY, DemoFolders, claim, draw_comparison
    from segment.record.progress import Meter
    from tiler.scenes.survey import IMAGES, TRUTH, is_made, make_survey

    folders = DemoFolders(out)
    claim(folders)
    photos, truth = folders.survey / IMAGES, folders.survey / TRUTH
    if not is_made(folders.survey, DEMO_SURVEY):
        click.echo(f"Making a survey in {folders.survey} ...", err=True)
        with Meter("images", quiet=_quiet()) as count:
            make_survey(folders.survey, DEMO_SURVEY, advance=count)
    click.echo(f"$ noseam segment {photos} --out {folders.masks} --model demo", err=True)
    if code := _run_command(ctx, segment, sources=(photos,), out=folders.masks, model="demo"):
        ctx.exit(code)
    click.echo(f"$ noseam evaluate {folders.masks} {truth} --out {folders.evaluation}", err=True)
    code = _run_command(ctx, evaluate, predicted=folders.masks, truth=truth, out=folders.evaluation)
    draw_comparison(photos / "IMG_0001.jpg", folders.masks / "IMG_0001_label.png", folders.picture)
    click.echo(
        f"\nphotos:      {photos}\n"
        f"masks:       {folders.masks}  (open {folders.masks / 'ortho_1_label.tif'} in QGIS)\n"
        f"at a glance: {folders.picture}\nevaluation:  {folders.evaluation}\n"
        "The bundled model is a demonstration: it knows made-up scenes only. For your own photos:\n"
        "  noseam segment YOUR_PHOTOS --out MASKS --model deep-learning-analytics/segformer_semantic_segmentation\n"
        "  noseam crop IMAGES MASKS --out CROPS && noseam train CROPS --out MODEL    (to train your own)"
    )
    ctx.exit(code)


def _run_command(ctx: click.Context, command: click.Command, **parameters: Any) -> int:
    """Run another command, with its defaults, and return its exit code."""
    try:
        ctx.invoke(command, **parameters)
    except click.exceptions.Exit as end:
        return end.exit_code
    return 0


def _request(survey: dict[str, Any], out: Path, tiling: Tiling | None) -> Request:
    from segment.plan.shard import parse_shard
    from segment.plan.survey import Request
    from tiler.grid.tiling import Tiling, override

    with _usage_errors():
        tiling = override(
            tiling or Tiling(),
            window_px=survey["window"], input_px=survey["input"], overlap=survey["overlap"], gsd_m=survey["gsd"],
        )  # fmt: skip
    with _usage_errors("--shard: "):
        shard = parse_shard(survey["shard"])
    channels, value_range = _channels(survey["channels"]), _value_range(survey["value_range"])
    _log.info("%s", tiling)
    return Request(
        tiling, out, survey["format"], survey["color"], survey["confidence"], _sidecars(survey["sidecars"]),
        survey["polygons_format"] if survey["polygons"] else None, _polygons(survey, wanted=survey["polygons"]),
        survey["georef"], _pose(survey), channels, value_range, _limits(survey), survey["strict"],
        shard,
    )  # fmt: skip


@contextmanager
def _usage_errors(option: str = "") -> Iterator[None]:
    """Call what noseam cannot make of options a wrong usage."""
    from segment.errors import SegmentError
    from tiler.errors import TilerError

    try:
        yield
    except (TilerError, SegmentError) as error:
        raise click.UsageError(f"{option}{error}") from error


def _limits(given: dict[str, Any]) -> FileLimits:
    from tiler.source.limits import FileLimits

    return FileLimits(
        megapixels=given["max_megapixels"], block_mb=given["max_block_mb"],
        pixels_per_byte=given["max_pixels_per_byte"], vrt=given["allow_vrt"],
    )  # fmt: skip


def _claim(out: Path) -> None:
    """Make the output folder; raise where it cannot be written to, before any work."""
    from tiler.files.atomic import hidden_folder

    try:
        out.mkdir(parents=True, exist_ok=True)
        with hidden_folder(out / "probe"):
            pass
    except OSError as error:
        reason = f"{out}: the output folder cannot be written to: {error.strerror or error}"
        raise click.ClickException(reason) from error


def _warn(out: Path, plan: SurveyPlan) -> None:
    """Say what the user may want to look after in the output folder before a run."""
    from segment.plan.survey import left_behind

    free, wanted = shutil.disk_usage(out).free, sum(image.output_bytes for image in plan.images)
    if free < wanted // _TYPICAL_COMPRESSION:
        _log.warning(
            "%.3f GB are free where the masks go; compressed they take perhaps %.3f GB, at most %.3f GB",
            free / 1e9, wanted / _TYPICAL_COMPRESSION / 1e9, wanted / 1e9,
        )  # fmt: skip
    if left := left_behind(plan):
        _log.warning(
            "%d files of earlier runs stay beside the new masks, such as %s; remove them if you do not want both",
            len(left), left[0],
        )  # fmt: skip


def _sidecars(text: str) -> frozenset[str]:
    from tiler.files.beside import GROUPS

    wanted = frozenset(name.strip() for name in text.split(",")) - {"none", ""}
    if unknown := sorted(wanted - GROUPS.keys()):
        raise click.UsageError(f"--sidecars: {', '.join(unknown)} unknown; known: {', '.join(GROUPS)}, none")
    return wanted


def _polygons(given: dict[str, Any], *, wanted: bool) -> PolygonRequest:
    from tiler.extra import require_extra
    from tiler.polygons.request import PolygonRequest

    if wanted:
        require_extra("vector")
    elif given["min_area_m2"] or given["simplify_px"] or given["only"]:
        raise click.UsageError("--min-area, --simplify and --only need --polygons")
    with _usage_errors():
        return PolygonRequest(given["min_area_m2"], given["simplify_px"], given["only"])


def _pose(given: dict[str, Any]) -> PoseOptions:
    from tiler.extra import require_extra
    from tiler.photo.options import PoseOptions

    known = {name: given[name] for name in ("height_m", "ground_m", "dem", "focal_px") if given[name] is not None}
    if given["georef"] == "photo":
        require_extra("photo")
    elif known or given["yaw_source"] != "gimbal":
        raise click.UsageError("options for the poses of photos need --georef photo")
    with _usage_errors():
        return PoseOptions(yaw_source=given["yaw_source"], **known)


def _channels(text: str | None) -> tuple[int, ...]:
    from tiler.source.channels import parse_channels

    with _usage_errors():
        return parse_channels(text) if text else ()


def _value_range(values: tuple[float, float] | None) -> tuple[float, float] | None:
    low, high = values or (0, 1)
    if not (math.isfinite(low) and math.isfinite(high) and low != high):
        raise click.UsageError(f"--value-range: two different finite numbers expected, {low:g} and {high:g} found")
    return values


def _plan(sources: tuple[Path, ...], request: Request) -> SurveyPlan:
    from segment.plan.survey import plan_survey
    from tiler.files.walk import walk_survey

    for source in sources:
        if not source.exists() and not source.is_symlink():
            raise click.UsageError(f"{source}: no such file or folder")
    survey = walk_survey(sources, out=request.out)
    if survey.ignored:
        kinds = ", ".join(f"{count} {suffix}" for suffix, count in survey.ignored.most_common(8))
        _log.info("passed over %d files that are not JPEG, PNG or TIFF by name: %s", survey.ignored.total(), kinds)
    planned = plan_survey(survey, request)
    if planned.masks:
        _log.info("passed over %d masks that noseam wrote", planned.masks)
    if planned.elsewhere:
        _log.info("shard %s: %d of %d inputs", request.shard, planned.inputs, planned.inputs + planned.elsewhere)
    return planned


def _quiet() -> bool:
    asked = click.get_current_context().find_root().params
    return bool(asked["quiet"] > asked["verbose"])


def _listed(paths: tuple[Path, ...]) -> str:
    return ", ".join(map(str, paths[:3])) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")


def _nothing_matched(ctx: click.Context, reason: str) -> NoReturn:
    click.echo(one_line(reason), err=True)
    ctx.exit(NOTHING_MATCHED)


def _name_variables() -> None:
    """Let each option be a variable too, named as on the command line; `plan` goes by those of `segment` as well."""
    for command in (main, *main.commands.values()):
        for option in command.params:
            if isinstance(option, click.Option) and option.name != "version":
                flag = max(option.opts, key=len).lstrip("-").replace("-", "_").upper()
                owners = {"main": [""], "plan": ["PLAN_", "SEGMENT_"]}.get(command.name or "", [f"{command.name}_"])
                option.envvar = [f"NOSEAM_{owner.upper()}{flag}" for owner in owners]


def _refuse_unknown_variables() -> None:
    known = {"NOSEAM_CACHE", "NOSEAM_VERSION"}  # the second is often set in containers
    for command in (main, *main.commands.values()):
        known.update(*(option.envvar or () for option in command.params))
    commands = tuple(f"NOSEAM_{name}_".upper() for name in main.commands)
    for name in sorted(name for name in os.environ if name.startswith("NOSEAM_") and name not in known):
        meant = get_close_matches(name, known, 1, 0.8)
        if meant or name.startswith(commands):  # others may be of the container or the cluster
            hint = f"; did you mean {meant[0]}?" if meant else ""
            raise click.UsageError(f"variable {name}: no such option{hint}")


_name_variables()
if __name__ == "__main__":
    main()
