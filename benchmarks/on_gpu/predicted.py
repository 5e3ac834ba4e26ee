"""What was expected before it was measured: a number for a row, by section and name; see the rows of a run.

Of one H100 with 16 cores. Rates of the network follow from its multiplications at 350 TFLOP/s and the values that its
layers write and read at 2.6 TB/s, of which the compiled network is to reach two thirds, and less where PyTorch runs it
kernel by kernel. Those of transformers were measured before. Files to masks are bounded by 0.35 core seconds a photo,
measured before.
"""

from __future__ import annotations

_TILES_PER_S = {
    "transformers, fp32": (900, 110),
    "transformers, tf32": (1300, 220),
    "transformers, bf16 autocast": (1548, 360),
    "transformers, bf16 weights": (2049, 468),
    "transformers, fp16 weights": (2049, 468),
    "noseam, fp32": (1500, 190),
    "noseam, bf16": (2900, 600),
    "noseam, fp16": (2900, 600),
    "noseam, fp16, compiled": (5000, 850),
}
"""Of MiT-B0 and MiT-B5."""
_MEGAPIXELS_PER_S = {
    "b0, 2000 to 512, workers auto": 900,
    "b0, 2000 to 512, workers 1": 400,
    "b0, 2000 to 512, workers 2": 600,
    "b0, 2000 to 512, workers 4": 900,
    "b0, 2000 to 512, workers 8": 1000,
    "b5, 2000 to 512, workers auto": 700,
    "b5, 2000 to 512, workers 1": 380,
    "b5, 2000 to 512, workers 8": 700,
    "b5, source resolution, workers auto": 100,
    "b5, source resolution, workers 1": 90,
}
_EQUAL_LABELS = {
    "b0, random weights, photo": (99.99, 99.9, 99.9, 99.0),
    "b0, random weights, scene": (99.99, 99.9, 99.9, 99.0),
    "bundled model, scene": (100.0, 99.99, 99.998, 99.97),
}
"""In fp32, tf32, fp16 and bf16, per cent."""
PREDICTED: dict[tuple[str, str], float] = {
    **{("network", f"b0, {form}"): rates[0] for form, rates in _TILES_PER_S.items()},
    **{("network", f"b5, {form}"): rates[1] for form, rates in _TILES_PER_S.items()},
    **{("files", case): rate for case, rate in _MEGAPIXELS_PER_S.items()},
    **{
        ("labels", f"{case}, {precision}"): share
        for case, shares in _EQUAL_LABELS.items()
        for precision, share in zip(("fp32", "tf32", "fp16", "bf16"), shares, strict=True)
    },
    ("start", "b0, one photo, until its mask"): 4.0,
    ("start", "b5, one photo, until its mask"): 4.5,
    ("peers", "b0, usual script, bf16"): 11.4,
    ("peers", "b0, MONAI, bf16"): 13.6,
    ("training", "b0, batch 16, workers auto"): 6.0,
    ("training", "b5, batch 16, workers auto"): 2.0,
}
