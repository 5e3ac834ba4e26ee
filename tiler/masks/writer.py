"""Write the masks of one image: streamed, read back, and under their final names whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import MappingProxyType, TracebackType

import numpy as np
from numpy.typing import NDArray

from tiler.errors import RasterWriteError
from tiler.files.atomic import hidden_name
from tiler.files.beside import Sidecar, SideFile, sidecar_path
from tiler.files.names import Kind
from tiler.files.outputs import Output
from tiler.masks.coverage import Coverage
from tiler.masks.geotiff_sink import GeoTiffSink
from tiler.masks.overlay_sink import OverlaySink, Photo
from tiler.masks.png_sink import PngSink
from tiler.masks.products import remove_products
from tiler.masks.sidecars.build import sidecar_bytes
from tiler.masks.sink import MaskMeta, Sink, Staged, remove, sync, writing
from tiler.source.raster import gdal_environment
from tiler.stopwatch import watch

_NO_TAGS: Mapping[str, str] = MappingProxyType({})
_STALE: dict[str, tuple[Sidecar, ...]] = {
    "png": ("pam", "vat", "vat_encoding", "world", "prj"),
    "geotiff": ("pam", "vat", "vat_encoding"),
    "cog": ("pam", "vat", "vat_encoding"),
    "jpeg": ("pam", "world", "prj"),
}


class MaskWriter:
    """Write all output files of one image; use as a context manager.

    Leaving the block without `commit` removes every trace.

    Parameters
    ----------
    outputs : sequence of Output
        The files; their folders are made.
    meta : MaskMeta
        What they carry.
    stale : sequence of Path
        Masks and polygons of the image that go when the new ones come, with their side files.
    threads : int
        Threads that GDAL may use to compress a GeoTIFF or COG; the bytes do not depend on it.
    polygonise : callable, optional
        Called with the finished label mask and the vector file to write, where one is planned beside it.
    scratch : bool
        Whether the files are read once and removed, so that GeoTIFFs are compressed as fast as can be.
    photo : callable, optional
        Returns the photo in some rows, see `Photo`; needed where an overlay is planned.

    Raises
    ------
    RasterWriteError
        From any method, if a file cannot be written whole. The message names the file.
    """

    def __init__(
        self,
        outputs: Sequence[Output],
        meta: MaskMeta,
        *,
        stale: Sequence[Path] = (),
        threads: int = 1,
        polygonise: Callable[[Path, Path], object] | None = None,
        scratch: bool = False,
        photo: Photo | None = None,
    ) -> None:
        self._meta, self._polygonise, self._stale = meta, polygonise, stale
        self._missing, self._width = meta.shape
        self._staged = [Staged(output, hidden_name(output.path)) for output in outputs]
        self._sinks: list[tuple[Sink, Kind]] = []
        self._stack = ExitStack()
        with ExitStack() as stack:
            stack.enter_context(gdal_environment())
            for group in _groups(self._staged):
                sink = _open_sink(group, meta, threads, photo, scratch=scratch)
                stack.callback(sink.abandon)
                self._sinks.append((sink, group[0].output.kind))
            self._stack = stack.pop_all()

    def __enter__(self) -> MaskWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.close()

    def write(
        self,
        labels: NDArray[np.uint8],
        confidence: NDArray[np.uint8] | None = None,
        disagreement: NDArray[np.uint8] | None = None,
    ) -> None:
        """Write the next full-width rows to every file.

        Parameters
        ----------
        labels : ndarray of uint8, shape (n, width)
            Class ids; 255 where there is no data.
        confidence : ndarray of uint8, shape (n, width), optional
            `round(254 * (p1 - p2) / (p1 + p2))` of the two likeliest classes; 255 where there is no
            data. Given exactly where an output of that kind is planned.
        disagreement : ndarray of uint8, shape (n, width), optional
            See `tiler.stitch.disagreement`, times 254; 255 where there is no data, or one tile. Given likewise.

        Raises
        ------
        ValueError
            If one of these is planned but missing, given but not planned, or of another shape than the labels.
        """
        planes: dict[Kind, NDArray[np.uint8] | None] = {"confidence": confidence, "disagreement": disagreement}
        self._check(labels, planes)
        self._missing -= len(labels)
        with watch("encode"):
            for sink, kind in self._sinks:
                plane = planes.get(kind)
                sink.write(labels if plane is None else plane)

    def commit(self, coverage: Coverage | None = None, tags: Mapping[str, str] = _NO_TAGS) -> None:
        """Complete every file, read it back, and give all of them their final names.

        Parameters
        ----------
        coverage : Coverage, optional
            What the classes cover; goes into the tags of every file.
        tags : mapping of str to str
            Further tags that were not known before.
        """
        if self._missing:
            raise RasterWriteError(f"{self._staged[0].final}: {self._missing} rows are missing")
        with watch("encode"):
            for sink, _ in self._sinks:
                sink.close({**(coverage.tags() if coverage else {}), **tags})
        beside = [self._write_beside(mask, side, coverage) for mask in self._staged for side in mask.output.sidecars]
        masks = [(mask.temporary, mask.final) for mask in self._staged]
        for temporary, final in beside + masks:
            with writing(final), watch("sync"):
                sync(temporary, os.O_RDWR)
        # The masks get their names last. Only they say what they were made from, so a torn set is made again.
        _rename(beside)
        self._remove_stale()
        _rename(masks)
        for folder in {final.parent for _, final in beside + masks}:
            # Windows and some network shares cannot sync folders; the files are safe.
            with suppress(OSError), watch("sync"):
                sync(folder, os.O_RDONLY)

    def _write_beside(self, mask: Staged, side: SideFile, coverage: Coverage | None) -> tuple[Path, Path]:
        """Write a side file of a finished mask and return its temporary and its final name."""
        temporary = hidden_name(side.path)
        self._stack.callback(remove, temporary)
        with writing(side.path):
            if side.kind != "polygons":
                classes = self._meta.classes if mask.output.kind == "label" else None
                place = self._meta.georeference if mask.output.format in {"png", "jpeg"} else None
                pixels = coverage.pixels if coverage and classes else None
                temporary.write_bytes(sidecar_bytes(side.kind, classes, pixels, place))
            elif self._polygonise is not None:
                with watch("polygons"):
                    self._polygonise(mask.temporary, temporary)
        return temporary, side.path

    def _remove_stale(self) -> None:
        """Remove what earlier runs made and is not planned now: its labels, counts or places would be wrong."""
        planned = {
            path for mask in self._staged for path in (mask.final, *(side.path for side in mask.output.sidecars))
        }
        remove_products(self._stale, keep=planned)
        for mask in self._staged:
            for kind in _STALE[mask.output.format]:
                if (path := sidecar_path(mask.final, kind)) not in planned:
                    remove(path)

    def _check(self, labels: NDArray[np.uint8], planes: Mapping[Kind, NDArray[np.uint8] | None]) -> None:
        if labels.ndim != 2 or labels.shape[1] != self._width or len(labels) > self._missing:
            raise RasterWriteError(
                f"{self._staged[0].final}: at most {self._missing} rows of {self._width} pixels expected, "
                f"got shape {labels.shape}"
            )
        kinds = {kind for _, kind in self._sinks}
        for kind, plane in planes.items():
            if (kind in kinds) != (plane is not None):
                raise ValueError(f"{kind} is {'planned but not given' if kind in kinds else 'given but not planned'}")
            if plane is not None and plane.shape != labels.shape:
                raise ValueError(f"{kind} has shape {plane.shape}, labels have {labels.shape}")


def _groups(staged: Sequence[Staged]) -> Iterator[list[Staged]]:
    """Yield the outputs that one sink writes: PNGs of the same rows are encoded once."""
    shared = [entry for entry in staged if entry.output.format == "png" and entry.output.kind in {"label", "color"}]
    if shared:
        yield shared
    yield from ([entry] for entry in staged if entry not in shared)


def _open_sink(group: Sequence[Staged], meta: MaskMeta, threads: int, photo: Photo | None, *, scratch: bool) -> Sink:
    if group[0].output.kind == "overlay":
        if photo is None:
            raise ValueError("an overlay is planned, and no photo is given")
        return OverlaySink(group[0], meta, photo)
    if group[0].output.format == "png":
        return PngSink(group, meta)
    return GeoTiffSink(group[0], meta, threads, scratch=scratch)


def _rename(files: Sequence[tuple[Path, Path]]) -> None:
    for temporary, final in files:
        with writing(final):
            temporary.replace(final)
