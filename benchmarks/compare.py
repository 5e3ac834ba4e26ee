"""Compare noseam with its peers: whole processes, files in, masks out, in one run and on the same files.

    python benchmarks/compare.py --peer-python PEERS/bin/python [--images DIR] [--model DIR] [--json FILE] [--plot FILE]

Each tool segments a folder of `--photos` photos of 6000 x 4000 (JPEG, made by the benchmark or taken from `--images`)
with the same checkpoint (an untrained MiT-B0 of 24 classes by default) and the same windows,
and writes a label and a colour mask per photo. Tools take turns in every round; a run during which something
else kept the machine busy is repeated, up to twice. Start-up is part of every figure: the longer the folder, the less
it weighs. Memory is the kernel's largest resident set of the process. The last column compares the label masks with
those of the first peer.

Peers live in `benchmarks/peers/`, their packages in `benchmarks/requirements.txt`; a peer whose package
`--peer-python` lacks is left out. Before the rounds every tool runs once on a tiny photo, untimed,
so that what it caches on disk is there. `--small` tries every script out once, on tiny photos.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from measure import Run, Spread, machine, noseam_command, run, run_undisturbed, table, write_model, write_photos
from PIL import Image
from plot import draw

from tiler.grid.tiling import Tiling

PEERS = Path(__file__).parent / "peers"
PEER_PACKAGES = ("torch", "transformers", "monai", "terratorch", "numpy", "pillow", "rasterio")
VERSIONS = (
    "import sys; from importlib import metadata, util\n"
    "print(', '.join(f'{n} {metadata.version(n)}' for n in sys.argv[1:] if util.find_spec(n) or n == 'pillow'))"
)


@dataclass(frozen=True, slots=True)
class Tool:
    """One row of the comparison."""

    name: str
    """For the table."""
    script: str
    """In `peers/`; empty: noseam."""
    options: tuple[str, ...]
    """Beyond those that all tools get."""
    needs: str = ""
    """The package without which the script cannot run."""


@dataclass(slots=True)
class Result:
    """What the rounds of one tool gave."""

    runs: list[Run] = field(default_factory=list)
    equal_labels: float | None = None
    """Share of pixels labelled as by the first peer; None without one."""

    @property
    def whole(self) -> Spread:
        """Seconds of the process for the whole folder."""
        return Spread.of([found.seconds for found in self.runs])

    @property
    def peak_mb(self) -> float:
        """Largest resident set of all rounds."""
        return max(found.peak_mb for found in self.runs)


_BF16 = ("--precision", "bf16")
_FASTEST = (*_BF16, "--tuned")
TOOLS = (
    Tool("usual script, fp32", "usual_script", (), "transformers"),
    Tool("usual script, bf16", "usual_script", _BF16, "transformers"),
    Tool("usual script, bf16, tuned", "usual_script", _FASTEST, "transformers"),
    Tool("MONAI, fp32", "monai_window", (), "monai"),
    Tool("MONAI, bf16", "monai_window", _BF16, "monai"),
    Tool("MONAI, bf16, tuned", "monai_window", _FASTEST, "monai"),
    Tool("MONAI, bf16, low-res, tuned", "monai_window", (*_FASTEST, "--low-res", "--batch-size", "4"), "monai"),
    Tool("TerraTorch, fp32", "terratorch_tiles", (), "terratorch"),
    Tool("TerraTorch, bf16, tuned", "terratorch_tiles", _FASTEST, "terratorch"),
)


@dataclass(frozen=True, slots=True)
class Setting:
    """What all tools are given, and where."""

    tiny: Path
    """Folder of one tiny photo."""
    folder: Path
    """Folder of all photos."""
    out: Path
    """One folder of masks per tool."""
    model: Path
    """Checkpoint folder."""
    tiling: Tiling
    peer_python: str
    """Interpreter that has the peers' packages."""
    prefix: tuple[str, ...]
    """Before every measured process."""

    def measure(self, tool: Tool) -> Run:
        """Run a tool, again if the machine was busy with something else."""
        return run_undisturbed(self._command(tool, self.folder), prefix=self.prefix)

    def warm_up(self, tool: Tool) -> None:
        """Run a tool on a tiny photo, so that what it caches on disk is there."""
        run(self._command(tool, self.tiny), prefix=self.prefix)

    def masks(self, tool: Tool) -> Path:
        """Return where a tool writes."""
        return self.out / re.sub(r"\W+", "-", tool.name)

    def _command(self, tool: Tool, source: Path) -> list[str]:
        if not tool.script:
            return noseam_command(source, self.masks(tool), self.model, self.tiling, *tool.options)
        return [
            self.peer_python, str(PEERS / f"{tool.script}.py"), str(source), "--out", str(self.masks(tool)),
            "--model", str(self.model), "--window", str(self.tiling.window_px), "--input", str(self.tiling.input_px),
            "--overlap", str(self.tiling.overlap), *tool.options,
        ]  # fmt: skip


