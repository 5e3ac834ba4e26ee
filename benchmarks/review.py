"""Whether the windows that `noseam review` picks hold the errors, and whether training on them helps more than chance.

Scenes that the bundled model never saw are segmented. Windows are picked by each measure of doubt and by chance, and
labelled with the truth: the share of labels that this changes is their error rate. Then the model is trained on with
the windows of each pick, and evaluated on other scenes. Every pool of scenes is a repetition of its own.

    python benchmarks/review.py FOLDER
"""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import mean

import numpy as np
import pandas
from PIL import Image

import noseam
from segment.review.export import Exported
from segment.review.take_back import TakenBack
from tiler.option import options_in

MODEL = "bundled:demo"
SEEDS_OF_POOLS, SEED_OF_HELD, SEED_OF_VAL = 4711, 99, 77
"""None of them is the seed of the scenes that the model was trained on, which is 1."""
_PICKS = ("confidence", "disagreement", "random")
_DRAWS = 5


def main() -> None:
    """Read the command line, and print two tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder of all that is made; what is there is made no second time")
    parser.add_argument("--pools", type=int, default=3, help="pools of scenes")
    parser.add_argument("--photos", type=int, default=8, help="photos of a pool")
    parser.add_argument("--held", type=int, default=6, help="photos to evaluate on")
    parser.add_argument("--size", type=int, nargs=2, default=(2000, 3000), help="height and width of a photo")
    parser.add_argument("--windows", type=int, default=12, help="windows that are labelled of a pool")
    parser.add_argument(
        "--sides", type=int, nargs="+", default=(512, 256, 128), help="sides of windows; the first trains"
    )
    parser.add_argument("--steps", type=int, default=60, help="steps of a training; 0: none")
    parser.add_argument("--lr", type=float, default=1e-4, help="learning rate")
    wanted = parser.parse_args()
    started = time.monotonic()
    pools = [_pool(wanted.folder / f"pool-{index}", SEEDS_OF_POOLS + index, wanted) for index in range(wanted.pools)]
    picks = [pick for pick in _PICKS if pick == "random" or _stands(pools[0], pick)]
    _print_errors(pools, picks, wanted)
    print(f"{time.monotonic() - started:.0f} s so far")
    if wanted.steps:
        _print_trainings(pools, picks, wanted)
    print(f"{time.monotonic() - started:.0f} s in all")


def _pool(folder: Path, seed: int, wanted: argparse.Namespace, photos: int | None = None) -> Path:
    """Make and segment scenes; return their folder."""
    _scenes(folder, seed, photos or wanted.photos, wanted.size)
    disagreement = {"disagreement": True} if "disagreement" in _options_of_segment() else {}
    noseam.segment(folder / "images", folder / "masks", model=MODEL, confidence=True, **disagreement)
    return folder


def _options_of_segment() -> set[str]:
    from segment.run.request import SegmentRequest

    return {asked.name for asked in options_in(SegmentRequest)}


def _scenes(folder: Path, seed: int, photos: int, size: Sequence[int]) -> None:
    from tiler.scenes.request import SceneOptions
    from tiler.scenes.survey import make_survey

    make_survey(folder, SceneOptions(photos=photos, photo_shape=(size[0], size[1]), seed=seed))


def _stands(pool: Path, measure: str) -> bool:
    return any((pool / "masks").glob(f"*_{measure}.png"))


def _picked(pool: Path, pick: str, into: Path, count: int, side: int, seed: int = 0) -> TakenBack:
    """Pick windows, label them with the truth, and take them back."""
    masks = pool / "masks"
    shutil.rmtree(masks / "review", ignore_errors=True)
    shutil.rmtree(into, ignore_errors=True)
    exported = noseam.review(masks, export=count, by=pick, window_px=side, seed=seed)  # type: ignore[arg-type]
    assert isinstance(exported, Exported)
    for known in exported.windows:
        truth = np.asarray(Image.open(pool / "truth" / Path(known.image).with_suffix(".png")))
        Image.fromarray(truth[known.window.slices]).save(exported.folder / f"masks/{known.name}.png")
    taken = noseam.review(masks, corrected=exported.folder, into=into, take_unchanged=True)
    assert isinstance(taken, TakenBack)
    assert not taken.refused
    return taken


def _errors(pool: Path, pick: str, wanted: argparse.Namespace, side: int) -> float:
    """Return the share of labels in picked windows that are wrong; by chance, the mean of several draws."""
    draws = _DRAWS if pick == "random" else 1
    rates = []
    for seed in range(draws):
        rows = _picked(pool, pick, pool / "crops", wanted.windows, side, seed).taken
        rates.append(sum(row.changed for row in rows) / sum(row.labelled for row in rows))
    return mean(rates)


def _all_errors(pool: Path) -> float:
    return 1 - noseam.evaluate(pool / "masks", pool / "truth", classes=pool / "classes.csv").metrics.accuracy


def _print_errors(pools: Sequence[Path], picks: Sequence[str], wanted: argparse.Namespace) -> None:
    pixels = wanted.photos * wanted.size[0] * wanted.size[1]
    everywhere = [_all_errors(pool) for pool in pools]
    print(f"{wanted.windows} windows of {wanted.photos} photos, {wanted.pools} pools; labels that are wrong, %")
    print(f"all pixels: {100 * mean(everywhere):.2f} ({', '.join(f'{100 * each:.2f}' for each in everywhere)})")
    for side in wanted.sides:
        share = wanted.windows * side**2 / pixels
        rates = {pick: [_errors(pool, pick, wanted, side) for pool in pools] for pick in picks}
        for pick in picks:
            times = [rate / base for rate, base in zip(rates[pick], everywhere, strict=True)]
            print(
                f"{side:5} px ({share:.1%} of all) {pick:13} {100 * mean(rates[pick]):6.2f}  "
                f"{mean(times):5.1f} times all pixels ({', '.join(f'{each:.1f}' for each in times)})"
            )


def _print_trainings(pools: Sequence[Path], picks: Sequence[str], wanted: argparse.Namespace) -> None:
    held = _pool(wanted.folder / "held", SEED_OF_HELD, wanted, wanted.held)
    before = noseam.evaluate(held / "masks", held / "truth", classes=held / "classes.csv").metrics
    print(f"held out: mIoU {100 * before.miou:.2f} %, {100 * (1 - before.accuracy):.3f} % of labels wrong, before")
    val = wanted.folder / "val"
    _scenes(val, SEED_OF_VAL, 1, wanted.size)
    noseam.crop(val / "images", val / "truth", val / "crops", classes=val / "classes.csv", window_px=1024, split=0)
    gains: dict[str, list[float]] = {pick: [] for pick in picks}
    for seed, pool in enumerate(pools):
        for pick in picks:
            after = _after(pool, pick, val / "crops", held, wanted, seed)
            gains[pick].append(100 * (after.miou - before.miou))
            print(
                f"pool {seed}, {pick:13} mIoU {100 * after.miou:.2f} % ({gains[pick][-1]:+.2f}), "
                f"{100 * (1 - after.accuracy):.3f} % wrong"
            )
    for pick in picks:
        print(f"{pick:13} {mean(gains[pick]):+.2f} points of mIoU in the mean of {len(pools)}")


def _after(pool: Path, pick: str, val: Path, held: Path, wanted: argparse.Namespace, seed: int):  # type: ignore[no-untyped-def]
    """Return the scores on the scenes held out of the model that was trained on with picked windows."""
    crops, model, masks = (pool / f"{pick}-{what}" for what in ("crops", "model", "masks"))
    _picked(pool, pick, crops, wanted.windows, wanted.sides[0], seed)
    _repeat(crops / "crops.csv", wanted.steps * 4)
    noseam.train([crops, val], model, base=MODEL, max_steps=wanted.steps, lr=wanted.lr, seed=seed, fresh=True)
    noseam.segment(held / "images", masks, model=str(model), overwrite=True)
    return noseam.evaluate(masks, held / "truth", classes=held / "classes.csv").metrics


def _repeat(index: Path, samples: int) -> None:
    """Let one epoch show the crops so often that it is the whole training: it is then validated once, at its end."""
    table = pandas.read_csv(index)
    table["repeat"] = -(-samples // len(table))
    table.to_csv(index, index=False)


if __name__ == "__main__":
    main()
