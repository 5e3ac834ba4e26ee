"""A file whose end is missing is known by its header and its end, without reading what lies between."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import rasterio
from PIL import Image

from tests.make import noise
from tiler.errors import RasterReadError
from tiler.source.raster import read_info
from tiler.source.truncation import _holds

_END = b"\xff\xd9"


class Counting(io.BytesIO):
    """A file that counts what is read of it."""

    count = 0

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self.count += len(data)
        return data


@pytest.mark.parametrize("at", [10, 65_535, 65_536, 65_537, 131_070, 131_071, 131_072, 199_998])
def test_two_bytes_are_found_wherever_they_stand(at: int) -> None:
    data = bytearray(200_000)
    data[at : at + 2] = _END
    file = Counting(data)
    assert _holds(file, _END, 10)
    assert _holds(file, _END, at)
    assert not _holds(file, _END, at + 1)


def test_only_the_end_of_a_file_is_read_where_the_bytes_stand_there() -> None:
    file = Counting(bytes(2**24) + _END)
    assert _holds(file, _END, 10)
    assert file.count <= 2**16


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_the_header_of_a_cut_file_is_refused(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a.img"
    Image.fromarray(noise(64, 64, 3)).save(path, format=kind)
    assert read_info(path).shape == (64, 64)
    path.write_bytes(path.read_bytes()[: -path.stat().st_size // 3])
    with pytest.raises(RasterReadError, match=r"a\.img: (truncated: |the header cannot be read)"):
        read_info(path)


def test_the_end_of_a_mask_of_noseam_is_not_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    with rasterio.open(path, "w", driver="GTiff", count=1, height=64, width=64, dtype="uint8") as mask:
        mask.update_tags(NOSEAM_FINGERPRINT="0")  # before the pixels, as in a COG
        mask.write(noise(1, 64, 64))
    path.write_bytes(path.read_bytes()[:-1000])
    assert read_info(path).made_by_noseam
