"""Say what window, overlap and tile are worth on made-up scenes, and what they cost.

    python benchmarks/choosing.py [--photos 2] [--rounds 2] [--small]

The bundled model was trained on windows of 1024 px seen at 512. Each row is `noseam segment` and `noseam evaluate` with
one setting changed. Core seconds are those of the whole run, which other programs hardly change, for a photo of 24
megapixels; the least of some rounds counts.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

from measure import machine, table

import noseam
from segment.model.checkpoint import DEMO_MODEL
from tiler.scenes.request import SceneOptions
from tiler.scenes.survey import IMAGES, TRUTH, make_survey

SEED = 78
"""Scenes of this seed are in no training and no other benchmark."""
ROWS: dict[str, dict[str, Any]] = {
    "as trained: window 1024 to 512, overlap 0.25, balanced": {},
    "window 512 to 512: things look twice as large": {"window_px": 512},
    "window 768 to 512": {"window_px": 768},
    "window 1536 to 512": {"window_px": 1536},
    "window 2048 to 512: things look half as large": {"window_px": 2048},
    "overlap 0, squares of 512": {"overlap": 0.0, "tile": "512"},
    "overlap 0.125, squares of 512": {"overlap": 0.125, "tile": "512"},
    "overlap 0.25, squares of 512": {"overlap": 0.25, "tile": "512"},
    "overlap 0.5, squares of 512": {"overlap": 0.5, "tile": "512"},
    "fast": {"quality": "fast"},
    "best": {"quality": "best"},
}
"""What is changed, and the options that do it."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--small", action="store_true", help="one small photo, to try everything out")
    asked = parser.parse_args()
    shape = (640, 960) if asked.small else (4000, 6000)
    scenes = SceneOptions(photos=1 if asked.small else asked.photos, photo_shape=shape, seed=SEED)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        make_survey(folder / "scenes", scenes)
        rounds = [[row(folder, options, scenes) for options in ROWS.values()] for _ in range(asked.rounds)]
        found = [
            (name, *min(rows, key=lambda each: each[2]))
            for name, rows in zip(ROWS, zip(*rounds, strict=True), strict=True)
        ]
    print(table(("", "mIoU, %", "accuracy, %", "core s a photo", "of the first"), [
        (name, f"{100 * miou:.2f}", f"{100 * accuracy:.2f}", f"{seconds:.2f}", f"{seconds / found[0][3]:.2f}")
        for name, miou, accuracy, seconds in found
    ]))  # fmt: skip
    print(f"\n{machine()}")


def row(folder: Path, options: dict[str, Any], scenes: SceneOptions) -> tuple[float, float, float]:
    """Return mean IoU, accuracy, and core seconds for a photo, with some options changed."""
    masks, images = folder / "masks", folder / "scenes" / IMAGES
    began = time.process_time()
    outcomes = noseam.segment(images, masks, model=DEMO_MODEL, report=False, overwrite=True, **options)
    core_s = time.process_time() - began
    assert [outcome.state for outcome in outcomes] == ["done"] * scenes.photos, outcomes
    metrics = noseam.evaluate(masks, folder / "scenes" / TRUTH).metrics
    return metrics.miou, metrics.accuracy, core_s / scenes.photos


if __name__ == "__main__":
    main()
