"""Write rows of a mask over its photo, as a JPEG."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from rasterio.windows import Window as RasterioWindow

from tiler.files.atomic import hidden_name
from tiler.grid.parts import BLOCK_PX
from tiler.masks.blend import blended
from tiler.masks.geotiff_sink import rows_of_blocks
from tiler.masks.jpeg_text import with_text
from tiler.masks.provenance import RECIPE_KEY, SOURCE_KEY
from tiler.masks.sink import MaskMeta, Staged, remove, writing
from tiler.source.raster import FINGERPRINT_KEY
from tiler.stopwatch import watch

Photo = Callable[[int, int], NDArray[np.uint8]]
"""Returns red, green and blue of source rows from the first to before the second, uint8 of shape (3, n, width)."""
_QUALITY = 85
_TOLD = (FINGERPRINT_KEY, RECIPE_KEY, SOURCE_KEY, "SOFTWARE", "MODEL")
"""Tags that an overlay carries: a comment of a JPEG is short."""


class OverlaySink:
    """Rows over the photo, by way of a scratch GeoTIFF that GDAL copies: its JPEG driver takes whole images alone.

    Parameters
    ----------
    staged : Staged
        The file.
    meta : MaskMeta
        What it carries.
    photo : callable
        See `Photo`.
    """

    def __init__(self, staged: Staged, meta: MaskMeta, photo: Photo) -> None:
        self._staged, self._meta, self._photo = staged, meta, photo
        self._scratch = hidden_name(staged.final.with_suffix(".tif"))
        self._row = 0
        height, width = meta.shape
        try:
            with writing(staged.final):
                staged.final.parent.mkdir(parents=True, exist_ok=True)
                self._dataset: Any = rasterio.open(
                    str(self._scratch.absolute()), "w", driver="GTiff", height=height, width=width, count=3,
                    dtype="uint8", photometric="rgb", interleave="pixel", blockysize=min(BLOCK_PX, height),
                    bigtiff="if_safer",
                )  # fmt: skip
        except BaseException:
            remove(self._scratch)
            raise

    def write(self, rows: NDArray[np.uint8]) -> None:
        """See `Sink`."""
        photo = np.moveaxis(self._photo(self._row, self._row + len(rows)), 0, -1)
        bands = np.moveaxis(blended(photo, rows, self._meta.classes), -1, 0)
        with writing(self._staged.final):
            self._dataset.write(bands, window=RasterioWindow(0, self._row, rows.shape[1], len(rows)))
        self._row += len(rows)

    def close(self, tags: Mapping[str, str]) -> None:
        """See `Sink`."""
        temporary = self._staged.temporary
        with writing(self._staged.final):
            self._dataset.close()
            rasterio.shutil.copy(
                str(self._scratch.absolute()), str(temporary.absolute()), driver="JPEG", quality=_QUALITY
            )
            self._scratch.unlink()
            told = {key: self._meta.tags[key] for key in _TOLD if key in self._meta.tags}
            temporary.write_bytes(with_text(temporary.read_bytes(), told))
            with watch("verify"), rasterio.open(str(temporary.absolute()), driver="JPEG") as dataset:
                for window in rows_of_blocks(dataset):
                    dataset.read(window=window)

    def abandon(self) -> None:
        """See `Sink`."""
        with suppress(Exception):  # closing flushes, which may fail again; the file is removed in any case
            self._dataset.close()
        for path in (self._scratch, self._staged.temporary, self._side_file()):
            remove(path)

    def _side_file(self) -> Any:
        """Return what GDAL may write beside the JPEG."""
        return self._staged.temporary.with_name(self._staged.temporary.name + ".aux.xml")
