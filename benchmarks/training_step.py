"""What a step of a training costs on the CPU, and what each change of it brings; what preparing a crop costs.

    python benchmarks/training_step.py [--base mini] [--input 256] [--rounds 12] [--precision fp32]
    python benchmarks/training_step.py --crops CROPS

A step is forward, loss, backward and AdamW, of 4 crops of noise and 24 classes. All variants take a step in turns, on
one thread; figures are medians of processor time, because other programs disturb these least. With `--crops`, items of
a folder of crops are prepared instead, each kind of variation by itself; figures are means of the least of four.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean, median

import torch
from measure import machine
from torch import nn
from transformers import SegformerForSemanticSegmentation

from segment.model.config import Normalisation
from segment.model.presets import Size, make_config
from segment.training.data import read_crop_set
from segment.training.dataset import CropDataset
from segment.training.loss import quarter
from segment.training.quick import attend_by_products, keep_memory, quicken
from segment.training.variation import Variation
from tiler.classes import ClassTable, distinct_colours
from tiler.grid.tiling import Tiling

CLASSES = 24
STILL = Variation(zoom=(1, 1), colour=0)
KINDS = {
    "turns and mirrors alone": STILL,
    "zoom 0.5 2": Variation(colour=0),
    "zoom 0.5 2, tilt": Variation(colour=0, tilt=True),
    "colour 0.4": Variation(zoom=(1, 1), colour=0.4),
    "shadow, blur, noise and jpeg, each 1": Variation(zoom=(1, 1), colour=0, shadow=1, blur=1, noise=1, jpeg=1),
}


def stepper(
    base: Size, side: int, *, quick: bool, bf16: bool, fused: bool, products: bool = False, sparse: bool = False
) -> Callable[[], float]:
    """Return a function that takes a step, and returns its processor seconds."""
    table = ClassTable(tuple(f"class {index}" for index in range(CLASSES)), distinct_colours(CLASSES))
    network = SegformerForSemanticSegmentation(make_config(base, table, Tiling(side, side, 0.5))).train()
    network = quicken(network) if quick else network
    if products:
        attend_by_products(network)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4, fused=fused)
    pixels, labels = torch.randn(4, 3, side, side), torch.randint(0, CLASSES, (4, side, side))

    def step() -> float:
        began = time.process_time()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            coarse = network(pixel_values=pixels).logits
        seen = quarter(labels, 0) if sparse else labels
        logits = nn.functional.interpolate(coarse.float(), seen.shape[-2:], mode="bilinear", align_corners=False)
        nn.functional.cross_entropy(logits, seen).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return time.process_time() - began

    return step


def steps(base: Size, side: int, rounds: int, precisions: Sequence[str]) -> None:
    """Print what a step of each variant takes, before freed memory is kept and after."""
    changes: dict[str, dict[str, bool]] = {
        "stock head": {"quick": False, "fused": False},
        "quick head": {"quick": True, "fused": False},
        "quick head, fused AdamW": {"quick": True, "fused": True},
        "the same, attention by products": {"quick": True, "fused": True, "products": True},
        "the same, a quarter of the pixels": {"quick": True, "fused": True, "products": True, "sparse": True},
        "a quarter of the pixels, one function for attention": {"quick": True, "fused": True, "sparse": True},
    }
    variants = {
        f"{name}, {precision}": stepper(base, side, bf16=precision == "bf16", **change)
        for precision in precisions
        for name, change in changes.items()
    }
    columns = []
    for keep in (False, True):
        if keep:
            keep_memory()
        took = [[step() for step in variants.values()] for _ in range(rounds + 2)][2:]
        columns.append([1000 * median(each) for each in zip(*took, strict=True)])
    print("| variant | ms | ms, freed memory kept | times as fast as the first |\n|---|---|---|---|")
    for name, given_back, kept in zip(variants, *columns, strict=True):
        print(f"| {name} | {given_back:.0f} | {kept:.0f} | {columns[0][0] / kept:.2f} |")


def crops(folder: Path, side: int) -> None:
    """Print what it takes to prepare a crop of a folder."""
    found = read_crop_set(folder)
    print("| variation | ms a crop |\n|---|---|")
    for name, variation in KINDS.items():
        items = CropDataset(found.train.crops, classes=len(found.in_masks), lookup=found.lookup, input_px=side,
                            normalisation=Normalisation(), seed=1, variation=variation)  # fmt: skip
        some = range(0, len(items), max(len(items) // 50, 1))
        print(f"| {name} | {1000 * mean(min(seconds(items, index) for _ in range(4)) for index in some):.1f} |")


def seconds(items: CropDataset, index: int) -> float:
    """Return the processor seconds of one item."""
    began = time.process_time()
    items[index]
    return time.process_time() - began


def main() -> None:
    """Parse the command line and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default="mini")
    parser.add_argument("--input", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--precision", nargs="+", default=["fp32", "bf16"], choices=["fp32", "bf16"])
    parser.add_argument("--crops", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.crops:
        crops(given.crops, given.input)
    else:
        steps(given.base, given.input, given.rounds, given.precision)
    print(machine())


if __name__ == "__main__":
    main()
