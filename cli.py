"""The noseam command line: parse, call one function per command, map errors to exit codes."""

from __future__ import annotations

import json
import logging
import math
import os
import tomllib
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from segment.plan import Request, SurveyPlan
    from tiler.tiling import Tiling

FAILED, NOTHING_MATCHED, INTERRUPTED = 3, 4, 130
SETTINGS_FILE = Path("noseam.toml")
_Command = TypeVar("_Command", bound=Callable[..., Any])
_log = logging.getLogger("noseam")


class _Group(click.Group):
    """Turn noseam's own errors into one line and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("interrupted; the same command again goes on from here", err=True)
            ctx.exit(INTERRUPTED)
        except Exception as error:
            ours = type(error).__module__ in {"tiler.errors", "segment.errors"}
            if not ours and not (isinstance(error, OSError) and error.filename):  # a broken pipe has no file
                raise
            raise click.ClickException(str(error)) from error


class _Formatter(logging.Formatter):
    """One record is one line, and no file name can move the cursor."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's own name
        record.message = _one_line(record.message)
        return super().formatMessage(record)


def _one_line(text: str) -> str:
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def _load_settings(ctx: click.Context, _: click.Parameter, path: Path | None) -> None:
    """Take defaults from a TOML file; a key that no command has is an error, never ignored."""
    if path is None and not SETTINGS_FILE.is_file():
        return
    path = path or SETTINGS_FILE
    try:
        tables = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise click.UsageError(f"{path}: {error}") from error
    settings: dict[str, dict[str, Any]] = {}
    for name, table in tables.items():
        command = main.get_command(ctx, name)
        if command is None or not isinstance(table, dict):
            raise click.UsageError(f"{path}: [{name}] is no command; known: {', '.join(main.list_commands(ctx))}")
        options = {flag.lstrip("-"): option.name for option in command.params for flag in option.opts}
        if unknown := sorted(key for key in table if key.replace("_", "-") not in options):
            raise click.UsageError(f"{path}: [{name}] has no option {', '.join(unknown)}")
        settings[name] = {str(options[key.replace("_", "-")]): value for key, value in table.items()}
    ctx.default_map = settings


@click.group(
    cls=_Group,
    context_settings={"show_default": True, "help_option_names": ["-h", "--help"], "auto_envvar_prefix": "NOSEAM"},
)  # fmt: skip
@click.version_option(package_name="noseam")
@click.option("--config", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", is_eager=True,
              expose_value=False, callback=_load_settings, show_default=f"{SETTINGS_FILE}, if it is there",
              help="Settings as TOML: a table per command, such as [segment], with its options as keys.")  # fmt: skip
@click.option("-v", "--verbose", count=True, help="Log more: -v tells why images failed.")
@click.option("-q", "--quiet", count=True, help="Log less: -q warnings and errors only, -qq errors only.")
def main(verbose: int, quiet: int) -> None:
    """Turn folders of large aerial images into full-resolution masks, with no seams.

    \b
    Exit codes: 0 all done, 1 the run failed, 2 usage, 3 some images failed,
    4 no image found, 130 interrupted. Every option can be set as a variable,
    such as NOSEAM_SEGMENT_DEVICE=cpu, and in noseam.toml.

    \b
    Example:
      noseam segment survey/ --out masks/ --model my-checkpoint/
    """
    level = min(max(logging.INFO + 10 * (quiet - verbose), logging.DEBUG), logging.ERROR)
    handler = logging.StreamHandler()
    handler.setFormatter(_Formatter("%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S"))
    logging.basicConfig(level=logging.ERROR, handlers=[handler], force=True)
    for name in ("noseam", "segment", "tiler"):  # of other packages only errors
        logging.getLogger(name).setLevel(level)
    warnings.filterwarnings("ignore", message="Dataset has no geotransform")


def _survey_options(command: _Command) -> _Command:
    """Add what `plan` and `segment` share: sources, tiling, reading and storing."""
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
            click.option("--channels", metavar="R,G,B[,VALID]", show_default="by the file's own names",
                         help="Channels to read, from 1: three, one (grey), or four "
                         "(the fourth marks valid pixels); any other alpha is then ignored."),
            click.option("--value-range", type=float, nargs=2, metavar="MIN MAX",
                         show_default="each file's own 2nd and 98th percentile",
                         help="Values that become black and white in files that are not 8-bit."),
        )
    ):  # fmt: skip
        command = option(command)
    return command


@main.command()
@_survey_options
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
              help="Output folder; mirrors the tree of the sources.")  # fmt: skip
@click.option("--model", required=True, metavar="ID|DIR",
              help="Checkpoint: a SegFormer folder, or a Hugging Face hub id owner/name.")  # fmt: skip
@click.option("--classes", type=click.Path(path_type=Path, dir_okay=False), metavar="CSV",
              show_default="the checkpoint's",
              help="Class table: name, r, g, b; one row per class, in order of id.")  # fmt: skip
@click.option("--device", default="auto", metavar="auto|cpu|cuda[:N]", help="Where the network runs.")
@click.option("--precision", type=click.Choice(["auto", "fp32", "bf16", "fp16"]), default="auto",
              help="Arithmetic of the network; auto: fp32 on the CPU, bf16 or fp16 on CUDA.")  # fmt: skip
