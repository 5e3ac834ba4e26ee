"""Find temperature and balance of classes of a checkpoint that was trained elsewhere, as `noseam train` does it.

    noseam scenes scenes --photos 40 --photo-size 2048 3072 --seed 2
    noseam crop scenes/images scenes/truth --out crops --classes scenes/classes.csv --window 1024 --split 0.4
    python benchmarks/temperature.py bundled:demo crops [--write FOLDER]
    python benchmarks/temperature.py bundled:start --images FOLDER --truth FOLDER [--classes CSV] [--others T ...]

The first prints the temperature and the expected calibration errors by the validation crops, and the strength of
`segment --balance-classes auto` by them and by the frequencies of classes in the training crops. `--write` puts all
that into the `config.json` of a checkpoint folder; weights stay as they are. See docs/confidence.md and docs/survey.md.

The second finds nothing. It segments whole photos that the temperature was not found by, as `noseam segment
--confidence` does: without a temperature, and with that of the checkpoint. It prints what `noseam evaluate` says of
both: what the rasters of confidence state on average, how many labels are right, and the expected calibration error.
`--others` tries more temperatures, to see which would have been better.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from measure import machine, table

import noseam
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


HEAD = ("temperature", "states, %", "right, %", "expected calibration error, %", "pixels")


def on_photos(model: str, wanted: argparse.Namespace, folder: Path) -> Iterator[tuple[str, ...]]:
    """Yield a row for each temperature: what confidence states of photos, and what is right."""
    description = describe_checkpoint(model)
    named = {1.0: "1, as without one"} | {description.temperature: f"{description.temperature:g}, the checkpoint's"}
    for value in dict.fromkeys([1.0, description.temperature, *wanted.others]):
        changed, masks = folder / f"model {value:g}", folder / f"masks {value:g}"
        shutil.copytree(description.folder, changed)
        write(changed, calibration={"temperature": value})
        for outcome in noseam.segment(wanted.images, masks, model=str(changed), window_px=wanted.window,
                                      confidence=True, report=False):  # fmt: skip
            if outcome.state == "failed":
                raise SystemExit(outcome.reason)
        compared = noseam.evaluate(masks, wanted.truth, classes=wanted.classes, scale_masks=True)
        found = compared.reliability
        if found is None or compared.failed:
            raise SystemExit(compared.failed[0].reason if compared.failed else f"{wanted.truth}: no truth found")
        shares = (f"{100 * each:.2f}" for each in (found.confidence, found.accuracy, found.ece))
        yield named.get(value, f"{value:g}"), *shares, f"{found.pixels:,}"


def main() -> None:
    """Print the temperature, and write it if asked; or what it is worth on photos."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("crops", type=Path, nargs="?")
    parser.add_argument("--write", type=Path, metavar="FOLDER")
    parser.add_argument("--images", type=Path, help="photos that the temperature was not found by")
    parser.add_argument("--truth", type=Path, help="their masks")
    parser.add_argument("--classes", type=Path, metavar="CSV", help="what colours in the truth mean")
    parser.add_argument("--window", type=int, metavar="PX", help="as of noseam segment; the checkpoint's by default")
    parser.add_argument("--others", type=float, nargs="+", default=[], metavar="T", help="more temperatures")
    given = parser.parse_args()
    if (given.crops is None) == (given.images is None) or (given.images is None) != (given.truth is None):
        parser.error("a folder of crops, or --images and --truth")
    if given.images is not None:
        with tempfile.TemporaryDirectory() as folder:
            print(table(HEAD, list(on_photos(given.model, given, Path(folder)))))
        print(machine())
        return
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
