"""Text in a JPEG: what an overlay says of itself, in the comments that stand before its pixels.

Format: ITU-T T.81, B.2.4.5 (comment).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from PIL.JpegImagePlugin import JpegImageFile

from tiler.source.raster import JPEG_TEXT

_BEGIN = b"\xff\xd8"
_COMMENT = b"\xff\xfe"
_LONGEST = 65_533


def with_text(jpeg: bytes, text: Mapping[str, str]) -> bytes:
    """Return a JPEG with a text, which `read_jpeg_text` reads.

    Raises
    ------
    ValueError
        If the bytes are no JPEG, or the text is longer than a comment can be.
    """
    comment = JPEG_TEXT.encode() + json.dumps(text, separators=(",", ":")).encode("ascii")
    if not jpeg.startswith(_BEGIN) or len(comment) > _LONGEST:
        raise ValueError(f"a JPEG and at most {_LONGEST} bytes of text expected, {len(comment)} found")
    return _BEGIN + _COMMENT + (len(comment) + 2).to_bytes(2) + comment + jpeg[len(_BEGIN) :]


def read_jpeg_text(path: Path) -> dict[str, str]:
    """Return the text of a JPEG; empty where noseam wrote none.

    Raises
    ------
    OSError, SyntaxError, ValueError
        If the file cannot be read, is no JPEG, or holds a damaged text.
    """
    with JpegImageFile(path) as image:
        comment = bytes(image.info.get("comment", b""))
    if not comment.startswith(JPEG_TEXT.encode()):
        return {}
    return {str(key): str(value) for key, value in json.loads(comment[len(JPEG_TEXT) :]).items()}
