"""What a user can say of how images are read, and of how much a file may claim; standard library only."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tiler.errors import ChannelError, OptionError
from tiler.option import check, option

_CHANNEL_COUNTS = (0, 1, 3, 4)


def parse_channels(text: str) -> tuple[int, ...]:
    """Return channel numbers from text such as `3,2,1` or `1,2,3,4`.

    Raises
    ------
    ChannelError
        If the text is not one, three or four whole numbers from 1 up, separated by commas.
    """
    parts = [part.strip() for part in text.split(",")]
    if len(parts) not in _CHANNEL_COUNTS[1:] or not all(
        part.isdecimal() and len(part) < 9 and int(part) for part in parts
    ):
        raise ChannelError(f"channels {text!r}: expected one (grey), three (red,green,blue) or four (+valid) numbers")
    return tuple(int(part) for part in parts)


@dataclass(frozen=True, kw_only=True)
class ReadingOptions:
    """How samples become 8-bit colours."""

    channels: tuple[int, ...] = option(
        (),
        "These channels are read, numbered from 1: three, one (grey), or four, of which the fourth marks valid pixels. "
        "Any other alpha channel is then ignored.",
        unit="R,G,B[,VALID]",
        shown="by the file's own names",
        least=1,
        group="input",
        read=parse_channels,
    )
    value_range: tuple[float, float] | None = option(
        None,
        "These two values become black and white in files that are not 8-bit.",
        unit="MIN MAX",
        shown="each file's own 2nd and 98th percentile",
        group="input",
    )

    def __post_init__(self) -> None:
        check(self, ChannelError)
        if len(self.channels) not in _CHANNEL_COUNTS:
            raise ChannelError(f"channels: one, three or four numbers expected, {self.channels} found")
        if self.value_range is not None and self.value_range[0] == self.value_range[1]:
            low, high = self.value_range
            raise ChannelError(f"value_range: two different finite numbers expected, {low:g} and {high:g} found")


@dataclass(frozen=True, kw_only=True)
class FileLimits:
    """The most that the header of a file may claim; damaged and hostile ones claim more."""

    max_megapixels: float = option(
        20_000.0,
        "Images that claim more pixels are refused; 100,000 x 100,000 pixels are 10,000 megapixels.",
        unit="MP",
        above=0,
        group="limits",
    )
    max_block_mb: float = option(
        2048.0,
        "TIFFs with a larger tile or strip are refused; the size counts when it is decoded, in MB of 10^6 bytes. "
        "Memory holds it whole.",
        unit="MB",
        above=0,
        group="limits",
    )
    max_pixels_per_byte: float | None = option(
        None,
        "Files that claim more pixels for each of their bytes are refused: their headers are damaged.",
        unit="N",
        shown="JPEG 512, PNG 8300, TIFF 400000",
        above=0,
        group="limits",
    )
    allow_vrt: bool = option(
        False,
        "VRT mosaics that are named as SRC are read too. Allow this only where you trust them: a VRT can show any "
        "file that you may read.",
        group="input",
    )

    shape: tuple[float, float] = (math.inf, math.inf)
    """Most (height, width), pixels; readers whose memory grows with one of them set this."""
    raised_by: str = "noseam plan and segment"
    """Commands whose options raise these limits; the message names them. Empty where none does."""

    def __post_init__(self) -> None:
        check(self, OptionError)


DEFAULT_LIMITS = FileLimits()
"""What is read where the user says nothing."""
