"""Run every writer under ever larger limits of a file's size; `tests.whole.test_full_disk` starts this as a process.

    python -m tests.whole.full_disk FOLDER

prints one line of JSON per try. A limit belongs to the whole process, so it cannot be set in that of the tests.
"""

from __future__ import annotations

import json
import logging
import resource
import shutil
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import get_args
from unittest.mock import patch

import numpy as np

from segment.errors import SegmentError
from segment.record.failures import FAILURES, write_failures
from segment.record.manifest import MANIFEST, Manifest
from segment.record.outcome import Outcome
from segment.record.summary import SUMMARY, Covered, write_summary
from tests.make import UTM, noise
from tests.models import class_table
from tests.runs import NORTH_UP
from tiler.errors import TilerError
from tiler.files.beside import Sidecar
from tiler.files.names import Kind
from tiler.files.outputs import Format, plan_outputs
from tiler.files.vector import Format as VectorFormat
from tiler.files.vector import OneFile, suffix_of
from tiler.masks.coverage import Coverage
from tiler.masks.sink import MaskMeta
from tiler.masks.writer import MaskWriter
from tiler.polygons.make import write_polygons
from tiler.polygons.request import PolygonOptions
from tiler.source.footprint import Footprint
from tiler.source.georef import Georeference
from tiler.source.raster import FINGERPRINT_KEY

Write = Callable[[Path, int], None]
"""A function that writes files to a folder; the number chooses their contents."""

CLASSES = class_table(3)
KINDS: tuple[Kind, ...] = ("label", "color", "confidence")
FORMATS: tuple[Format, ...] = ("png", "geotiff", "cog")
SIDECARS: tuple[Sidecar, ...] = ("pam", "style", "vat", "vat_encoding", "world", "prj")
VECTORS: tuple[VectorFormat, ...] = get_args(VectorFormat)
UNSIEVED = PolygonOptions(min_area_m2=0.0)
STEPS = 23
BEYOND = (1.0, 1.1, 1.3, 1.6, 2.0, 4.0)
"""Limits as shares of the largest file; while it is written a file may be larger than in the end."""


def write_masks(
    folder: Path,
    variant: int,
    *,
    format: Format,
    kinds: tuple[Kind, ...],
    sidecars: tuple[Sidecar, ...] = (),
    polygons: OneFile | None = None,
) -> None:
    """Write masks of an image, and what stands beside them."""
    labels = noise(37, 51, high=3, seed=variant).repeat(17, 0).repeat(13, 1)
    outputs = plan_outputs(
        Path("a.jpg"), folder, georeferenced=True, wanted=format, color=True, confidence=True, sidecars=sidecars,
        polygons=polygons,
    )  # fmt: skip
    tags = {FINGERPRINT_KEY: "abc", "CLASS_NAMES": json.dumps(CLASSES.names), "SOURCE": "a.jpg"}
    meta = MaskMeta(labels.shape, CLASSES, Georeference(UTM, NORTH_UP), tags)
    confidence = noise(*labels.shape, high=16, seed=variant)
    chosen = [output for output in outputs if output.kind in kinds]
    polygonise = partial(write_polygons, layer="a") if polygons else None
    with MaskWriter(chosen, meta, polygonise=polygonise) as writer:
        for row in range(0, len(labels), 100):
            rows = slice(row, row + 100)
            writer.write(labels[rows], confidence[rows] if "confidence" in kinds else None)
        writer.commit(Coverage(tuple(np.bincount(labels.ravel(), minlength=3).tolist()), 0))


def write_vector(folder: Path, variant: int, *, format: VectorFormat, request: PolygonOptions) -> None:
    """Write the polygons of a mask that lies in another folder."""
    mask = folder.parent / f"mask_{variant}" / "a_label.png"
    write_polygons(mask, folder / f"a{suffix_of(format)}", request)


