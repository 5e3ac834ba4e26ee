"""Files in, masks out, as processes of their own: speed, start, and what the device and the stages were at."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

from measure import noseam_command, run

from on_gpu.bench import Bench, Row, SkippedError, attempted
from on_gpu.inputs import model_of, photos
from on_gpu.network import kept_shapes
from segment.model.kept import kept_folder
from segment.model.presets import Size
from tiler.grid.tiling import Tiling

_POLL = ("nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "-lms", "100")
_LEAST_S = 20.0
_COMPILED_FORMS_S = 15.0
"""Seconds that measuring what was compiled takes."""


@dataclass(frozen=True, slots=True)
class Case:
    """A run of `noseam segment`."""

    name: str
    size: Size
    photos: int
    at_source: bool = False
    """At source resolution: windows become tiles of their own size."""
    options: tuple[str, ...] = ()


def files_to_masks(bench: Bench) -> Iterator[Row]:
    """Segment folders at both scales, with one worker and with several."""
    for case in _small_cases() if bench.small else _cases():
        yield from attempted(partial(_rows, bench, case), case.name)
        if bench.left_s < _LEAST_S and not bench.small:
            return


def _cases() -> Iterator[Case]:
    for workers in ("auto", 1, 8, 4, 2):
        yield Case(f"b0, 2000 to 512, workers {workers}", "b0", 160, options=("--workers", str(workers)))
        if workers in {"auto", 1, 8}:
            yield Case(f"b5, 2000 to 512, workers {workers}", "b5", 96, options=("--workers", str(workers)))
        if workers in {"auto", 1}:
            at_source = ("--workers", str(workers))
            yield Case(f"b5, source resolution, workers {workers}", "b5", 24, at_source=True, options=at_source)
    yield Case("b0, source resolution, workers auto", "b0", 48, at_source=True)
    for size, count in (("b0", 160), ("b5", 96)):
        yield Case(f"{size}, 2000 to 512, --tile 512", size, count, options=("--tile", "512"))  # type: ignore[arg-type]


def _small_cases() -> Iterator[Case]:
    yield Case("nano, 200 to 64", "nano", 4)
    yield Case("nano, source resolution, --tile 64", "nano", 2, at_source=True, options=("--tile", "64"))


def _rows(bench: Bench, case: Case) -> Iterator[Row]:
    several = case.options[:1] == ("--workers",) and case.options[1] not in {"auto", "1"}
    if several and importlib.util.find_spec("distributed") is None:
        raise SkippedError("distributed is not installed")
    found = segmented(bench, case)
    yield Row(case.name, found.pop("MP/s"), "MP/s", found)
    took = ", ".join(f"{stage} {seconds:.2f}" for stage, seconds in found["stages"].get("seconds", {}).items())
    yield Row(f"{case.name}, seconds by stage", took or "unknown", more={"offered": found["stages"].get("offered")})


def segmented(bench: Bench, case: Case) -> dict[str, Any]:
    """Return what a run took: MP/s of the process, MP/s after its first quarter, memory, and its stages."""
    out, report = bench.folder / "masks", bench.folder / "run.json"
    shutil.rmtree(out, ignore_errors=True)
    side = bench.input_px if case.at_source else bench.window_px
    source = photos(bench, case.photos)
    command = noseam_command(
        source, out, model_of(bench, case.size), Tiling(side, bench.input_px), "--device", bench.device, "--engine",
        "torch", "--format", "png", "--json-file", str(report), *case.options,
    )  # fmt: skip
    with busy(bench) as shares:
        found = run(command, timeout_s=max(bench.left_s, _LEAST_S))
    told = json.loads(report.read_text())
    pixels = case.photos * bench.megapixels
    stages = told["stages"]
    return {
        "MP/s": pixels / found.seconds,
        "MP/s after a quarter": _steady(out / "manifest.jsonl", bench.megapixels),
        "seconds": found.seconds,
        "core seconds": found.cpu_seconds,
        "peak MB": found.peak_mb,
        **({"GPU busy %": fmean(shares)} if shares else {}),
        "limit": stages.get("limit", ""),
        "stages": stages,
    }


def _steady(manifest: Path, megapixels: float) -> float:
    """Return the megapixels per second from the end of the first quarter of the images on, without the start."""
    rows = [json.loads(line) for line in manifest.read_text("utf-8").splitlines()]
    times = sorted(datetime.fromisoformat(row["time"]).timestamp() for row in rows if row["state"] == "done")
    first = len(times) // 4
    return (len(times) - 1 - first) * megapixels / max(times[-1] - times[first], 1e-3)


@contextmanager
def busy(bench: Bench) -> Iterator[list[float]]:
    """Yield a list that gets the per cent of the time for which the device was busy, ten times a second."""
    found: list[float] = []
    if bench.device != "cuda" or shutil.which(_POLL[0]) is None:
        yield found
        return
    with subprocess.Popen(_POLL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as poll:
        thread = threading.Thread(target=_listen, args=(poll, found), daemon=True)
        thread.start()
        try:
            yield found
        finally:
            poll.kill()
            thread.join()


def _listen(poll: subprocess.Popen[str], found: list[float]) -> None:
    for line in poll.stdout or ():
        if line.split(",")[0].strip().isdigit():
            found.append(float(line.split(",")[0]))


class Compiling:
    """Processes that compile every network at the same time, for whole photos and for tiles of the usual size."""

    def __init__(self, bench: Bench) -> None:
        self._bench, self._began = bench, time.monotonic()
        self._waiting: dict[str, tuple[subprocess.Popen[bytes], Path]] = {}

    def __enter__(self) -> Compiling:
        for size in self._bench.sizes if self._bench.device == "cuda" else ():
            self._begin(f"{size}, whole photo", size, ())
            self._begin(f"{size}, --tile 512", size, ("--tile", "512"))
        if self._bench.device == "cuda":
            self._begin("b5, source resolution", "b5", (), at_source=True)
        return self

    def __exit__(self, *_: object) -> None:
        for process, _log in self._waiting.values():
            process.terminate()

    def rows(self) -> Iterator[Row]:
        """Wait for the processes, as long as there is time; yield what each took."""
        while self._waiting and self._bench.left_s > _COMPILED_FORMS_S:
            for name, (process, log) in [*self._waiting.items()]:
                if process.poll() is not None:
                    del self._waiting[name]
                    said = log.read_text(errors="replace").strip().splitlines()[-1:]
                    more = {"exit": process.returncode, "said": "".join(said)[-150:]}
                    yield Row(f"first run with compilation, {name}", time.monotonic() - self._began, "s", more)
            time.sleep(0.2)
        for each in self._waiting:
            yield Row(f"first run with compilation, {each}", "not done in time")
        kept = kept_shapes(kept_folder("compiled").parent)
        if kept:
            yield Row("compiled networks that are kept", len(kept), more={"names": "; ".join(kept)[-150:]})

    def _begin(self, name: str, size: Size, more: Sequence[str], *, at_source: bool = False) -> None:
        bench, out = self._bench, self._bench.folder / f"compile-{len(self._waiting)}"
        side = bench.input_px if at_source else bench.window_px
        command = noseam_command(
            photos(bench, 1), out, model_of(bench, size), Tiling(side, bench.input_px), "--device",
            bench.device, "--workers", "1", "--compile", "always", *more,
        )  # fmt: skip
        log = out.with_suffix(".log")
        with log.open("wb") as said:
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said)
        self._waiting[name] = process, log


def start(bench: Bench) -> Iterator[Row]:
    """Measure a run of one photo, which is mostly start: its process, and until its first mask."""
    for size in bench.sizes:
        case = Case(f"{size}, one photo", size, 1, options=("--workers", "1"))
        yield from attempted(partial(_start_rows, bench, case), case.name)


def _start_rows(bench: Bench, case: Case) -> Iterator[Row]:
    segmented(bench, case)  # what later runs find on the disk and in the cache is there now
    began = time.time()
    found = segmented(bench, case)
    first = min(path.stat().st_mtime for path in (bench.folder / "masks").glob("*_label.png"))
    yield Row(f"{case.name}, until its mask", first - began, "s", {"whole process": found["seconds"]})
