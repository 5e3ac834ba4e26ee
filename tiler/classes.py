"""The class table: names and colours of class ids."""

from __future__ import annotations

import colorsys
import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tiler.errors import ClassTableError
from tiler.words import read_text

NO_LABEL = 255
"""The label of a pixel that is not valid."""
MAX_CLASSES = NO_LABEL
"""Class ids are 0 to 254."""
_HEADER = ("name", "r", "g", "b")
_ID = "id"
_CALLED = {
    _ID: (_ID, "class_id", "label_id", "index", "value"),
    "name": ("name", "class", "class_name", "label", "label_name"),
    "r": ("r", "red"),
    "g": ("g", "green"),
    "b": ("b", "blue"),
}
"""What programs call the columns of a class table, in small letters."""
_COLUMNS = {called: column for column, all_called in _CALLED.items() for called in all_called}
_UNWRITABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
"""What XML or UTF-8 cannot hold and no legend can show: control characters, surrogates, U+FFFE and U+FFFF."""
_GOLDEN_RATIO = 0.6180339887498949

Colour = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class ClassTable:
    """Names and colours of the classes, by id."""

    names: tuple[str, ...]
    """One name per class."""
    colours: tuple[Colour, ...]
    """(red, green, blue) per class, 0 to 255, all different."""

    def __post_init__(self) -> None:
        if not 1 <= len(self.names) <= MAX_CLASSES:
            raise ClassTableError(f"a class table needs 1 to {MAX_CLASSES} classes, got {len(self.names)}")
        if len(self.names) != len(self.colours):
            raise ClassTableError(f"{len(self.names)} class names but {len(self.colours)} colours; expected as many")
        if odd := list(filter(_UNWRITABLE.search, self.names)):
            raise ClassTableError(f"class names are text without control characters, got {odd[0]!r:.80}")
        if not all(0 <= level <= 255 for colour in self.colours for level in colour):
            raise ClassTableError(f"colours are whole numbers 0 to 255, got {self.colours}")
        if len(set(self.colours)) < len(self.colours):
            raise ClassTableError(f"two classes have one colour, expected all different: {self.colours}")

    def __len__(self) -> int:
        return len(self.names)

    def palette(self) -> NDArray[np.uint8]:
        """Return red, green, blue, alpha of every label, shape (256, 4); all 0 for no data and unused ids."""
        palette = np.zeros((256, 4), np.uint8)
        palette[: len(self)] = [(*colour, 255) for colour in self.colours]
        return palette


def distinct_colours(count: int) -> tuple[Colour, ...]:
    """Return colours for classes that have none: hues a golden ratio apart, all different."""
    colours: list[Colour] = []
    step = 0
    while len(colours) < count:
        hue, ring = step * _GOLDEN_RATIO % 1, step // 8 % 3
        red, green, blue = colorsys.hsv_to_rgb(hue, 0.55 + 0.15 * ring, 0.95 - 0.15 * ring)
        colour = round(255 * red), round(255 * green), round(255 * blue)
        if colour not in colours:
            colours.append(colour)
        step += 1
    return tuple(colours)


def read_class_table(path: Path) -> ClassTable:
    """Return the class table of a CSV file with the columns name, r, g, b, in any order; ids follow the rows from 0.

    With a column id, the rows may stand in any order. Columns may be called as other programs do: class, label, red and
    so on. Spaces around cells, a byte-order mark, CRLF or CR line ends and empty lines are accepted.

    Raises
    ------
    ClassTableError
        If the file cannot be read as UTF-8, has another header, a row with a wrong number of cells or a colour
        that is not three whole numbers 0 to 255, a name, colour or id twice, or ids that leave one out. The message
        names the file and the line.
    """
    rows = _rows(path)
    columns = _columns(path, *next(rows, (1, [])))
    seen: dict[str | Colour, int] = {}
    found: list[tuple[int, str, Colour]] = []
    for line, cells in rows:
        index, name, colour = _class(f"{path}, line {line}", cells, columns)
        keys: list[str | Colour] = [name, colour] if index is None else [name, colour, f"id {index}"]
        for key in keys:
            if key in seen:
                raise ClassTableError(f"{path}, line {line}: {key} stands on line {seen[key]} already")
            seen[key] = line
        found.append((len(found) if index is None else index, name, colour))
    found.sort()
    missing = next((place for place, (index, _, _) in enumerate(found) if index != place), None)
    if missing is not None:
        raise ClassTableError(
            f"{path}: id {missing} is missing; expected every id from 0 to {len(found) - 1} for {len(found)} classes: "
            "add a row for it, with a colour of its own"
        )
    try:
        return ClassTable(tuple(name for _, name, _ in found), tuple(colour for _, _, colour in found))
    except ClassTableError as error:
        raise ClassTableError(f"{path}: {error}") from error