@click.option("--batch-size", type=click.IntRange(1), metavar="TILES", show_default="4 on the CPU, 16 on CUDA",
              help="Most tiles per call of the network.")  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Make masks again that are up to date; replace foreign files.")
@click.pass_context
def segment(
    ctx: click.Context, /, out: Path, model: str, classes: Path | None, device: str, precision: Any,
    batch_size: int | None, overwrite: bool, **survey: Any,
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
    from segment.checkpoint import describe_checkpoint

    description = describe_checkpoint(model)
    request = _request(survey, out, description.tiling)
    if request.tiling == description.tiling:
        _log.info("tiling: %s", description.tiling_source)
    plan = _plan(survey["sources"], request)
    if not (plan.images or plan.refused):
        _nothing_matched(ctx)
    out.mkdir(parents=True, exist_ok=True)
    if not os.access(out, os.W_OK):
        raise click.ClickException(f"{out}: the output folder cannot be written to")
    from segment.job import open_runner
    from segment.progress import Progress

    runner = open_runner(description, classes, device=device, precision=precision, batch_size=batch_size)
    code = 0
    with Progress(plan, quiet=not _log.isEnabledFor(logging.INFO)) as progress:
        for outcome in runner.run(plan, request, overwrite=overwrite, advance=progress.advance):
            progress.report(outcome)
            code = FAILED if outcome.state == "failed" else code
    ctx.exit(code)


@main.command()
@_survey_options
@click.option("--model", metavar="ID|DIR", show_default="none, so 512 px tiles at full resolution",
              help="Checkpoint whose tiling to use.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", default=Path("masks"),
              help="Output folder of the run that is planned; not walked, nothing is written.")  # fmt: skip
@click.option(
    "--json", "as_json", is_flag=True, envvar="NOSEAM_PLAN_JSON", help="Print one JSON object instead of text."
)
@click.pass_context
def plan(ctx: click.Context, /, model: str | None, out: Path, as_json: bool, **survey: Any) -> None:
    """Say what segment would do, from headers alone: no pixel is read, nothing is written.

    Prints images, sizes in pixels, tiles, the size of the masks before compression, and every file
    that cannot be read, with the reason.

    \b
    Examples:
      noseam plan survey/ --window 2000 --input 512 --overlap 0.25
      noseam plan survey/ --model my-checkpoint/ --json
    """
    from segment.checkpoint import describe_checkpoint
    from segment.plan_report import plan_as_dict, plan_as_lines

    planned = _plan(survey["sources"], _request(survey, out, describe_checkpoint(model).tiling if model else None))
    lines = [json.dumps(plan_as_dict(planned), indent=2)] if as_json else map(_one_line, plan_as_lines(planned))
    click.echo("\n".join(lines))
    if not (planned.images or planned.refused):
        _nothing_matched(ctx)
    ctx.exit(FAILED if planned.refused else 0)


@main.command()
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=Path("noseam-demo"), metavar="DIR",
              help="Folder for the photos, the model and the masks.")  # fmt: skip
@click.pass_context
def demo(ctx: click.Context, /, out: Path) -> None:
    """Make two small photos and an untrained model, and segment them; needs no network.

    The model has random weights, so the labels mean nothing: it shows that everything runs, and
    what files come out.

    \b
    Example:
      noseam demo --out noseam-demo/
    """
    click.echo(f"Making two photos and an untrained model in {out} ...", err=True)
    from segment.demo import make_demo

    photos, model = make_demo(out)
    click.echo(f"noseam segment {photos} --out {out / 'masks'} --model {model}", err=True)
    try:
        ctx.invoke(segment, sources=(photos,), out=out / "masks", model=str(model))
    finally:
        click.echo(f"photos: {photos}\nmasks:  {out / 'masks'}\nThe model is untrained: its labels mean nothing.")
        click.echo("Next:   noseam segment YOUR_PHOTOS --out MASKS --model YOUR_CHECKPOINT")


def _request(survey: dict[str, Any], out: Path, tiling: Tiling | None) -> Request:
    from segment.plan import Request
    from tiler.channels import parse_channels
    from tiler.errors import ChannelError, GridError
    from tiler.tiling import Tiling, override

    try:
        tiling = override(
            tiling or Tiling(),
            window_px=survey["window"], input_px=survey["input"], overlap=survey["overlap"], gsd_m=survey["gsd"],
        )  # fmt: skip
        channels = parse_channels(survey["channels"]) if survey["channels"] else ()
    except (ChannelError, GridError) as error:
        raise click.UsageError(str(error)) from error
    low, high = survey["value_range"] or (0, 1)
    if not (math.isfinite(low) and math.isfinite(high) and low != high):
        raise click.UsageError(f"--value-range: two different finite numbers expected, {low:g} and {high:g} found")
    _log.info("%s", tiling)
    return Request(tiling, out, survey["format"], survey["color"], channels, survey["value_range"])


def _plan(sources: tuple[Path, ...], request: Request) -> SurveyPlan:
    from segment.plan import plan_survey
    from tiler.discover import walk_survey

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
    return planned


def _nothing_matched(ctx: click.Context) -> None:
    click.echo("no JPEG, PNG or TIFF image found", err=True)
    ctx.exit(NOTHING_MATCHED)


if __name__ == "__main__":
    main()
