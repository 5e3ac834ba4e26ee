"""Read masks of class labels by window: ids, palettes and colours all become class ids."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NoReturn

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window as RasterioWindow

from tiler.classes import MAX_CLASSES, NO_LABEL, ClassTable, Colour
from tiler.errors import ChannelError, LabelError
from tiler.grid.window import Window
from tiler.masks.png import read_text
from tiler.masks.unknown import count_values, unknown_in_words
from tiler.source.channels import Channels, choose_channels
from tiler.source.options import FileLimits
from tiler.source.raster import RasterInfo, describe, open_raster, reading

MASK_LIMITS = FileLimits(max_megapixels=4e8, shape=(100_000_000, 4_000_000), raised_by="")
"""What a mask may claim.

It may have any number of pixels within this height and width. Masks are read by window, and users may have allowed
`segment` any size. But readers hold full rows and some numbers per row, so the header of a damaged file must not claim
more. Polygons need most: 1,024 rows at once, 7 bytes a pixel, are 30 GB at this width. `segment` itself would need
80 GB for a mask of so many columns."""
_BLACK = (0, 0, 0)
_COUNTED_PX = 2**22
"""Pixels that are looked at together, where those that no class has are counted."""
_LOSSY = "; JPEG changes pixels, store masks as PNG or GeoTIFF"


@contextmanager
def open_labels(path: Path, classes: ClassTable | None) -> Iterator[LabelReader]:
    """Open a mask of class labels.

    Parameters
    ----------
    path : Path
        A PNG or TIFF of class ids (one channel) or of the classes' colours. Lossy JPEG passes only
        where every colour came through unchanged.
    classes : ClassTable or None
        Ids and colours to expect; without it every id 0 to 254 is accepted, and no colour.

    Raises
    ------
    RasterReadError
        If the file is not an accepted image, is damaged, or claims more than `MASK_LIMITS`.
    LabelError
        If it cannot hold labels, such as a JPEG of ids, or holds colours and there is no class table.
    """
    with open_raster(path, MASK_LIMITS) as dataset:
        info = describe(path, dataset)
        yield LabelReader(dataset, info, _choose(info), classes)


def _choose(info: RasterInfo) -> Channels:
    try:
        return choose_channels(info)
    except ChannelError as error:
        found = ", ".join(info.interpretations)
        raise LabelError(f"{info.path}: one channel of ids or red, green, blue expected, {found} found") from error


class LabelReader:
    """Class ids of one open mask; belongs to one thread.

    Parameters
    ----------
    dataset : rasterio.DatasetReader
        The open file.
    info : RasterInfo
        Its header.
    channels : Channels
        What to read.
    classes : ClassTable or None
        See `open_labels`.
    """

    def __init__(self, dataset: Any, info: RasterInfo, channels: Channels, classes: ClassTable | None) -> None:
        self.info = info
        self._dataset = dataset
        self._channels = channels
        self._classes = classes
        self._lossy = info.driver == "JPEG" or info.colour_space == "YCbCr"
        self._refuse_samples()
        invented = info.driver == "GTiff" and info.bits == 1  # GDAL makes up a palette of black and white for these
        self._palette = self._read_palette() if channels.palette and not invented else {}
        by_colour = len(channels.colour) == 3 or _maps_by_colour(self._palette, classes)
        self._ids_by_colour = self._colour_table() if by_colour else None
        self._counting = False
        self._unknown: Counter[int] = Counter()

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width), pixels."""
        return self.info.shape

    @property
    def tags(self) -> dict[str, str]:
        """What the file says about itself: TIFF tags, or the text of a PNG that noseam wrote."""
        if self.info.driver == "GTiff":
            return dict(self._dataset.tags())
        if self.info.driver == "PNG" and self.info.made_by_noseam:
            with reading(self.info.path, "the text"):
                return read_text(self.info.path)
        return {}

    @property
    def palette(self) -> dict[int, Colour]:
        """Colours by id that the file carries; none where it has no palette."""
        return {index: (red, green, blue) for index, (red, green, blue, _) in self._palette.items()}

    @property
    def class_names(self) -> tuple[str, ...]:
        """Class names by id that the file carries; none where another program wrote it.

        Raises
        ------
        LabelError
            If the tag `CLASS_NAMES` is no list of names.
        """
        text = self.tags.get("CLASS_NAMES", "[]")
        try:
            names = json.loads(text)
        except ValueError:
            names = None
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise LabelError(f"{self.info.path}: tag CLASS_NAMES: a JSON list of names expected, {text[:80]!r} found")
        return tuple(names)

    def colours_of(self, count: int) -> tuple[Colour, ...]:
        """Return the colours that the palette gives to the first ids; none where it has not all of them."""
        found = [self._palette[index] for index in range(count) if index in self._palette]
        return tuple((red, green, blue) for red, green, blue, _ in found) if len(found) == count else ()

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Return the class ids of a window.

        Returns
        -------
        ndarray of uint8, shape (height, width)
            255 = no label, where the file stores 255 or marks the pixel as transparent, nodata or masked.

        Raises
        ------
        LabelError
            If a pixel holds an id or a colour that no class has. The message counts those of the whole file.
        RasterReadError
            If the pixels cannot be decoded.
        """
        samples, valid = self._samples(window)
        if len(samples) == 3:
            return self._from_colours(samples, valid, window)
        if self._palette:
            return self._from_palette(samples[0], valid, window)
        return self._from_ids(samples[0], valid, window)

    def _samples(self, window: Window) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        """Return the samples and the valid mask. Alpha is read with them: each read of a PNG decodes from its top."""
        wanted = list(self._channels.colour)
        alpha = "alpha" in self.info.interpretations
        if alpha:
            wanted.append(self.info.interpretations.index("alpha") + 1)
        area = RasterioWindow(window.col_off, window.row_off, window.width, window.height)
        with reading(self.info.path, f"the labels of {window}"):
            samples = self._dataset.read(wanted, window=area)
            if alpha:
                return samples[:-1], samples[-1] > 0
            return samples, self._dataset.dataset_mask(window=area) > 0 if self._channels.dataset_mask else None

    def _from_colours(
        self, samples: NDArray[np.uint8], valid: NDArray[np.bool_] | None, window: Window
    ) -> NDArray[np.uint8]:
        assert self._ids_by_colour is not None
        packed = samples[0].astype(np.uint32)
        for level in samples[1:]:
            packed <<= 8
            packed |= level
        labels: NDArray[np.uint8] = self._ids_by_colour[packed]
        unknown = labels == NO_LABEL
        if valid is not None:
            unknown &= valid
            labels[~valid] = NO_LABEL
        if unknown.any() and not self._counting:
            self._refuse_unknown("colour", unknown, window)
        if self._counting:
            self._unknown.update(count_values(packed[unknown]))
        return labels

    def _from_palette(
        self, indices: NDArray[Any], valid: NDArray[np.bool_] | None, window: Window
    ) -> NDArray[np.uint8]:
        entries = np.zeros((np.iinfo(indices.dtype).max + 1, 4), np.uint8)
        entries[list(self._palette)] = list(self._palette.values())
        opaque = entries[indices, 3] > 0
        valid = opaque if valid is None else valid & opaque
        if self._ids_by_colour is None:
            return self._from_ids(indices, valid, window)
        return self._from_colours(np.moveaxis(entries[indices, :3], -1, 0), valid, window)

    def _from_ids(self, ids: NDArray[Any], valid: NDArray[np.bool_] | None, window: Window) -> NDArray[np.uint8]:
        count = MAX_CLASSES if self._classes is None else len(self._classes)
        wrong = (ids < 0) | (ids >= count) & (ids != NO_LABEL)
        if valid is not None:
            wrong &= valid
        if wrong.any() and not self._counting:
            self._refuse_unknown("class id", wrong, window)
        if self._counting:
            self._unknown.update(count_values(ids[wrong]))
        labels: NDArray[np.uint8] = ids.astype(np.uint8)
        return labels if valid is None else np.where(valid, labels, np.uint8(NO_LABEL))

    def _refuse_samples(self) -> None:
        if len(self._channels.colour) == 1:
            if self._lossy:  # a changed id is that of another class
                raise LabelError(f"{self.info.path}: class ids stored as JPEG" + _LOSSY)
            if self.info.dtype.startswith("float"):
                raise LabelError(f"{self.info.path}: {self.info.dtype} samples; expected whole numbers for class ids")
            return
        if self.info.dtype != "uint8":
            raise LabelError(f"{self.info.path}: colours of {self.info.dtype} samples; expected 8-bit colours")
        if self._classes is None:
            raise LabelError(
                f"{self.info.path}: the mask holds colours; name them with --classes, a CSV with name,r,g,b"
            )

    def _refuse_unknown(
        self, what: Literal["colour", "class id"], unknown: NDArray[np.bool_], window: Window
    ) -> NoReturn:
        """Raise for a pixel that no class has, once all such pixels of the file are counted."""
        self._counting = True
        height, width = self.shape
        rows = max(_COUNTED_PX // width, 1)
        try:
            for top in range(0, height, rows):
                self.read(Window(top, 0, min(rows, height - top), width))
            found = unknown_in_words(what, self._unknown, height * width)
        finally:
            self._counting = False
            self._unknown.clear()
        raise LabelError(
            f"{self.info.path}: {found}; the first is at {_place(*_first(unknown), window)}; "
            f"{self._expected()}{self._hint()}"
        )

    def _expected(self) -> str:
        if self._ids_by_colour is not None:
            return "expected colours of the class table"
        count = MAX_CLASSES if self._classes is None else len(self._classes)
        return f"expected 0 to {count - 1}, or {NO_LABEL} for no label"

    def _hint(self) -> str:
        return _LOSSY if self._lossy else ""

    def _read_palette(self) -> dict[int, tuple[int, ...]]:
        with reading(self.info.path, "the palette"):
            palette: dict[int, tuple[int, ...]] = self._dataset.colormap(self._channels.colour[0])
        return palette

    def _colour_table(self) -> NDArray[np.uint8]:
        """Return the class id of every 24-bit colour; one look-up per pixel is the fastest way from colours to ids."""
        assert self._classes is not None
        table = np.full(2**24, NO_LABEL, np.uint8)
        for index, (red, green, blue) in enumerate(self._classes.colours):
            table[red << 16 | green << 8 | blue] = index
        return table


def _maps_by_colour(palette: dict[int, tuple[int, ...]], classes: ClassTable | None) -> bool:
    """Return whether a palette holds the classes' colours in an order of its own, so that its indices are no ids.

    Programs that shrink a colour image to a palette number the colours as they come, and leave out those that
    the image does not use; TIFF fills the rest with black.
    """
    if classes is None or not palette:
        return False
    if all(palette.get(index, ())[:3] == colour for index, colour in enumerate(classes.colours)):
        return False
    found: set[Colour] = {(red, green, blue) for red, green, blue, alpha in palette.values() if alpha}
    wanted = set(classes.colours)
    return wanted <= found or (bool(found - {_BLACK}) and found - {_BLACK} <= wanted)


def _first(wrong: NDArray[np.bool_]) -> tuple[int, int]:
    row, col = np.unravel_index(int(wrong.argmax()), wrong.shape)
    return int(row), int(col)


def _place(row: int, col: int, window: Window) -> str:
    return f"row {window.row_off + row}, column {window.col_off + col}"