def choose_tools(pattern: str, noseam: Sequence[str], peer_python: str) -> list[Tool]:
    """Return noseam with each of its option strings, then the peers that match and can run; say which cannot."""
    found = [Tool(f"noseam {options}".strip(), "", tuple(shlex.split(options))) for options in noseam]
    for tool in TOOLS:
        if not re.search(pattern, tool.name, re.IGNORECASE):
            continue
        probe = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({tool.needs!r}) is None)"
        if subprocess.run([peer_python, "-c", probe], check=False).returncode:
            print(f"{tool.name}: left out, {peer_python} lacks {tool.needs}", file=sys.stderr)
        else:
            found.append(tool)
    return found


def compare(tools: Sequence[Tool], setting: Setting, *, rounds: int, warm_up: bool) -> dict[Tool, Result]:
    """Run all tools in turns and return what they took."""
    results = {tool: Result() for tool in tools}
    for tool in tools if warm_up else ():
        setting.warm_up(tool)
    for number in range(rounds):
        for tool, result in results.items():
            found = setting.measure(tool)
            result.runs.append(found)
            print(
                f"round {number + 1}, {tool.name}: {found.seconds:.1f} s, {found.peak_mb:.0f} MB, "
                f"others busy on {found.others:.2f} cores {_profile(found)}",
                file=sys.stderr, flush=True,
            )  # fmt: skip
    reference = next((tool for tool in tools if tool.script), None)
    if reference:
        for tool, result in results.items():
            result.equal_labels = equal_share(setting.masks(tool), setting.masks(reference))
    return results


def equal_share(masks: Path, reference: Path) -> float:
    """Return the share of equal pixels of the label masks of two folders."""
    pairs = [(masks / path.name, path) for path in sorted(reference.glob("*_label.png"))]
    equal = [np.mean(np.asarray(Image.open(one)) == np.asarray(Image.open(other))) for one, other in pairs]
    return float(np.mean(equal))


def _profile(measured: Run) -> dict[str, float]:
    lines = [line for line in measured.output.splitlines() if line.startswith("{")]
    found: dict[str, float] = json.loads(lines[-1]) if lines else {}
    return found


def markdown(results: dict[Tool, Result], photos: int) -> str:
    """Return the table; ratios are to its first row."""
    first = next(iter(results.values()))
    rows = []
    for tool, result in results.items():
        rows.append([
            tool.name, str(result.whole), f"{result.whole.median / photos:.3g}", f"{result.peak_mb:.0f}",
            f"{result.whole.median / first.whole.median:.1f}", f"{result.peak_mb / first.peak_mb:.1f}",
            "" if result.equal_labels is None else f"{100 * result.equal_labels:.3f} %",
        ])  # fmt: skip
    head = (
        "tool", f"whole process, {photos} photos, s", "s per photo", "peak MB", "x time", "x memory",
        "labels as the first peer's",
    )  # fmt: skip
    return table(head, rows)


def stage_table(results: dict[Tool, Result], photos: int) -> str:
    """Return the stages of the peers, medians of the rounds: start-up once, the others per photo."""
    stages = ("start-up", "decode", "prepare", "forward", "stitch", "encode")
    rows = []
    for tool, result in results.items():
        profiles = [profile for profile in map(_profile, result.runs) if profile]
        if profiles:
            medians = (Spread.of([profile.get(stage, 0.0) for profile in profiles]).median for stage in stages)
            shares = (1, *[photos] * (len(stages) - 1))
            rows.append([tool.name, *(f"{median / share:.2f}" for median, share in zip(medians, shares, strict=True))])
    return table(("seconds per photo", *stages), rows)


