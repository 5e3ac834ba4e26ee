"""noseam crop."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from commands.command import Command, quiet
from commands.exits import FAILED, nothing_matched
from commands.options import options_of, request_of
from tiler.crops.request import CropRequest
from tiler.errors import NoPairError
from tiler.words import counted

if TYPE_CHECKING:
    from tiler.crops.cut import CropOutcome

_log = logging.getLogger("noseam")


@click.command(cls=Command, short_help="Cut images and masks into training crops.")
@options_of(CropRequest)
@click.pass_context
def crop(ctx: click.Context, /, **wanted: Any) -> None:
    """Cut IMAGES and their MASKS into training crops.

    Images and masks are paired by name. Masks hold class ids (255 = no label), or colours of the
    class table. The same command again cuts only what is new or has changed, and deletes the crops of
    images that are gone.

    \b
    Examples:
      noseam crop images/ masks/ --out crops/
      noseam crop images/ masks_rgb/ --out crops/ --classes class_dict_seg.csv
      noseam crop images/ masks/ --out crops/ --split-by place
      noseam crop train/images/ train/masks/ --val val/images/ val/masks/ --out crops/
    """
    from segment.record.progress import Meter
    from segment.steps import crop
    from tiler.crops.plan import window_that_fits
    from tiler.crops.split_report import split_as_line, split_warnings
    from tiler.masks.view import size_in_words

    request = request_of(CropRequest, wanted)
    with Meter("images compared", quiet=quiet()) as looked, Meter("images", quiet=quiet()) as count:
        small: list[Path] = []

        def advance(outcome: CropOutcome, done: int, total: int) -> None:
            count(done, total)
            if outcome.state == "failed":
                _log.error("failed: %s", outcome.reason)
            if outcome.shape and min(outcome.shape) < request.crops.window_px and not small:
                small.append(outcome.path)
                _log.warning(
                    "%s has %s, fewer than the window of %d: crops of such images are padded; --window %d fits",
                    outcome.path, size_in_words(outcome.shape), request.crops.window_px,
                    window_that_fits(outcome.shape),
                )  # fmt: skip
            for note in outcome.notes:
                _log.info("%s: %s", outcome.path, note)

        try:
            report = crop(request, advance, looked)
        except NoPairError as error:
            nothing_matched(ctx, str(error))
    for lone, what in ((report.only_images, "image without a mask"), (report.only_masks, "mask without an image")):
        for path in lone:
            _log.warning("%s: %s", what, path)
    click.echo(
        f"{request.out}: {counted(report.train + report.val, 'crop')} of "
        f"{counted(len(report.done) + len(report.skipped), 'image')}, "
        f"{report.train} to train, {report.val} to validate"
        + (f"; {report.padded} are padded, as their images are smaller than the window" if report.padded else "")
        + f"; {report.filtered} left out for want of labels\n"
        f"{counted(len(report.done), 'image')} cut, {len(report.skipped)} up to date, {len(report.failed)} failed, "
        f"{len(report.only_images)} without a mask, {counted(len(report.only_masks), 'mask')} without an image"
        + (f"; deleted: crops of {counted(report.removed, 'image')} that are gone" if report.removed else "")
    )
    click.echo(split_as_line(report.split))
    for warning in split_warnings(report.split):
        _log.warning("%s", warning)
    named = "without names: --classes gives them" if report.named_by == "nobody" else f"named by {report.named_by}"
    click.echo(f"{len(report.class_pixels)} classes, {named}")
    if bool(report.train) != bool(report.val):
        _log.warning("all crops are on one side of the split: training needs two images, and 0 < --split < 1")
    ctx.exit(FAILED if report.failed else 0)
