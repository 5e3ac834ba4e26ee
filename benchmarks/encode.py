"""Measure how masks are encoded: size and core time of PNG settings near the chosen ones, and of whole files.

Run from the repository, inside its virtual environment:

    python benchmarks/encode.py [--library zlib_ng.zlib_ng] [--threads 4] [--folder DIR]

It makes up one photo of 6000 x 4000 pixels and one of noise with the spectrum of a photo, segments
both with the bundled model and the first with an untrained one too, and encodes the labels and the
confidence of these masks. The table gives sizes as ratios to the smallest of all settings, mask by mask.
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from measure import machine, table, write_model, write_photos
from numpy.typing import NDArray
from PIL import Image

from segment.api import segment
from tiler.classes import ClassTable, distinct_colours
from tiler.files.names import Kind
from tiler.files.outputs import Format, Output
from tiler.grid.tiling import Tiling
from tiler.masks.png_pixels import _filter_paeth, _filter_up
from tiler.masks.sink import MaskMeta
from tiler.masks.writer import MaskWriter
from tiler.scenes.request import SceneOptions
from tiler.scenes.survey import make_survey
from tiler.source.georef import Georeference

Mask = NDArray[np.uint8]
Band = tuple[Kind, ...]
HEIGHT, WIDTH = 4000, 6000
PORTION_ROWS, PIECE_ROWS = 1000, 20
ROUNDS, LONG_S = 2, 0.3
STRATEGIES = {"matches": zlib.Z_DEFAULT_STRATEGY, "runs": zlib.Z_RLE, "Huffman": zlib.Z_HUFFMAN_ONLY}
SETTINGS = (
    ("none", 6, "matches"), ("none", 9, "matches"), ("none", 1, "runs"), ("sub", 1, "runs"), ("up", 1, "runs"),
    ("up", 1, "matches"), ("up", 4, "matches"), ("up", 6, "matches"), ("up", 9, "matches"), ("up", 1, "Huffman"),
    ("paeth", 1, "runs"), ("paeth", 6, "matches"),
)  # fmt: skip
FILES: tuple[tuple[Band, Format], ...] = (
    (("label", "color"), "png"),
    (("label", "color", "confidence"), "png"),
    (("label",), "geotiff"),
    (("label",), "cog"),
    (("label", "confidence"), "cog"),
)


def _filter_none(rows: Mask, before: Mask, out: Mask) -> None:
    out[:, 1:] = rows


def _filter_sub(rows: Mask, before: Mask, out: Mask) -> None:
    out[:, 1] = rows[:, 0]
    np.subtract(rows[:, 1:], rows[:, :-1], out=out[:, 2:])


FILTERS: dict[str, Callable[[Mask, Mask, Mask], None]] = {
    "none": _filter_none,
    "sub": _filter_sub,
    "up": _filter_up,
    "paeth": _filter_paeth,
}


@dataclass(frozen=True, slots=True)
class Cost:
    """What encoding took."""

    size: int
    """Bytes."""
    core_s: float
    """Processor time, least of the rounds; a long one is measured once."""
    wall_s: float
    """Elapsed time of the same round."""


def make_masks(folder: Path) -> Iterator[tuple[Mask, Mask]]:
    """Yield labels and confidence of the masks to encode."""
    make_survey(folder / "scenes", SceneOptions(photos=1, photo_shape=(HEIGHT, WIDTH), orthomosaics=0))
    photos = folder / "scenes" / "images", write_photos(folder / "photos", 1, HEIGHT, WIDTH)
    untrained = write_model(folder / "model", 24, "b0", Tiling(2000, 512, 0.25))
    for index, (source, model) in enumerate([(photos[0], "demo"), (photos[1], "demo"), (photos[0], str(untrained))]):
        out = folder / f"masks_{index}"
        outcomes = segment(source, out, model=model, format="png", confidence=True, color=False)
        if any(outcome.state == "failed" for outcome in outcomes):
            raise SystemExit(outcomes[0].reason)
        yield _read(out, "label"), _read(out, "confidence")


def _read(folder: Path, kind: Kind) -> Mask:
    return np.asarray(Image.open(next(folder.glob(f"*_{kind}.png"))))


def sweep(masks: Sequence[Mask], library: Any) -> list[list[str]]:
    """Return a row of the table for every setting: what it is, MB, ms, mean and worst ratio to the smallest."""
    costs = {setting: [_encode(mask, *setting, library) for mask in masks] for setting in SETTINGS}
    best = [min(found[index].size for found in costs.values()) for index in range(len(masks))]
    rows = []
    for (name, level, strategy), found in costs.items():
        ratios = [cost.size / least for cost, least in zip(found, best, strict=True)]
        size, core_s = np.mean([cost.size for cost in found]) / 1e6, np.mean([cost.core_s for cost in found])
        rows.append(
            [f"{name}, level {level}, {strategy}", f"{size:.2f}", f"{core_s * 1e3:.0f}",
             f"{np.mean(ratios):.2f}", f"{max(ratios):.2f}"]
        )  # fmt: skip
    return rows


def _encode(mask: Mask, name: str, level: int, strategy: str, library: Any) -> Cost:
    return _least(lambda: sum(map(len, _deflate(mask, FILTERS[name], level, STRATEGIES[strategy], library))))


def _deflate(
    mask: Mask, fill: Callable[[Mask, Mask, Mask], None], level: int, strategy: int, library: Any
) -> Iterator[bytes]:
    deflate = library.compressobj(level, zlib.DEFLATED, zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, strategy)
    before, filtered = np.zeros(mask.shape[1], np.uint8), np.zeros((PIECE_ROWS, mask.shape[1] + 1), np.uint8)
    for row in range(0, len(mask), PIECE_ROWS):
        rows = mask[row : row + PIECE_ROWS]
        fill(rows, before, filtered[: len(rows)])
        before = rows[-1]
        yield deflate.compress(filtered[: len(rows)].data)
    yield deflate.flush()


def write_files(masks: Sequence[tuple[Mask, Mask]], kinds: Band, format: Format, threads: int) -> list[str]:
    """Return a row of the table for whole files, written, read back and renamed: MB, ms of a core, ms."""
    found = [_least(partial(_write, labels, confidence, kinds, format, threads)) for labels, confidence in masks]
    size, core_s, wall_s = (np.mean([getattr(cost, name) for cost in found]) for name in ("size", "core_s", "wall_s"))
    return [
        f"{' + '.join(kinds)}, {format}",
        str(threads),
        f"{size / 1e6:.2f}",
        f"{core_s * 1e3:.0f}",
        f"{wall_s * 1e3:.0f}",
    ]


def _write(labels: Mask, confidence: Mask, kinds: Band, format: Format, threads: int) -> int:
    classes = ClassTable(tuple(f"class {index}" for index in range(24)), distinct_colours(24))
    with tempfile.TemporaryDirectory() as folder:
        outputs = [Output(Path(folder, kind + (".png" if format == "png" else ".tif")), kind, format) for kind in kinds]
        meta = MaskMeta((labels.shape[0], labels.shape[1]), classes, Georeference(), {})
        with MaskWriter(outputs, meta, threads=threads) as writer:
            for row in range(0, len(labels), PORTION_ROWS):
                rows = slice(row, row + PORTION_ROWS)
                writer.write(labels[rows], confidence[rows] if "confidence" in kinds else None)
            writer.commit()
        return sum(output.path.stat().st_size for output in outputs)


def _least(work: Callable[[], int]) -> Cost:
    costs = []
    for _ in range(ROUNDS):
        wall_s, core_s = time.perf_counter(), time.process_time()
        size = work()
        costs.append(Cost(size, time.process_time() - core_s, time.perf_counter() - wall_s))
        if costs[0].core_s > LONG_S:
            break
    return min(costs, key=lambda cost: cost.core_s)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--library", default="zlib", help="Module with the interface of zlib, for the settings.")
    parser.add_argument("--threads", type=int, default=4, help="GDAL's threads, compared with one.")
    parser.add_argument("--folder", type=Path, help="Where photos and masks go; a temporary folder by default.")
    arguments = parser.parse_args()
    library = importlib.import_module(arguments.library)
    with tempfile.TemporaryDirectory() as temporary:
        masks = list(make_masks(arguments.folder or Path(temporary)))
    head = ["filter, level, search", "MB", "ms of a core", "size to smallest, mean", "worst"]
    for name, bands in zip(("labels", "confidence"), zip(*masks, strict=True), strict=True):
        print(f"PNG of {name}, 24 megapixels, {arguments.library}\n\n{table(head, sweep(bands, library))}\n")
    files = [
        write_files(masks, *file, threads)
        for file, threads in itertools.product(FILES, (1, arguments.threads))
        if threads == 1 or file[1] != "png"
    ]
    print(table(["files, 24 megapixels", "threads", "MB", "ms of a core", "ms"], files))
    print(f"\n{machine(('numpy', 'rasterio'))}")


if __name__ == "__main__":
    main()
