"""The crops of a training: which train, which validate, and how often each class shows."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import numpy as np
import pandas
from numpy.typing import NDArray

from segment.errors import TrainError
from segment.training.dataset import Crop
from segment.training.ground import Ground, Piece
from tiler.classes import NO_LABEL, ClassTable
from tiler.crops.index import CLASSES, INDEX, read_crop_index
from tiler.crops.record import CORRECTED, read_records
from tiler.grid.window import Window
from tiler.remap.options import AS_IT_IS, RemapOptions
from tiler.remap.table import remap_classes
from tiler.words import counted

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Split:
    """The crops of one side of the split."""

    crops: tuple[Crop, ...]
    """The crops, each as often as it is used per epoch."""
    pixels: NDArray[np.int64]
    """Labelled source pixels of each entry of `crops` and each class, shape (crops, classes)."""
    files: int
    """Number of different crops."""
    sources: int
    """Number of images that they were cut from."""
    labelled: int
    """Labelled source pixels of the different crops."""

    @property
    def class_frequencies(self) -> list[float]:
        """Share of each class among the labelled pixels that an epoch shows, six digits each; their sum is 1."""
        counts = self.pixels.sum(axis=0)
        return [float(f"{share:.6g}") for share in counts / counts.sum()]


@dataclass(frozen=True, slots=True)
class CropSet:
    """The crops of one folder, or of several together."""

    folders: tuple[Path, ...]
    """Where they are."""
    in_masks: ClassTable
    """What the ids in the masks mean."""
    classes: ClassTable
    """The classes that are trained, after some were left out or merged."""
    lookup: NDArray[np.uint8]
    """The id that is trained of each id in the masks, shape (256,)."""
    window_px: int
    """Side of a crop, source pixels."""
    train: Split
    """Crops to train on."""
    val: Split
    """Crops to validate on, each once."""
    gsd_m: tuple[float, float] | None
    """Least and greatest ground sample distance of the images of training crops, metres per source pixel, of those
    that say theirs; None if none does."""
    digest: str
    """32 hex digits that change with the index or the class table of a folder."""

    @property
    def where(self) -> str:
        """The folders in words."""
        return " and ".join(map(str, self.folders))


def read_crop_set(*folders: Path, remap: RemapOptions = AS_IT_IS) -> CropSet:
    """Return the crops of folders that `noseam crop` or `noseam review` made, all together.

    Parameters
    ----------
    *folders : Path
        Where they are.
    remap : RemapOptions
        Which classes are left out or merged.

    Raises
    ------
    ClassTableError
        If `remap` does not fit the classes.
    CropIndexError
        If the index of a folder is missing or malformed.
    TrainError
        If the crops have several sizes or the folders several class tables, or one side of the split has no labelled
        pixel.
    """
    tables, hasher, classes = [], hashlib.sha256(), None
    for folder in folders:
        table, found = read_crop_index(folder)
        classes = _agreed(folder, found, folders[0], classes)
        tables.append(table.assign(folder=str(folder)))
        hasher.update((folder / INDEX).read_bytes())
        hasher.update((folder / CLASSES).read_bytes())
    assert classes is not None
    table = pandas.concat(tables, ignore_index=True)
    where = " and ".join(str(folder / INDEX) for folder in folders)
    windows = sorted(set(table["window_px"]))
    if len(windows) != 1:
        raise TrainError(f"{where}: crops of one window expected, found {_windows_in_words(table)}")
    _warn_of_namesakes(table)
    trained, lookup = remap_classes(classes, remap)
    counts = _count(table, classes, trained, lookup)
    sides = {
        name: _split(where, table[rows], counts[rows], name=name, folders=folders)
        for name in ("train", "val")
        for rows in [(table["split"] == name).to_numpy()]
    }
    return CropSet(
        folders=folders,
        in_masks=classes,
        classes=trained,
        lookup=lookup,
        window_px=int(windows[0]),
        **sides,
        gsd_m=_gsd_range(table[table["split"] == "train"]),
        digest=hasher.hexdigest()[:32],
    )


def _agreed(folder: Path, found: ClassTable, first: Path, classes: ClassTable | None) -> ClassTable:
    """Return the class table of all folders; raise if one has other names, because ids would change their meaning."""
    if classes is None or found.names == classes.names:
        return classes or found
    pairs = enumerate(zip_longest(classes.names, found.names, fillvalue="missing"))
    index, (one, other) = next((index, pair) for index, pair in pairs if pair[0] != pair[1])
    raise TrainError(
        f"{folder / CLASSES}: class {index} is {other}, but {one} in {first / CLASSES}; expected folders of the same "
        "classes in the same order"
    )


def _windows_in_words(table: pandas.DataFrame) -> str:
    """Return which folder holds crops of which window, and what makes them equal."""
    if table.empty:
        return "no crops"
    pairs = table[["folder", "window_px"]].drop_duplicates().itertuples(index=False)
    found = ", ".join(f"{window} px in {folder}" for folder, window in pairs)
    return (
        f"{found}; noseam crop --window PX makes crops anew, and noseam review --import makes them as large as the "
        "window of the model that made the masks"
    )


def _warn_of_namesakes(table: pandas.DataFrame) -> None:
    """Say if images of one name train in one folder and validate in another: they may be the same photo."""
    sides = table.groupby("source")["split"].nunique()
    if (sides > 1).any():
        name = str(sides[sides > 1].index[0])
        _log.warning(
            "%s of one name train in one folder and validate in another, such as %s; if they are the same photos, the "
            "scores are too good", counted(int((sides > 1).sum()), "image"), name,
        )  # fmt: skip


def _what_splits(folders: Sequence[Path]) -> str:
    """Return what gives both sides of the split crops."""
    if any(record.fingerprint == CORRECTED for folder in folders for record in read_records(folder)):
        return "add crops of noseam crop, or take back two images at least: noseam review OUT --import ... --split 0.8"
    return "crop two at least"


def _gsd_range(table: pandas.DataFrame) -> tuple[float, float] | None:
    known = table["gsd_m"].dropna()
    return None if known.empty else (float(known.min()), float(known.max()))


def _count(
    table: pandas.DataFrame, classes: ClassTable, trained: ClassTable, lookup: NDArray[np.uint8]
) -> NDArray[np.int64]:
    """Return the labelled pixels of each crop and each class that is trained, shape (crops, classes)."""
    in_masks = table[[f"px_{name}" for name in classes.names]].to_numpy(np.int64)
    counts = np.zeros((len(table), len(trained)), np.int64)
    for old, new in enumerate(lookup[: len(classes)]):
        if new != NO_LABEL:
            counts[:, new] += in_masks[:, old]
    return counts


def _crops(table: pandas.DataFrame) -> list[Crop]:
    """Return the crop of each row; rows of one folder and source share their ground."""
    windows = table[["row_off", "col_off", "height", "width"]].to_numpy().tolist()
    files = zip(table["folder"], table["image"], table["mask"], table["window_px"], strict=True)
    pieces = [
        Piece(Path(folder, image), Path(folder, mask), Window(*window), int(side))
        for window, (folder, image, mask, side) in zip(windows, files, strict=True)
    ]
    beside = table.groupby(["folder", "source"]).indices
    grounds = {place: Ground([pieces[index] for index in rows]) for place, rows in beside.items()}
    places = zip(table["folder"], table["source"], strict=True)
    return [Crop(piece, grounds[place]) for piece, place in zip(pieces, places, strict=True)]


def _split(
    where: str, table: pandas.DataFrame, counts: NDArray[np.int64], *, name: str, folders: Sequence[Path]
) -> Split:
    if not counts.any():
        raise TrainError(
            f"{where}: {len(table)} {name} crops, none with a labelled pixel; at least 1 needed "
            f"(the split is by image: {_what_splits(folders)})"
        )
    times = table["repeat"].to_numpy() if name == "train" else np.ones(len(table), np.int64)
    crops = [crop for crop, each in zip(_crops(table), times, strict=True) for _ in range(each)]
    sources = len(table[["folder", "source"]].drop_duplicates())
    pixels = counts.repeat(times, axis=0)
    return Split(tuple(crops), pixels, files=len(table), sources=sources, labelled=int(counts.sum()))
