"""The index of a folder of training crops: one row per crop, and the classes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from tiler.classes import ClassTable, distinct_colours, read_class_table, write_class_table
from tiler.crops.plan import CropOptions
from tiler.crops.record import CropRow, Record
from tiler.crops.split import Side, one_each, sides_of
from tiler.errors import ClassTableError, CropIndexError, NoCropsError
from tiler.files.atomic import replacing, write_whole

INDEX = "crops.csv"
"""The table of crops."""
CLASSES = "classes.csv"
"""The class table."""
_REPEAT_THRESHOLD = 0.5
_TEXT = ("split", "image", "mask", "source")
_NUMBERS = ("row_off", "col_off", "height", "width", "window_px", "repeat", "labelled")
_COUNT = "px_"
_GSD, _GROUP, _TOLD_BY = "gsd_m", "group", "split_by"
"""Optional columns: earlier releases wrote none."""
_OPTIONAL = (_GSD, _GROUP, _TOLD_BY)


def build_index(
    records: Iterable[Record], classes: ClassTable, request: CropOptions, sides: Mapping[str, Side] | None = None
) -> pd.DataFrame:
    """Return the table of crops, sorted by source, row and column.

    Its columns are split (`train` or `val`), image and mask (POSIX paths relative to the folder), source, row_off,
    col_off, height and width (the source pixels in the crop), window_px (side of the crop's files), repeat (how often
    an epoch shows the crop), labelled (number of pixels that carry a label), per class `px_<name>` (number of
    its pixels), gsd_m (ground sample distance of the source, metres per pixel; NaN where it is not known), group
    (sources of one group stand on one side; it has the name of its first) and split_by (what told the group: see
    `ToldBy`).

    Parameters
    ----------
    records : iterable of Record
        What was cut from each source; sources without crops are left out.
    classes : ClassTable
        Holds every id in the records.
    request : CropOptions
        The split and whether to balance.
    sides : mapping of str to Side, optional
        The side of each source that has crops; by default each is drawn by itself.
    """
    records = sorted((record for record in records if record.rows), key=lambda record: record.source)
    if sides is None:
        each = one_each(record.source for record in records)
        sides = sides_of(each, crops_of(records), split=request.split, seed=request.seed)
    train = [row for record in records if sides[record.source].split == "train" for row in record.rows]
    factors = repeat_factors([[index for index, _ in row.counts] for row in train]) if request.balance else {}
    columns = _columns(classes)
    lines = [
        (
            sides[record.source].split, row.image, row.mask, record.source,
            row.window.row_off, row.window.col_off, row.window.height, row.window.width, request.window_px,
            _repeat(row, factors) if sides[record.source].split == "train" else 1,
            row.labelled, *_per_class(row, classes),
            math.nan if record.gsd_m is None else record.gsd_m,
            sides[record.source].group, sides[record.source].told_by,
        )
        for record in records
        for row in record.rows
    ]  # fmt: skip
    return pd.DataFrame(lines, columns=[*columns, *_OPTIONAL]).astype(_types(columns))


def crops_of(records: Iterable[Record]) -> dict[str, int]:
    """Return the number of crops of each source that has any."""
    return {record.source: len(record.rows) for record in records if record.rows}


def repeat_factors(crops: Sequence[Iterable[int]]) -> dict[int, float]:
    """Return how often an epoch is to show the crops that hold a class, by class id; at least 1.

    The factor is `max(1, sqrt(t / f))` with t = 0.5, where f is the fraction of the crops that hold the class. It is
    the repeat factor sampling of Gupta, Dollar and Girshick 2019 (LVIS, section 5). They have 1203 classes and
    t = 0.001; a survey has a few dozen.

    Parameters
    ----------
    crops : sequence of iterables of int
        The classes in each training crop.
    """
    holding = Counter(index for crop in crops for index in set(crop))
    return {index: max(1.0, math.sqrt(_REPEAT_THRESHOLD * len(crops) / held)) for index, held in holding.items()}


def made_up_classes(records: Iterable[Record]) -> ClassTable:
    """Return a class table with a name and colour for every id from 0 to the largest in the records."""
    largest = max((index for record in records for row in record.rows for index, _ in row.counts), default=0)
    return ClassTable(tuple(f"class {index}" for index in range(largest + 1)), distinct_colours(largest + 1))


def write_crop_index(out: Path, index: pd.DataFrame, classes: ClassTable) -> None:
    """Write the class table and the table of crops, each whole or not at all."""
    with replacing(out / CLASSES) as temporary:
        write_class_table(temporary, classes)
    write_whole(out / INDEX, index.to_csv(index=False, lineterminator="\n").encode(errors="surrogateescape"))


def read_crop_index(out: Path) -> tuple[pd.DataFrame, ClassTable]:
    """Return the table of crops of a folder, see `build_index`, and its classes.

    Raises
    ------
    CropIndexError
        If either file is missing or malformed, or a file that the table lists is missing.
    """
    path = out / INDEX
    if not path.is_file():
        raise NoCropsError(f"{out}: no {INDEX}; expected a folder that noseam crop wrote")
    try:
        classes = read_class_table(out / CLASSES)
    except ClassTableError as error:
        raise CropIndexError(str(error)) from error
    try:
        index = pd.read_csv(path, dtype="str", keep_default_na=False, encoding_errors="surrogateescape")
        expected = _columns(classes)
        if [name for name in index.columns if name not in _OPTIONAL] != expected:
            raise ValueError(f"columns {', '.join((*expected, *_OPTIONAL))} expected, {', '.join(index.columns)} found")
        index = index.assign(**{name: index.get(name, "") for name in _OPTIONAL})
        index = index.replace({_GSD: ""}, "nan").astype(_types(expected))
    except (OSError, ValueError) as error:  # pandas' parser errors are ValueErrors
        raise CropIndexError(f"{path}: {error}") from error
    _check(path, index)
    return index, classes


def _columns(classes: ClassTable) -> list[str]:
    """Return the columns that every index has, in their order."""
    return [*_TEXT, *_NUMBERS, *(_COUNT + name for name in classes.names)]


def _types(columns: list[str]) -> dict[str, str]:
    return {**dict.fromkeys(columns[len(_TEXT) :], "int64"), _GSD: "float64"}


def _check(path: Path, index: pd.DataFrame) -> None:
    if wrong := sorted(set(index["split"]) - {"train", "val"}):
        raise CropIndexError(f"{path}: split train or val expected, {wrong[0]!r} found")
    if (index[list(_NUMBERS)] < 0).any(axis=None) or (index["repeat"] < 1).any():
        raise CropIndexError(f"{path}: a negative number, or a repeat below 1; expected numbers from 0, repeats from 1")
    if (known := index[_GSD].dropna()).le(0).any() or known.eq(math.inf).any():
        raise CropIndexError(f"{path}: {_GSD} is a positive number of metres or empty, {known.min():g} found")
    missing = [file for file in (*index["image"], *index["mask"]) if not (path.parent / file).is_file()]
    if missing:
        raise CropIndexError(
            f"{path}: {len(missing)} of its files are missing, such as {missing[0]}; run noseam crop again"
        )


def _repeat(row: CropRow, factors: dict[int, float]) -> int:
    return round(max((factors[index] for index, _ in row.counts if index in factors), default=1.0))


def _per_class(row: CropRow, classes: ClassTable) -> list[Any]:
    counts = dict(row.counts)
    return [counts.get(index, 0) for index in range(len(classes))]