def as_json(results: dict[Tool, Result], setting: Setting, photos: int) -> dict[str, Any]:
    """Return settings, versions and all rounds as JSON can hold them."""
    listed = subprocess.run([setting.peer_python, "-c", VERSIONS, *PEER_PACKAGES], check=True, stdout=subprocess.PIPE)
    return {
        "machine": machine(), "peers": listed.stdout.decode().strip(), "photos": photos,
        "tiling": str(setting.tiling), "tools": [
            {
                "name": tool.name, "options": tool.options, "whole": asdict(result.whole),
                "peak_mb": result.peak_mb, "equal_labels": result.equal_labels,
                "profile": [_profile(found) for found in result.runs],
                "seconds": [found.seconds for found in result.runs],
                "others": [found.others for found in result.runs],
                "cpu_seconds": [found.cpu_seconds for found in result.runs],
            }
            for tool, result in results.items()
        ],
    }  # fmt: skip


def prepare(given: argparse.Namespace, folder: Path) -> Setting:
    """Make what is not given and return the setting."""
    tiling = Tiling(200, 128, 0.25) if given.small else Tiling(given.window, given.input, given.overlap)
    photos = given.images
    if photos is None:
        height, width = (400, 600) if given.small else (4000, 6000)
        photos = write_photos(folder / f"photos-{given.photos}-{width}", given.photos, height, width)
    model = given.model or write_model(folder / "model", 24, "nano" if given.small else "b0", tiling)
    prefix, tiny = tuple(shlex.split(given.prefix)), write_photos(folder / "tiny", 1, 400, 600)
    return Setting(tiny, photos, folder / "masks", model, tiling, given.peer_python, prefix)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--peer-python", default=sys.executable, help="Interpreter that has the peers' packages.")
    parser.add_argument("--photos", type=int, default=4, help="How many photos to make.")
    parser.add_argument("--images", type=Path, help="Folder of your own images instead.")
    parser.add_argument("--model", type=Path, help="Your own SegFormer checkpoint folder instead.")
    parser.add_argument("--window", type=int, default=2000, help="Side of a window, source pixels.")
    parser.add_argument("--input", type=int, default=512, help="Side of a tile as the network sees it.")
    parser.add_argument("--overlap", type=float, default=0.25, help="Overlap, as a fraction of a window.")
    parser.add_argument("--rounds", type=int, default=3, help="Times that every tool runs.")
    parser.add_argument("--only", default="", help="Regular expression that the names of the peers to run match.")
    parser.add_argument(
        "--noseam", action="append", metavar="OPTIONS", help="A row of noseam with these options; may be repeated."
    )
    parser.add_argument("--prefix", default="", help="Command before every measured process, such as `flock FILE`.")
    parser.add_argument("--folder", type=Path, help="Where photos and masks go; a temporary folder by default.")
    parser.add_argument("--json", type=Path, help="Also write all rounds here.")
    parser.add_argument("--plot", type=Path, help="Also draw the result here (PNG).")
    parser.add_argument("--small", action="store_true", help="Two tiny photos, one round of some peers.")
    given = parser.parse_args()
    if given.small:
        given.photos, given.rounds, given.only, given.noseam = 2, 1, given.only or "32|low-res", given.noseam or [""]
    with tempfile.TemporaryDirectory() as temporary:
        setting = prepare(given, given.folder or Path(temporary))
        photos = sum(path.is_file() for path in setting.folder.iterdir())
        tools = choose_tools(given.only, given.noseam or ["", "--precision fp32"], given.peer_python)
        results = compare(tools, setting, rounds=given.rounds, warm_up=not given.small)
    found = as_json(results, setting, photos)
    print(
        f"{markdown(results, photos)}\n\n{stage_table(results, photos)}\n\n{found['machine']}\nPeers: {found['peers']}"
    )
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n")
    if given.plot:
        draw(found, given.plot)


if __name__ == "__main__":
    main()