def _columns(path: Path, line: int, header: Sequence[str]) -> dict[str, int]:
    """Return the place of each column."""
    named = [_COLUMNS.get(cell.lower().replace(" ", "_"), "") for cell in header]
    if sorted(named) not in (sorted(_HEADER), sorted((_ID, *_HEADER))):
        hint = " (cells are separated by ';', expected ',')" if ";" in "".join(header) else ""
        raise ClassTableError(
            f"{path}, line {line}: header {', '.join(_HEADER)} expected, in any order, with or without id; "
            f"{list(header)} found{hint}"
        )
    return {column: place for place, column in enumerate(named)}


def write_class_table(path: Path, classes: ClassTable) -> None:
    """Write a class table that `read_class_table` reads."""
    path.write_bytes(class_table_bytes(classes))


def class_table_bytes(classes: ClassTable) -> bytes:
    """Return what `write_class_table` writes."""
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(_HEADER)
    writer.writerows((name, *colour) for name, colour in zip(classes.names, classes.colours, strict=True))
    return file.getvalue().encode()


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    text = read_text(path, ClassTableError)
    reader = csv.reader(io.StringIO(text.replace("\r\n", "\n").replace("\r", "\n")), strict=True)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield reader.line_num, [cell.strip() for cell in cells]
    except csv.Error as error:
        raise ClassTableError(f"{path}, line {reader.line_num}: {error}") from error


def _class(where: str, cells: Sequence[str], columns: Mapping[str, int]) -> tuple[int | None, str, Colour]:
    if len(cells) != len(columns):
        raise ClassTableError(f"{where}: {len(columns)} cells expected, {len(cells)} found: {list(cells)}")
    name = cells[columns["name"]]
    if not name:
        raise ClassTableError(f"{where}: the class has no name")
    red, green, blue = (_whole(where, cells[columns[level]], 255) for level in ("r", "g", "b"))
    index = _whole(where, cells[columns[_ID]], MAX_CLASSES - 1) if _ID in columns else None
    return index, name, (red, green, blue)


def _whole(where: str, text: str, most: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 9 and int(text) <= most):
        raise ClassTableError(f"{where}: a whole number 0 to {most} expected, {text!r} found")
    return int(text)


_DRONE_ROWS: tuple[tuple[str, Colour], ...] = (
    ("unlabeled", (0, 0, 0)),
    ("paved-area", (128, 64, 128)),
    ("dirt", (130, 76, 0)),
    ("grass", (0, 102, 0)),
    ("gravel", (112, 103, 87)),
    ("water", (28, 42, 168)),
    ("rocks", (48, 41, 30)),
    ("pool", (0, 50, 89)),
    ("vegetation", (107, 142, 35)),
    ("roof", (70, 70, 70)),
    ("wall", (102, 102, 156)),
    ("window", (254, 228, 12)),
    ("door", (254, 148, 12)),
    ("fence", (190, 153, 153)),
    ("fence-pole", (153, 153, 153)),
    ("person", (255, 22, 96)),
    ("dog", (102, 51, 0)),
    ("car", (9, 143, 150)),
    ("bicycle", (119, 11, 32)),
    ("tree", (51, 51, 0)),
    ("bald-tree", (190, 250, 190)),
    ("ar-marker", (112, 150, 146)),
    ("obstacle", (2, 135, 115)),
    ("conflicting", (255, 0, 0)),
)
DRONE_CLASSES = ClassTable(tuple(name for name, _ in _DRONE_ROWS), tuple(colour for _, colour in _DRONE_ROWS))
"""The 24 classes of the Semantic Drone Dataset (TU Graz), in its order and colours."""
