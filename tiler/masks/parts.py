"""Labelled parts of a large image: hidden files beside its masks, until all are there and masks are made of them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import rasterio

from tiler.classes import ClassTable
from tiler.errors import RasterReadError
from tiler.files.names import Kind
from tiler.files.outputs import Output
from tiler.grid.parts import Span
from tiler.masks.geotiff_sink import rows_of_blocks
from tiler.masks.products import part_folder
from tiler.masks.provenance import SOURCE_KEY, read_tags
from tiler.masks.sink import MaskMeta, remove
from tiler.masks.writer import MaskWriter
from tiler.source.georef import Georeference
from tiler.source.raster import FINGERPRINT_KEY, gdal_environment, reading
from tiler.source.remarks import Findings
from tiler.source.stretch import Stretch
from tiler.source.tiles import Colour
from tiler.stitch.upsample import MaskRows
from tiler.stopwatch import watch

_SEEN_KEY = "NOSEAM_PART"


@dataclass(frozen=True, slots=True)
class Seen:
    """What reading a part, or several, told of the image besides its labels."""

    findings: Findings
    """What was found in its pixels."""
    colours: tuple[Colour, ...] = ()
    """See `OneColour`."""

    def __add__(self, other: Seen) -> Seen:
        """Return what this part and a later one tell together."""
        damage = dict.fromkeys((*self.findings.damage, *other.findings.damage))
        colours = dict.fromkeys((*self.colours, *other.colours))
        findings = Findings(self.findings.stretch, tuple(damage))
        return Seen(findings, tuple(colours)[:2])


class PartFolder:
    """The parts of one image that are labelled, in a hidden folder beside its label mask.

    A part has its name only when it is whole, and it carries the fingerprint of what it was made from.

    Parameters
    ----------
    label : Path
        The label mask that will be made of the parts.
    fingerprint : str
        It changes whenever the labels would.
    source : str
        The image, as its masks tell it.
    kinds : sequence of str
        The masks of each part; labels come last.
    """

    def __init__(self, label: Path, fingerprint: str, *, source: str, kinds: Sequence[Kind]) -> None:
        self._folder = part_folder(label)
        self._fingerprint, self._source = fingerprint, source
        self._kinds = tuple(kinds)

    def standing(self, spans: Iterable[Span], *, alone: bool = True) -> dict[Span, Seen]:
        """Return which of some parts are there, whole and current, and what they tell.

        Parameters
        ----------
        spans : iterable of Span
            The parts, top to bottom.
        alone : bool
            Whether these are all parts of the image: whatever else lies in the folder is removed then.
        """
        if not self._folder.is_dir():
            return {}
        found = {span: seen for span in spans if (seen := self._seen(span)) is not None}
        current = {self._path(span, kind) for span in found for kind in self._kinds}
        for path in self._folder.iterdir() if alone else ():
            if path not in current:
                remove(path)
        return found

    def writer(self, span: Span, classes: ClassTable, width: int) -> MaskWriter:
        """Return what writes a part, with `seen_tags` at its end; its folder is made, and its labels come last.

        Raises
        ------
        RasterWriteError
            If the folder or a file cannot be made.
        """
        outputs = [Output(self._path(span, kind), kind, "geotiff") for kind in self._kinds]
        tags = {FINGERPRINT_KEY: self._fingerprint, SOURCE_KEY: self._source}
        return MaskWriter(outputs, MaskMeta((len(span), width), classes, Georeference(), tags), scratch=True)

    def rows(self, spans: Iterable[Span]) -> Iterator[MaskRows]:
        """Yield the masks of parts: a row of blocks at a time.

        Raises
        ------
        RasterReadError
            If a part cannot be read; it is removed, so that it is made again.
        """
        for span in spans:
            try:
                yield from self._rows_of(span)
            except RasterReadError:
                self.remove_part(span)
                raise

    def remove_part(self, span: Span) -> None:
        """Remove a part, if it is there."""
        for kind in reversed(self._kinds):
            remove(self._path(span, kind))

    def remove(self) -> None:
        """Remove all parts."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _path(self, span: Span, kind: Kind) -> Path:
        return self._folder / f"{kind}-{span.start}-{span.stop}.tif"

    def _seen(self, span: Span) -> Seen | None:
        tags = [read_tags(self._path(span, kind)) for kind in self._kinds]
        if any(found.get(FINGERPRINT_KEY) != self._fingerprint for found in tags):
            return None
        with suppress(KeyError, ValueError, TypeError):
            return _seen_of(json.loads(tags[-1][_SEEN_KEY]))
        return None

    def _rows_of(self, span: Span) -> Iterator[MaskRows]:
        with gdal_environment(), ExitStack() as stack:
            paths = [self._path(span, kind) for kind in self._kinds]
            with reading(paths[-1], "a part of the masks"):
                datasets = [stack.enter_context(rasterio.open(str(path.absolute()), driver="GTiff")) for path in paths]
            for window in rows_of_blocks(datasets[0]):
                with reading(paths[-1], "a part of the masks"), watch("read"):
                    planes = [dataset.read(1, window=window) for dataset in datasets]
                of_kind = dict(zip(self._kinds, planes, strict=True))
                yield MaskRows(of_kind["label"], of_kind.get("confidence"), of_kind.get("disagreement"))


def seen_tags(seen: Seen) -> dict[str, str]:
    """Return the tags by which a part says what reading it told."""
    return {_SEEN_KEY: json.dumps(asdict(seen))}


def _seen_of(found: Mapping[str, Any]) -> Seen:
    stretch, damage = found["findings"]["stretch"], found["findings"]["damage"]
    findings = Findings(Stretch(**stretch) if stretch else None, tuple(damage))
    colours = tuple((red, green, blue) for red, green, blue in found["colours"])
    return Seen(findings, colours)
