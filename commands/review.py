"""noseam review."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from commands.command import Command, quiet
from commands.exits import FAILED
from commands.options import options_of, request_of
from segment.record.logs import one_line
from segment.review.request import ReviewRequest
from tiler.grid.tiling import DEFAULT_INPUT_PX
from tiler.words import counted

if TYPE_CHECKING:
    from segment.review.export import Exported
    from segment.review.take_back import TakenBack

_LINES = 20
"""So many windows are listed; the table in the folder holds all."""
_log = logging.getLogger("noseam")
_TO_DO = {
    "crops": ("correct the masks in {file}/masks where they lie (255, white: not labelled)",),
    "cvat": (
        "in CVAT make a project; its labels, as Raw: {folder}/labels.json",
        "import {file} as its dataset: Segmentation mask 1.1, masks not converted to polygons",
        "correct the masks, and export the dataset of the project in the same format",
    ),
    "geopackage": ("in QGIS correct the polygons of the layer labels in {file}; photos: {folder}/images",),
    "label-studio": (
        "start Label Studio with local files (LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT) from {root}",
        "make a project with the interface of {folder}/config.xml",
        "import {file}, correct the masks, and export them as JSON",
    ),
}
_COMES_BACK = {"crops": "{file}", "cvat": "EXPORTED.zip", "geopackage": "{file}", "label-studio": "EXPORTED.json"}


@click.command(cls=Command, short_help="Export windows to label; take corrected labels back.")
@options_of(ReviewRequest)
@click.pass_context
def review(ctx: click.Context, /, **wanted: Any) -> None:
    """Export the windows of a survey that are most worth labelling, and take corrected labels back for training.

    OUT is the output folder of `noseam segment --confidence`. The windows are those in which the model doubts most,
    spread over images and classes. What comes back becomes crops in OUT/review/crops, which `noseam train` takes
    beside others; --input is the model's own, so that it goes on at its scale.

    \b
    Examples:
      noseam review masks/ --export 20 --format cvat
      noseam review masks/ --import from-cvat.zip
      noseam train crops/ masks/review/crops --out better/ --base model/ --input 512
    """
    from segment.record.progress import Meter
    from segment.review.export import Exported
    from segment.steps import review

    request = request_of(ReviewRequest, wanted)
    with Meter("images" if request.export else "windows", quiet=quiet()) as count:
        found = review(request, count)
    if isinstance(found, Exported):
        failed = [(each.image, each.reason) for each in found.left_out]
        lines = _exported(request, found)
    else:
        failed, lines = list(found.refused), _taken_back(request, found)
    for _, reason in failed:
        _log.error("failed: %s", reason)
    if not quiet():
        click.echo("\n".join(map(one_line, lines)))
    ctx.exit(FAILED if failed else 0)


def _exported(request: ReviewRequest, found: Exported) -> Iterator[str]:
    """Yield what was exported, and what to do next."""
    side, by = found.windows[0].window_px, found.windows[0].chosen_by
    images = len({known.image for known in found.windows})
    yield (
        f"{counted(len(found.windows), 'window')} of {side} px in {images} of {counted(found.images, 'image')}, "
        f"chosen by {by}:"
    )
    listed = found.windows[:_LINES]
    width = min(max(len(known.image) for known in listed), 28)
    yield f"  {'image':{width}}  {'row':>6} {'column':>6}  doubt  mostly"
    for known in listed:
        name = known.image if len(known.image) <= width else f"...{known.image[3 - width :]}"
        yield f"  {name:{width}}  {known.row_off:6} {known.col_off:6}  {known.score:5.1%}  {known.why}"
    if len(found.windows) > _LINES:
        yield f"  and {len(found.windows) - _LINES} more in {found.folder / 'windows.csv'}"
    if found.mean_score:
        mean = sum(known.score for known in found.windows) / len(found.windows)
        yield f"doubt: {mean:.1%} in these windows, {found.mean_score:.1%} in all"
    places = {"file": found.file, "folder": found.folder, "root": found.folder.absolute().parent}
    yield f"windows: {found.folder / 'windows.csv'}"
    command = f"noseam review {request.out} --import {_COMES_BACK[request.format]}"
    steps = enumerate((*_TO_DO[request.format], command), 1)
    yield from ("Next:", *(f"  {number}. {step.format(**places)}" for number, step in steps))


def _taken_back(request: ReviewRequest, found: TakenBack) -> Iterator[str]:
    """Yield what was taken back, and what to do next."""
    labelled = sum(row.labelled for row in found.taken)
    share = sum(row.changed for row in found.taken) / labelled if labelled else 0.0
    images = len({row.image for row in found.taken})
    yield (
        f"{counted(len(found.taken), 'window')} of {counted(images, 'image')} taken, {labelled / 1e6:.2f} megapixels "
        f"labelled; people changed {share:.1%} of these labels"
    )
    if found.unchanged:
        yield (
            f"{counted(len(found.unchanged), 'window')} came back as exported and left out, because nobody may have "
            "looked at them; --take-unchanged takes them too"
        )
    if found.empty:
        yield f"{counted(len(found.empty), 'window')} came back without any label"
    if found.refused:
        yield f"{counted(len(found.refused), 'window')} could not be taken, see above"
    if found.taken:
        yield f"crops: {found.crops}"
        same = f" --input {found.input_px}" if found.input_px not in {None, DEFAULT_INPUT_PX} else ""
        yield f"Next: noseam train YOUR_CROPS {found.crops} --out BETTER_MODEL --base MODEL{same}"
