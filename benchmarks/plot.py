"""Draw what `compare.py --json` wrote: seconds of the whole job and peak memory, one bar per tool.

python benchmarks/plot.py RESULT.json PICTURE.png
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

OURS, THEIRS = "#1b7837", "#9e9e9e"


def draw(result: dict[str, Any], path: Path) -> None:
    """Write a picture of a comparison.

    Parameters
    ----------
    result : dict
        What `compare.as_json` returns; its first tool is the one that the others are related to.
    path : Path
        The picture to write.
    """
    tools = result["tools"]
    figure = Figure(figsize=(10, 0.8 + 0.42 * len(tools)), layout="constrained")
    speed, memory = figure.subplots(1, 2, sharey=True)
    names = [tool["name"] for tool in tools]
    seconds = [tool["whole"] for tool in tools]
    medians = [spread["median"] for spread in seconds]
    _bars(speed, names, medians, f"seconds for {result['photos']} photos, start-up included", "{:.1f} s")
    ends = [
        [max(0.0, each["median"] - each["least"]) for each in seconds],
        [each["most"] - each["median"] for each in seconds],
    ]
    speed.errorbar(medians, range(len(names)), xerr=ends, fmt="none", ecolor="black", elinewidth=1)
    _bars(memory, names, [tool["peak_mb"] / 1000 for tool in tools], "peak memory, GB", "{:.1f} GB")
    speed.invert_yaxis()
    figure.savefig(path, dpi=120)


def _bars(axes: Axes, names: Sequence[str], values: Sequence[float], title: str, form: str) -> None:
    colours = [OURS if name.startswith("noseam") else THEIRS for name in names]
    axes.barh(range(len(names)), values, color=colours)
    axes.set_yticks(range(len(names)), names)
    axes.set_title(title, fontsize=10)
    axes.set_xlim(0, max(values) * 1.35)
    axes.spines[["top", "right"]].set_visible(False)
    for row, value in enumerate(values):
        ratio = "" if row == 0 else f"  ({value / values[0]:.1f} x)"
        axes.annotate(form.format(value) + ratio, (max(values) * 0.02 + value, row), va="center", fontsize=8)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("result", type=Path, help="JSON of compare.py.")
    parser.add_argument("picture", type=Path, help="PNG to write.")
    given = parser.parse_args()
    draw(json.loads(given.result.read_text()), given.picture)


if __name__ == "__main__":
    main()
