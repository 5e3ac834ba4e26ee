"""Windows as a folder of crops, the form that `train` reads; its masks can be corrected where they lie."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from segment.errors import RequestError
from segment.review.drafts import Draft
from segment.review.known import Known
from segment.review.pixels import Colours, decode_labels
from tiler.classes import ClassTable
from tiler.crops.folder import IMAGES, MASKS, RECORDS
from tiler.crops.index import INDEX, build_index, read_crop_index, write_crop_index
from tiler.crops.plan import CropOptions
from tiler.crops.record import CropRow, Record, read_record, record_path, write_record
from tiler.crops.split import Split
from tiler.crops.write import blank_colour, write_crop
from tiler.errors import ClassTableError, CropIndexError
from tiler.grid.window import Window
from tiler.masks.provenance import digest
from tiler.source.georef import Georeference

_SUFFIXES = (".png", ".tif", ".tiff")


@dataclass(frozen=True, slots=True)
class CropFolder:
    """A folder of crops that all train, made window by window.

    A crop that is there is written over; the others stay.
    """

    folder: Path
    """Where it is."""
    classes: ClassTable
    """Its classes."""
    window_px: int
    """Side of its crops, source pixels."""
    mark: str
    """What its records say of their making."""
    split: float = 1.0
    """Share of the images that trains."""

    def refuse_others(self) -> None:
        """Raise unless the folder is new, or holds crops of the same size and classes.

        Raises
        ------
        RequestError
            If it holds others.
        """
        if not (self.folder / INDEX).exists():
            if self.folder.exists() and any(not path.name.startswith(".noseam") for path in self.folder.iterdir()):
                raise RequestError(f"{self.folder} holds no {INDEX} but other files; choose a new or empty folder")
            return
        index, classes = read_crop_index(self.folder)
        sizes = sorted(set(index["window_px"]) - {self.window_px})
        if sizes:
            raise RequestError(
                f"{self.folder} holds crops of {sizes[0]} px, and the model's window is {self.window_px} px now; "
                "choose another folder: --into"
            )
        if classes != self.classes:
            raise RequestError(f"{self.folder} holds crops of other classes than the masks; choose another: --into")
        foreign = [record for record in _records(self.folder, index["source"].unique()) if record is None
                   or record.fingerprint != self.mark]  # fmt: skip
        if foreign:
            raise RequestError(
                f"{self.folder} holds crops that noseam crop made; choose another folder: --into, and give both to "
                "noseam train"
            )

    def add(
        self, name: str, image: str, window: Window, pixels: NDArray[np.uint8], labels: NDArray[np.uint8],
        place: Georeference, gsd_m: float | None,
    ) -> None:  # fmt: skip
        """Write a crop: pixels (3, height, width) and labels (height, width) of a window; the image lies there."""
        suffix = ".tif" if place.present else ".png"
        counts = np.bincount(labels.ravel(), minlength=256)[: len(self.classes)]
        row = CropRow(
            f"{IMAGES}/{name}{suffix}", f"{MASKS}/{name}{suffix}", window,
            tuple((int(index), int(counts[index])) for index in counts.nonzero()[0]),
        )  # fmt: skip
        write_crop(self.folder, row, pixels, labels, georeference=place, side=self.window_px, classes=self.classes)
        source = PurePosixPath(image).with_suffix("").as_posix()
        (self.folder / RECORDS).mkdir(exist_ok=True)
        old = read_record(record_path(self.folder, source)) or Record(source, self.mark, ())
        rows = [*(each for each in old.rows if each.image != row.image), row]
        rows.sort(key=lambda each: (each.window.row_off, each.window.col_off, each.image))
        write_record(self.folder, Record(source, self.mark, tuple(rows), gsd_m=gsd_m))

    def finish(self, sources: Iterable[str]) -> None:
        """Write the index of the crops of images, given by their names."""
        names = {PurePosixPath(image).with_suffix("").as_posix() for image in sources}
        if (self.folder / INDEX).exists():
            names |= set(read_crop_index(self.folder)[0]["source"])
        records = [record for record in _records(self.folder, names) if record is not None]
        index = build_index(records, self.classes, CropOptions(window_px=self.window_px, split=1))
        sides = sides_of(sorted(set(index["source"])), self.split)
        write_crop_index(self.folder, index.assign(split=index["source"].map(sides)), self.classes)


def sides_of(sources: Sequence[str], split: float) -> dict[str, Split]:
    """Return which of the images train; an image keeps its side when others come, unless its side lacks any other.

    Parameters
    ----------
    sources : sequence of str
        The images.
    split : float
        About this share trains: an image's name alone draws its lot. Each side gets one of two images or more, unless
        this is 0 or 1.
    """
    lots = {source: int(digest({"source": source})[:8], 16) / 2**32 for source in sources}
    sides: dict[str, Split] = {source: "train" if lot < split else "val" for source, lot in lots.items()}
    if 0 < split < 1 and len(sources) > 1:
        sides |= {min(lots, key=lots.__getitem__): "train", max(lots, key=lots.__getitem__): "val"}
    return sides


def write_crops(folder: Path, drafts: Iterable[Draft], classes: ClassTable) -> Path:
    """Write drafts as a folder of crops and return it."""
    images: set[str] = set()
    crops: CropFolder | None = None
    for draft in drafts:
        crops = crops or CropFolder(folder, classes, draft.known.window_px, "draft")
        crops.add(
            draft.known.name,
            draft.known.image,
            draft.known.window,
            draft.pixels,
            draft.labels,
            draft.photo_place,
            draft.gsd_m,
        )
        images.add(draft.known.image)
    if crops is not None:
        crops.finish(images)
    return folder


class CropMasks:
    """Corrected masks in a folder of crops.

    Parameters
    ----------
    folder : Path
        The folder.
    classes : ClassTable
        What colours mean, where a program stored them instead of ids.
    """

    def __init__(self, folder: Path, classes: ClassTable) -> None:
        try:
            _, found = read_crop_index(folder)
        except (CropIndexError, ClassTableError) as error:
            raise RequestError(str(error)) from error
        if found.names != classes.names:
            raise RequestError(
                f"{folder}: classes {', '.join(found.names[:5])} ... found, expected those of the masks: "
                f"{', '.join(classes.names[:5])} ..."
            )
        self._files = {
            path.stem: path for path in sorted((folder / MASKS).rglob("*")) if path.suffix.lower() in _SUFFIXES
        }
        self._colours = Colours.of(classes, blank_colour(classes))

    @property
    def names(self) -> Sequence[str]:
        """Names of the windows that it holds."""
        return list(self._files)

    def read(self, known: Known) -> NDArray[np.uint8]:
        """Return the labels of a window, of the shape of its files."""
        path = self._files[known.name]
        return decode_labels(str(path), path.read_bytes(), known.window_px, self._colours)


def _records(folder: Path, sources: Iterable[str]) -> Iterator[Record | None]:
    for source in sources:
        with suppress(OSError):
            yield read_record(record_path(folder, source))
