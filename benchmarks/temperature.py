"""Find the temperature of a checkpoint that was trained elsewhere, as `noseam train` does it; see docs/confidence.md.

    noseam scenes scenes --photos 40 --photo-size 2048 3072 --seed 2
    noseam crop scenes/images scenes/truth --out crops --classes scenes/classes.csv --window 1024 --split 0.4
    python benchmarks/temperature.py bundled:demo crops [--write FOLDER]

It prints the temperature and the expected calibration errors by the validation crops. `--write` puts them into the
`config.json` of a checkpoint folder; weights stay as they are.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from measure import machine

from segment.model.checkpoint import describe_checkpoint, load_checkpoint
from segment.training.data import read_crop_set
from segment.training.dataset import CropDataset
from segment.training.temperature import Temperature, find_temperature


def temperature_of(model: str, crops: Path) -> Temperature:
    """Return the temperature of a checkpoint by the validation crops of a folder."""
    description, found = describe_checkpoint(model), read_crop_set(crops)
    names = description.classes.names
    if found.classes.names != names:
        raise SystemExit(f"{crops}: classes {', '.join(names)} expected, {', '.join(found.classes.names)} found")
    dataset = CropDataset(
        found.val.crops, classes=len(names), input_px=description.tiling.input_px,
        normalisation=description.normalisation, seed=None,
    )  # fmt: skip
    temperature = find_temperature(load_checkpoint(description).network, dataset, len(names), torch.device("cpu"))
    if temperature is None:
        raise SystemExit(f"{crops}: no validation crop has a label")
    return temperature


def write(temperature: Temperature, folder: Path) -> None:
    """Put a temperature into the config of a checkpoint."""
    path = folder / "config.json"
    config = {**json.loads(path.read_text("utf-8")), "calibration": temperature.entry}
    path.write_text(json.dumps(dict(sorted(config.items())), indent=2) + "\n", "utf-8")


def main() -> None:
    """Print the temperature, and write it if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("crops", type=Path)
    parser.add_argument("--write", type=Path, metavar="FOLDER")
    given = parser.parse_args()
    found = temperature_of(given.model, given.crops)
    if given.write is not None:
        write(found, given.write)
    print(
        f"temperature {found.value:g}; expected calibration error {100 * found.ece_before:.3f} % before, "
        f"{100 * found.ece_after:.3f} % after; {found.pixels:,} pixels"
    )
    print(machine())


if __name__ == "__main__":
    main()