def write_table(folder: Path, variant: int) -> None:
    """Write the summary of a run."""
    nowhere = Footprint(Georeference(), (1, 1))
    covered = [Covered(Path(f"{index}.jpg"), Coverage((index, variant, 3), 4), nowhere) for index in range(300)]
    write_summary(folder / SUMMARY, CLASSES, covered, [each.image for each in covered])


def write_failed(folder: Path, variant: int) -> None:
    """Write the table of what failed in a run."""
    failed = [Outcome(Path(f"/s/{index}.jpg"), "failed", f"reason {variant}", advice="help") for index in range(300)]
    write_failures(folder / FAILURES, failed)


def write_record(folder: Path, variant: int) -> None:
    """Add an image to the record of a run, always with the same time."""
    outcome = Outcome(Path("/a.jpg"), "done", coverage=Coverage((1, variant, 3), 4), relative=Path("a" * 200))
    with (
        patch("segment.record.manifest.secrets.token_hex", return_value="0"),
        patch("segment.record.manifest.datetime") as clock,
    ):
        clock.now.return_value = datetime(2026, 1, 1, tzinfo=UTC)
        with Manifest(folder / MANIFEST, CLASSES) as manifest:
            manifest.append([outcome])


WRITERS: dict[str, Write] = {
    **{f"{kind}.{format}": partial(write_masks, format=format, kinds=(kind,)) for kind in KINDS for format in FORMATS},
    "all.png": partial(write_masks, format="png", kinds=KINDS, sidecars=SIDECARS),
    "all.cog": partial(write_masks, format="cog", kinds=KINDS, sidecars=SIDECARS, polygons="gpkg"),
    "small.png": partial(write_masks, format="png", kinds=("label",), sidecars=SIDECARS),
    **{f"polygons.{format}": partial(write_vector, format=format, request=UNSIEVED) for format in VECTORS},
    "sieved.gpkg": partial(write_vector, format="gpkg", request=PolygonOptions(min_area_m2=60)),
    "failures.csv": write_failed,
    "manifest.jsonl": write_record,
    "summary.csv": write_table,
}
"""The writers that are tried, by name."""


def limit_files(size: int | None) -> None:
    """Let no file of this process become larger; None: any size."""
    most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (most if size is None else size, most))


def attempt(write: Write, folder: Path, limit: int) -> str | None:
    """Write under a limit; return what noseam says of it, None if it says nothing."""
    limit_files(limit)
    try:
        write(folder, 1)
    except (TilerError, SegmentError, OSError) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        limit_files(None)
    return None


def sweep(name: str, folder: Path) -> None:
    """Try every limit with a writer, on an empty folder and over older files, and print what came of it."""
    write = WRITERS[name]
    for variant in (0, 1):
        write_masks(folder / f"mask_{variant}", variant, format="png", kinds=("label",), sidecars=SIDECARS)
        (folder / str(variant)).mkdir(parents=True)
        write(folder / str(variant), variant)
    shutil.copytree(folder / "0", folder / "both")
    write(folder / "both", 1)
    old, new, both = (found(folder / each) for each in ("0", "1", "both"))
    for before, wanted in (({}, new), (old, both)):
        largest = max(map(len, wanted.values()))
        below = [*(largest * step // STEPS for step in range(STEPS)), largest - 1]
        for limit in (*below, *(int(largest * by) for by in BEYOND)):
            tried = folder / "tried"
            shutil.copytree(folder / "0", tried) if before else tried.mkdir()
            error = attempt(write, tried, limit)
            after = found(tried)
            state = "new" if after == wanted else "unchanged" if after == before else sorted(after)
            share = limit / largest
            print(json.dumps({"writer": name, "share": share, "over": bool(before), "error": error, "state": state}))
            shutil.rmtree(tried)


def found(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder, hidden ones too, but a record without a line."""
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {name: data for name, data in files.items() if data or name != MANIFEST}


if __name__ == "__main__":
    logging.disable()
    for each in WRITERS:
        sweep(each, Path(sys.argv[1], each))
