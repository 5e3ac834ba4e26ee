"""The group of all commands: what stands before a command's name, and how errors become exit codes."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import click

from commands.command import TYPED, log_options
from commands.exits import IN_USE
from commands.settings import SETTINGS_FILE, load_settings, refuse_unknown_variables
from segment.errors import FolderInUseError
from segment.guard.signals import Interrupted, ending_in_order, raise_if_asked
from segment.record.logs import one_line
from tiler.errors import NoseamError, reason_of

_log = logging.getLogger("noseam")
_RESUMABLE = {
    **dict.fromkeys(("segment", "crop", "demo"), "; the same command again goes on from here"),
    "train": "; the same command again goes on from the last validation",
}


class Group(click.Group):
    """A group that turns noseam's own errors into one line and an exit code, and takes the options of the log."""

    def __init__(self, *names: Any, **known: Any) -> None:
        super().__init__(*names, **known)
        self.params += log_options()

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read what stands before the command's name; keep all that was typed, for the record of a run."""
        ctx.meta[TYPED] = tuple(args)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was asked for."""
        try:
            with ending_in_order():
                try:
                    return super().invoke(ctx)
                except (NoseamError, ImportError, OSError):
                    raise_if_asked()  # a library may take a signal for an error of its own
                    raise
        except Interrupted as signal:
            click.echo("interrupted" + _RESUMABLE.get(ctx.invoked_subcommand or "", ""), err=True)
            ctx.exit(signal.exit_code)
        except FolderInUseError as error:
            click.echo(one_line(f"Error: {error}"), err=True)
            ctx.exit(IN_USE)
        except (NoseamError, OSError) as error:
            if isinstance(error, BrokenPipeError):  # Click ends the process itself
                raise
            _log.debug("%s; --debug shows where", type(error).__name__, exc_info=True)
            raise click.ClickException(one_line(reason_of(error))) from error


@click.group(
    cls=Group,
    context_settings={"show_default": True, "help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="noseam")
@click.option("--config", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", is_eager=True,
              expose_value=False, callback=load_settings, show_default=f"{SETTINGS_FILE}, if it is there",
              help="Settings come from this TOML file: a table for each command, such as [segment], with its options "
              "as keys.")  # fmt: skip
def main(**_: Any) -> None:
    """Turn folders of large aerial images into full-resolution masks, with no seams.

    Every option of a command can also be set as a variable, such as
    NOSEAM_SEGMENT_DEVICE=cpu, and in the file noseam.toml.

    \b
    Exit codes:
      0    all done
      1    the run failed
      2    the command is wrong: an option, or a folder, model or table that it names
      3    some images failed
      4    no image found
      5    stopped by --max-runtime with images left, whatever failed; status: images are left
      75   another run holds the output folder
      130  interrupted
      143  terminated

    \b
    Examples:
      noseam demo
      noseam doctor
      noseam crop images/ masks/ --out crops/ --classes classes.csv
      noseam train crops/ --out model/
      noseam segment survey/ --out masks/ --model model/
      noseam status masks/
      noseam evaluate masks/ truth/ --classes classes.csv
      noseam polygons masks/ --out polygons/
    """
    refuse_unknown_variables(main)  # the command itself sets the log, by what stands after its name too
