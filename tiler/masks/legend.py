"""The legend of a folder of masks: `legend.png` for people, `classes.csv` for `--classes`."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from math import ceil
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, PngImagePlugin

from tiler.classes import ClassTable, class_table_bytes, read_class_table
from tiler.errors import ClassTableError
from tiler.extra import version_of
from tiler.files.atomic import write_whole
from tiler.files.names import CLASS_TABLE, LEGEND, LEGEND_KEY
from tiler.masks.png import read_text
from tiler.source.raster import FINGERPRINT_KEY

_LETTER_PX, _ROW_PX, _MARGIN_PX, _GAP_PX = 20, 34, 16, 12
_PATCH_PX = 46, 24
_MOST_ROWS = 32
_MOST_LETTERS = 40
_INK, _FRAME = (0, 0, 0), (150, 150, 150)


def write_legend(out: Path, classes: ClassTable) -> tuple[str, ...]:
    """Write the legend of the masks in a folder; return why, where a file is not written.

    Several runs may do so at the same time. A file that noseam did not write stays as it is; so does a `classes.csv`
    that holds the same classes in another form.

    Parameters
    ----------
    out : Path
        The folder.
    classes : ClassTable
        Names and colours of the classes of its masks.
    """
    path, table = out / LEGEND, class_table_bytes(classes)
    recorded = _recorded(path)
    whys = (
        _write(out / CLASS_TABLE, table, lambda found: _digest(found) == recorded, classes),
        _write(path, draw_legend(classes), lambda found: recorded is not None),
    )
    return tuple(filter(None, whys))


def draw_legend(classes: ClassTable) -> bytes:
    """Return a picture of the classes as a PNG: colour, id and name of each, in columns of at most 32."""
    font = _font()
    columns = ceil(len(classes) / _MOST_ROWS)
    rows = ceil(len(classes) / columns)
    names = [name if len(name) <= _MOST_LETTERS else f"{name[: _MOST_LETTERS - 1]}…" for name in classes.names]
    name_px, id_px = (ceil(max(map(font.getlength, texts))) for texts in (names, map(str, range(len(classes)))))
    column_px = _PATCH_PX[0] + id_px + name_px + 2 * _GAP_PX
    size = 2 * _MARGIN_PX + columns * (column_px + 2 * _GAP_PX) - 2 * _GAP_PX, 2 * _MARGIN_PX + rows * _ROW_PX
    picture = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(picture)
    for index, (name, colour) in enumerate(zip(names, classes.colours, strict=True)):
        left = _MARGIN_PX + index // rows * (column_px + 2 * _GAP_PX)
        middle = _MARGIN_PX + index % rows * _ROW_PX + _ROW_PX // 2
        right, top = left + _PATCH_PX[0], middle - _PATCH_PX[1] // 2
        draw.rectangle((left, top, right, top + _PATCH_PX[1]), fill=colour, outline=_FRAME)
        draw.text((right + _GAP_PX + id_px, middle), str(index), _INK, font, anchor="rm")
        draw.text((right + 2 * _GAP_PX + id_px, middle), name, _INK, font, anchor="lm")
    return _png(picture, _digest(class_table_bytes(classes)))


def _png(picture: Image.Image, digest: str) -> bytes:
    """Return a PNG with the text by which noseam knows a legend of its own, and the class table beside it."""
    text = PngImagePlugin.PngInfo()
    software = f"noseam {version_of('noseam')}"
    for key, value in (("SOFTWARE", software), (FINGERPRINT_KEY, "legend"), (LEGEND_KEY, digest)):
        text.add_itxt(key, value)
    file = io.BytesIO()
    picture.save(file, "PNG", pnginfo=text)
    return file.getvalue()


def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return the font that comes with matplotlib, because Pillow's own has no letters beyond ASCII.

    matplotlib itself is not imported: that takes a tenth of a second, and may write into the user's home.
    """
    spec = find_spec("matplotlib")
    if spec is not None and spec.origin is not None:
        with suppress(OSError):  # some systems package the fonts apart
            return ImageFont.truetype(Path(spec.origin).with_name("mpl-data") / "fonts/ttf/DejaVuSans.ttf", _LETTER_PX)
    return ImageFont.load_default(_LETTER_PX)


def _recorded(legend: Path) -> str | None:
    """Return the digest of the class table that was written with a legend; None for none that noseam wrote."""
    try:
        return read_text(legend).get(LEGEND_KEY)
    except (OSError, ValueError):
        return None


def _digest(table: bytes) -> str:
    return hashlib.sha256(table).hexdigest()[:32]


def _write(path: Path, data: bytes, is_ours: Callable[[bytes], bool], classes: ClassTable | None = None) -> str:
    """Write a file, unless it is there already; return why not, where a stranger's stands there."""
    try:
        if os.path.lexists(path):
            found = path.read_bytes() if path.is_file() else b""
            if found == data or (classes is not None and _holds(path, classes)):
                return ""
            if not is_ours(found):
                return f"{path} stays as it is, because noseam did not write it; it is not of these masks"
        write_whole(path, data)
    except OSError as error:
        return f"{path}: cannot be written: {error.strerror or error}"
    return ""


def _holds(path: Path, classes: ClassTable) -> bool:
    try:
        return read_class_table(path) == classes
    except ClassTableError:
        return False
