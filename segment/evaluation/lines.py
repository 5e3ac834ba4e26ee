"""Say in lines for people what an evaluation found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from segment.evaluation.blocks import Blocks
from segment.evaluation.grid_dependence import Dependence
from segment.evaluation.metrics import Metrics, metrics_as_lines, or_none, percent
from segment.evaluation.reliability import Reliability
from segment.evaluation.results import Evaluation, ImageScore
from segment.evaluation.seams import SeamScores
from tiler.words import counted

_LISTED_FILES = 12
_WORST = 3


def evaluation_as_lines(evaluation: Evaluation) -> list[str]:
    """Return an evaluation as lines: classes, summary, seams, the grid, blocks, then what was not compared."""
    lines = []
    if evaluation.truth_model:
        lines.append(
            f"two runs are compared: noseam made what was given as truth too, with the model {evaluation.truth_model}; "
            "scores say how alike the two are, not how right"
        )
    if evaluation.images and evaluation.judged:
        lines += metrics_as_lines(evaluation.metrics, evaluation.classes)
        lines += [*_reliability_lines(evaluation.reliability), *_seam_lines(evaluation.seams)]
    if evaluation.images:
        lines += [*_grid_lines(evaluation), *_block_lines(evaluation.blocks, evaluation.control)]
    lines += _doubt_lines(evaluation.images)
    for what, paths in (
        ("predicted only", evaluation.only_predicted),
        ("truth only", evaluation.only_truth),
        ("no shifted mask", evaluation.without_shifted),
        ("shifted only", evaluation.only_shifted),
    ):
        lines += _file_lines(what, paths)
    lines += [f"failed: {failed.reason}" for failed in evaluation.failed]
    sides = (evaluation.only_predicted, evaluation.only_truth, evaluation.without_shifted, evaluation.only_shifted)
    alone = {path for paths in sides for path in paths}
    lines.append(
        f"{counted(len(evaluation.images), 'image')} compared, {len(evaluation.failed)} failed, "
        f"{len(alone)} without partner" + "; there are no scores" * (not evaluation.images)
    )
    return lines


def _seam_lines(seams: SeamScores | None) -> list[str]:
    if seams is None:
        return ["zones where tiles meet: no mask says where its tiles lay, or none has more than one"]
    columns = {"zones": seams.seam, "interior": seams.interior}
    if seams.control is not None:
        columns["same, shifted"] = seams.control
    against = seams.control or seams.interior
    lines = [
        f"zones where tiles meet, {seams.width_px} model px wide ({counted(seams.images, 'image')}, "
        f"mIoU over {len(seams.classes)} classes)",
        _row("", (f"{head:>13}" for head in columns), "difference" if seams.control is None else "the seam alone"),
    ]
    scores: dict[str, Callable[[Metrics], float]] = {
        "mIoU": seams.miou_of, "accuracy": lambda of: of.accuracy, "fwIoU": lambda of: of.fwiou,
    }  # fmt: skip
    for name, score in scores.items():
        points = or_none(100 * (score(seams.seam) - score(against)))
        cells = (f"{percent(score(each)):>13}" for each in columns.values())
        lines.append(_row(name, cells, "-" if points is None else f"{points:+.2f} points"))
    lines.append(_row("pixels", (f"{each.pixels:13,}" for each in columns.values())))
    return [*lines, _seam_words(seams)]


def _reliability_lines(found: Reliability | None) -> Iterator[str]:
    if found is not None and found.pixels:
        yield (
            f"confidence: states {percent(found.confidence)} % on average, {percent(found.accuracy)} % are right;"
            f" expected calibration error {percent(found.ece)} %"
        )


def _row(name: str, cells: Iterable[str], last: str = "") -> str:
    return f"{name:8}  {' '.join(cells)}  {last}".rstrip()


def _seam_words(seams: SeamScores) -> str:
    if seams.control is None:
        return "The difference mixes position and seam; --shifted tells them apart."
    if not seams.control.pixels:
        return "Both masks have their tiles meet at the same places; make the shifted ones with another --grid-shift."
    return "Same, shifted: the same places in masks whose tiles do not meet there."


def _grid_lines(evaluation: Evaluation) -> Iterator[str]:
    found, one_tile = evaluation.dependence, evaluation.one_tile
    if found is None or one_tile is None:
        return
    if found.pixels:
        images = evaluation.in_tiles
        yield f"labels that depend on the grid: {percent(found.share)} %"
        yield f"  of {found.pixels:,} in {counted(len(images), 'image')} of several tiles each"
        yield from _level_lines(found)
        if found.differing:
            classes = (f"{name} ({percent(share)} %)" for name, share in found.classes(evaluation.classes)[:_WORST])
            yield f"  most of them in: {', '.join(classes)}"
        yield from (f"  {percent(share):>5} % in {name}" for name, share in images[:_WORST] if share)
    if evaluation.in_one_tile:
        yield _one_tile_line(found, one_tile, evaluation.in_one_tile)


def _level_lines(found: Dependence) -> Iterator[str]:
    if not found.levels:
        yield "  by confidence: not known; noseam segment --confidence writes it beside the masks"
        return
    total = sum(level.pixels for level in found.levels)
    yield f"  {'confidence':12} {'labels':>15}     of all   depend on the grid"
    for level in found.levels:
        part, share = percent(level.pixels / total), percent(level.share)
        yield f"  {level.least} to {level.below:<5} {level.pixels:15,} {part:>8} % {share:>18} %"


def _one_tile_line(found: Dependence, one_tile: Dependence, images: int) -> str:
    said = f"{counted(images, 'image')} in one tile each: no grid to depend on"
    if one_tile.differing:
        return f"{said}, yet {percent(one_tile.share)} % of their labels differ: the runs differ in more"
    if not found.pixels:
        return said
    return f"{said}; with {'it' if images == 1 else 'them'}, {percent((found + one_tile).share)} % of all labels"


def _block_lines(blocks: Blocks | None, control: Blocks | None) -> Iterator[str]:
    if blocks is None:
        return
    yield f"blocks of a tile's shape: {blocks.blockiness:.2f} (1.00: none can be seen)"
    if control is not None:
        yield f"  {control.blockiness:.2f} at the same places of the shifted masks, whose tiles meet elsewhere"
    yield f"  {blocks.changes:,} label changes where tiles meet, {blocks.expected:,.0f} expected without tiles"
    if not blocks.enough:
        yield "  so few changes say little"


def _doubt_lines(images: Iterable[ImageScore]) -> Iterator[str]:
    """Yield what made predicted masks doubtful when they were made, each kind once."""
    said: dict[str, list[tuple[str, str]]] = {}
    for image in images:
        for doubt in image.doubts:
            said.setdefault(doubt.kind, []).append((image.name, str(doubt)))
    for found in said.values():
        name, why = found[0]
        yield f"doubtful, {counted(len(found), 'predicted mask')}, such as {name}: {why}"


def _file_lines(what: str, paths: Sequence[Path]) -> list[str]:
    lines = [f"{what}: {path}" for path in paths[:_LISTED_FILES]]
    return lines if len(paths) <= _LISTED_FILES else [*lines, f"{what}: {len(paths) - _LISTED_FILES} more"]
