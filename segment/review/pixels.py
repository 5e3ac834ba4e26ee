"""From the picture of a mask, as any program may have stored it, to class ids; nothing in it is trusted."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tiler.classes import NO_LABEL, ClassTable, Colour
from tiler.errors import LabelError

_FORMATS = ("PNG", "TIFF")
_GRAY = ("1", "L", "P", "I;16", "I")


@dataclass(frozen=True, slots=True)
class Colours:
    """What the values of a mask mean."""

    ids: Mapping[int, int]
    """Class id of each value of a mask of one channel."""
    colours: Mapping[Colour, int]
    """Class id of each colour."""

    @classmethod
    def of(cls, classes: ClassTable, blank: Colour) -> Colours:
        """Return that ids are themselves, and colours those of a class table; `blank` has no label."""
        colours = {colour: index for index, colour in enumerate(classes.colours)}
        ids = {index: index for index in range(len(classes))}
        return cls(ids | {NO_LABEL: NO_LABEL}, {blank: NO_LABEL} | colours)


def open_picture(where: str, data: bytes, side: int) -> Image.Image:
    """Return a picture whose header says that it is a square of this side; its pixels are not decoded yet.

    Raises
    ------
    LabelError
        If it is no PNG or TIFF, or of another size. So no picture can claim more memory than a window takes.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture = Image.open(io.BytesIO(data), formats=_FORMATS)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise LabelError(f"{where}: no PNG or TIFF that can be read: {error}") from error
    if picture.size != (side, side):
        raise LabelError(
            f"{where}: {picture.height} x {picture.width} pixels found, expected {side} x {side} as exported"
        )
    return picture


def decode(where: str, data: bytes, side: int) -> NDArray[np.uint8] | NDArray[np.int64]:
    """Return the samples of a mask: shape (side, side) where it has one channel, else (side, side, 3).

    Raises
    ------
    LabelError
        See `open_picture`; and if the pixels cannot be decoded, or are neither ids nor colours.
    """
    picture = open_picture(where, data, side)
    try:
        if picture.mode in _GRAY:
            return np.asarray(picture).astype(np.int64)
        if picture.mode in {"RGB", "RGBA"}:
            return np.asarray(picture.convert("RGB"))
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise LabelError(f"{where}: its pixels cannot be decoded: {error}") from error
    raise LabelError(f"{where}: pixels of kind {picture.mode} found, expected class ids or red, green, blue")


def decode_labels(where: str, data: bytes, side: int, meaning: Colours) -> NDArray[np.uint8]:
    """Return the class ids of a mask, shape (side, side); 255 = no label.

    Raises
    ------
    LabelError
        See `decode`; and if a value or colour has no meaning. The message says which, and where.
    """
    return labels_of(where, decode(where, data, side), meaning)


def labels_of(where: str, samples: NDArray[np.uint8] | NDArray[np.int64], meaning: Colours) -> NDArray[np.uint8]:
    """Return the class ids of samples, see `decode_labels`."""
    if samples.ndim == 2:
        return _mapped(where, samples.astype(np.int64), meaning.ids, lambda value: f"class id {value}")
    packed = samples.astype(np.int64) @ (1 << 16, 1 << 8, 1)
    wanted = {(red << 16) + (green << 8) + blue: index for (red, green, blue), index in meaning.colours.items()}
    return _mapped(where, packed, wanted, lambda value: f"colour {value >> 16},{value >> 8 & 255},{value & 255}")


def _mapped(where: str, values: NDArray[np.int64], wanted: Mapping[int, int], name: Callable[[int], str]) -> NDArray[
    np.uint8
]:  # fmt: skip
    found, places = np.unique(values, return_inverse=True)
    unknown = [int(value) for value in found if int(value) not in wanted]
    if unknown:
        row, col = np.unravel_index(int((values == unknown[0]).argmax()), values.shape)
        pixels = int(np.isin(values, unknown).sum())
        raise LabelError(
            f"{where}: {name(unknown[0])} at row {row}, column {col} is that of no class; {pixels} such pixels found"
        )
    table = np.array([wanted[int(value)] for value in found], np.uint8)
    return table[places].reshape(values.shape)
