"""Find temperature and balance of classes of a checkpoint that was trained elsewhere, as `noseam train` does it.

    noseam scenes scenes --photos 40 --photo-size 2048 3072 --seed 2
    noseam crop scenes/images scenes/truth --out crops --classes scenes/classes.csv --window 1024 --split 0.4
    python benchmarks/temperature.py bundled:demo crops [--write FOLDER]

It prints the temperature and the expected calibration errors by the validation crops, and the strength of
`segment --balance-classes auto` by them and by the frequencies of classes in the training crops. `--write` puts all
that into the `config.json` of a checkpoint folder; weights stay as they are. See docs/confidence.md and docs/survey.md.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from measure import machine

from segment.model.checkpoint import describe_checkpoint, load_checkpoint
from segment.training.balance import FoundBalance, find_balance
from segment.training.data import read_crop_set
from segment.training.dataset import CropDataset
from segment.training.temperature import Temperature, find_temperature, sampled_logits


def judged(model: str, crops: Path) -> tuple[Temperature, FoundBalance, list[float]]:
    """Return temperature and balance of a checkpoint by the crops of a folder, and how often they show each class."""
    description, found = describe_checkpoint(model), read_crop_set(crops)
    names = description.classes.names
    if found.classes.names != names:
        raise SystemExit(f"{crops}: classes {', '.join(names)} expected, {', '.join(found.classes.names)} found")
    dataset = CropDataset(
        found.val.crops, classes=len(names), input_px=description.tiling.input_px,
        normalisation=description.normalisation, seed=None,
    )  # fmt: skip
    sampled = sampled_logits(load_checkpoint(description).network, dataset, len(names), torch.device("cpu"))
    frequencies = found.train.class_frequencies
    temperature, balance = find_temperature(*sampled), find_balance(*sampled, frequencies)
    if temperature is None or balance is None:
        raise SystemExit(f"{crops}: no validation crop has a label")
    return temperature, balance, frequencies


def write(folder: Path, **entries: Any) -> None:
    """Put entries into the config of a checkpoint."""
    path = folder / "config.json"
    config = {**json.loads(path.read_text("utf-8")), **entries}
    path.write_text(json.dumps(dict(sorted(config.items())), indent=2) + "\n", "utf-8")


def main() -> None:
    """Print the temperature, and write it if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("crops", type=Path)
    parser.add_argument("--write", type=Path, metavar="FOLDER")
    given = parser.parse_args()
    found, balance, frequencies = judged(given.model, given.crops)
    if given.write is not None:
        write(given.write, calibration=found.entry, class_balance=balance.entry, class_frequencies=frequencies)
    print(
        f"temperature {found.value:g}; expected calibration error {100 * found.ece_before:.3f} % before, "
        f"{100 * found.ece_after:.3f} % after; {found.pixels:,} pixels"
    )
    print(f"--balance-classes auto: {balance}")
    print(machine())


if __name__ == "__main__":
    main()
