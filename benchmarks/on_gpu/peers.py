"""Other tools on the same device and photos: each at the best of its batches, in two precisions."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from measure import run

from on_gpu.bench import Bench, Row, SkippedError, attempted
from on_gpu.inputs import model_of, photos

PEERS = Path(__file__).resolve().parents[1] / "peers"
_LEAST_S = 20.0


@dataclass(frozen=True, slots=True)
class Peer:
    """A tool in one set-up."""

    name: str
    script: str
    needs: str
    batches: tuple[int, ...]
    options: tuple[str, ...] = ()


ALL = (
    Peer("usual script", "usual_script", "transformers", (12, 4), ("--tuned",)),
    Peer("MONAI", "monai_window", "monai", (4, 12), ("--tuned",)),
    Peer("MONAI, low-res", "monai_window", "monai", (12,), ("--tuned", "--low-res")),
)


def peers(bench: Bench) -> Iterator[Row]:
    """Measure the peers with the first network."""
    for peer in ALL:
        yield from attempted(partial(_rows, bench, peer), peer.name)


def _rows(bench: Bench, peer: Peer) -> Iterator[Row]:
    if importlib.util.find_spec(peer.needs) is None:
        raise SkippedError(f"{peer.needs} is not installed")
    for precision in ("fp32",) if bench.small else ("bf16", "fp32"):
        best: Row | None = None
        for batch in peer.batches[: 1 if bench.small or precision == "fp32" else None]:
            found = _measured(bench, peer, precision, batch)
            if best is None or float(found.value) > float(best.value):
                best = found
        if best is not None:
            yield best


def _measured(bench: Bench, peer: Peer, precision: str, batch: int) -> Row:
    """Return megapixels per second without the start, which the script times itself, and with it."""
    count = 2 if bench.small else 6
    out = bench.folder / f"peer-{peer.script}"
    command = [
        sys.executable, str(PEERS / f"{peer.script}.py"), str(photos(bench, count)), "--out", str(out), "--model",
        str(model_of(bench, bench.sizes[0])), "--window", str(bench.window_px), "--input", str(bench.input_px),
        "--precision", precision, "--batch-size", str(batch), "--device", bench.device, *peer.options,
    ]  # fmt: skip
    found = run(command, timeout_s=max(bench.left_s, _LEAST_S))
    start = json.loads(found.output.strip().splitlines()[-1])["start-up"]
    pixels = count * bench.megapixels
    more = {"with start MP/s": pixels / found.seconds, "start s": start, "batch": batch, "peak MB": found.peak_mb}
    return Row(f"{bench.sizes[0]}, {peer.name}, {precision}", pixels / (found.seconds - start), "MP/s", more)
