"""The run lengths in which Label Studio keeps brush masks.

Format: `rle-pack` of thi.ng/umbrella (github.com/thi-ng/umbrella, packages/rle-pack), of the red, green, blue and alpha
of each pixel in turn. After a head, which says how many values there are and how many bits numbers have, come blocks:
a bit (1: one value, repeated; 0: as many values, each for itself), two bits that say which of four widths the count
has, the count less one, and the value or values.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tiler.errors import LabelError

_CHANNELS, _ALPHA = 4, 3
_WORD_BITS = 8
_WIDTHS = (3, 4, 8, 16)
_PAINTED = 255


def encode(mask: NDArray[np.bool_]) -> list[int]:
    """Return a mask of shape (height, width) as Label Studio's bytes; painted pixels are 255 throughout."""
    flat = mask.ravel()
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    starts = np.concatenate(([0], edges))
    lengths = np.diff(np.concatenate((starts, [flat.size]))) * _CHANNELS
    bits = [f"{flat.size * _CHANNELS:032b}{_WORD_BITS - 1:05b}", *(f"{width - 1:04b}" for width in _WIDTHS)]
    for length, painted in zip(lengths.tolist(), flat[starts].tolist(), strict=True):
        value = f"{_PAINTED * painted:08b}"
        while length > 0:
            piece = min(length, 2 ** _WIDTHS[-1])
            index = next(index for index, width in enumerate(_WIDTHS) if piece <= 2**width)
            bits.append(f"1{index:02b}{piece - 1:0{_WIDTHS[index]}b}{value}")
            length -= piece
    text = "".join(bits)
    return list(int(text + "0" * (-len(text) % 8), 2).to_bytes((len(text) + 7) // 8))


def decode(where: str, data: Sequence[int], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the pixels that a list of bytes paints: those whose alpha is not 0.

    Raises
    ------
    LabelError
        If the list is no such run lengths, or is of another shape. So none can claim more memory than a window takes.
    """
    try:
        bits = _Bits(bytes(data))
        count, word = bits.number(32), bits.number(5) + 1
        widths = [bits.number(4) + 1 for _ in range(4)]
        if count != shape[0] * shape[1] * _CHANNELS or word > _WORD_BITS:
            raise LabelError(
                f"{where}: {count} values of {word} bits found, expected {_CHANNELS} of 8 bits for each of "
                f"{shape[0]} x {shape[1]} pixels"
            )
        values = np.zeros(count, np.uint8)
        place = 0
        while place < count:
            repeated, length = bits.number(1), bits.number(widths[bits.number(2)]) + 1
            if repeated:
                values[place : place + length] = bits.number(word)
            else:
                values[place : place + length] = [bits.number(word) for _ in range(min(length, count - place))]
            place += length
    except (ValueError, TypeError) as error:
        if isinstance(error, LabelError):
            raise
        raise LabelError(f"{where}: no run lengths of a brush mask: {error}") from error
    painted: NDArray[np.bool_] = values.reshape(*shape, _CHANNELS)[..., _ALPHA] > 0
    return painted


class _Bits:
    """Whole numbers from bits, one after another."""

    def __init__(self, data: bytes) -> None:
        self._bits = "".join(f"{byte:08b}" for byte in data)
        self._place = 0

    def number(self, width: int) -> int:
        """Return the next number of so many bits; raise ValueError past the end."""
        text = self._bits[self._place : self._place + width]
        self._place += width
        if len(text) < width:
            raise ValueError("the end is missing")
        return int(text, 2)
