"""The `.vat.dbf` of a mask: ArcGIS's value attribute table.

Format: dBASE III. It is written here, because pyshp stamps a table with today's date, and so one mask would have other
bytes every day.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from tiler.classes import ClassTable
from tiler.masks.sidecars.legend import legend

VAT_CPG = b"UTF-8"
"""Content of the `.vat.cpg` that says how the table's text is encoded."""
_FIELDS = (
    ("Value", "N", 9),
    ("Count", "N", 19),
    ("Class", "C", 100),
    ("Red", "N", 4),
    ("Green", "N", 4),
    ("Blue", "N", 4),
)
"""Name, type and width. Programs read a number as a short, a long or a double by its width; all read 19 as a double."""
_DBASE_3, _HEADER_END, _KEPT, _FILE_END = 3, b"\r", b" ", b"\x1a"
_DATE = (126, 1, 1)
"""Year less 1900, month and day of the last change: always the same, so that one mask has one table."""


def vat_dbf(classes: ClassTable, pixels: Sequence[int]) -> bytes:
    """Return the value attribute table of a label mask: Value, Count, Class, Red, Green, Blue.

    Parameters
    ----------
    classes : ClassTable
        Names and colours; a name of more than 100 bytes of UTF-8 is cut after a whole character.
    pixels : sequence of int
        Number of pixels of each class, at most 19 digits; the table lists the classes with any.
    """
    records = [
        _KEPT + b"".join(map(_cell, (entry.value, entry.pixels, entry.name, *entry.colour), _FIELDS))
        for entry in legend(classes, pixels)
    ]
    return _header(len(records)) + b"".join(records) + _FILE_END


def _header(records: int) -> bytes:
    header_bytes = 32 + 32 * len(_FIELDS) + len(_HEADER_END)
    record_bytes = len(_KEPT) + sum(width for _, _, width in _FIELDS)
    head = struct.pack("<B3BIHH20x", _DBASE_3, *_DATE, records, header_bytes, record_bytes)
    fields = (struct.pack("<11sc4xB15x", name.encode(), kind.encode(), width) for name, kind, width in _FIELDS)
    return head + b"".join(fields) + _HEADER_END


def _cell(content: object, field: tuple[str, str, int]) -> bytes:
    _, kind, width = field
    if kind == "N":
        return str(content).rjust(width).encode()
    return str(content).encode()[:width].decode(errors="ignore").encode().ljust(width)
