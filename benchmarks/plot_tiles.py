"""Draw what `seams.py` printed: labels that depend on the grid, and accuracy, over the time of the network.

python benchmarks/plot_tiles.py TABLE.md [TABLE.md ...] PICTURE.png
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

FIRST = "squares as trained"
KINDS = {
    "noseam": ("what noseam chooses", "#1b7837", "*", 170),
    FIRST: ("squares as trained, overlap 0.25 (before)", "#b2182b", "s", 60),
    " tiles": ("n x m tiles that cover the photo, overlap 0.25 to 0.75", "#4393c3", "o", 36),
    "overlap 0.5": ("squares, overlap 0.5", "#ef8a62", "s", 60),
    "": ("squares, other ramps", "#9e9e9e", "o", 26),
}


def read(paths: Iterable[Path]) -> dict[str, dict[str, float]]:
    """Return the numbers of each remedy by the name of the column; a later table replaces rows of an earlier one."""
    found = {}
    for path in paths:
        rows = [line.strip("| \n").split(" | ") for line in path.read_text().splitlines() if line.startswith("| ")]
        head, _, *body = rows
        for name, *cells in body:
            found[name] = {key: float(cell.split()[0]) for key, cell in zip(head[1:], cells, strict=True) if cell}
    return found


def draw(remedies: dict[str, dict[str, float]], path: Path) -> None:
    """Write the picture."""
    before = next(values for name, values in remedies.items() if name.startswith(FIRST))
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    columns = ("depends, % (error)", "labels that depend on the grid, %"), ("accuracy, %", "accuracy, %")
    for axes, (column, title) in zip((left, right), columns, strict=True):
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("work of the network, as a multiple of that before", fontsize=9)
        axes.spines[["top", "right"]].set_visible(False)
        axes.axvline(1, color="#dddddd", zorder=0)
        for name, values in remedies.items():
            _dot(axes, name, values["work"] / before["work"], values[column])
        for (x, y), names in _chosen(remedies, column).items():
            axes.annotate(names, (x / before["work"], y), (9, 4), textcoords="offset points", fontsize=8)
    handles, labels = left.get_legend_handles_labels()
    by_label = dict(zip(labels, handles, strict=True))
    figure.legend(by_label.values(), by_label.keys(), fontsize=8, frameon=False, loc="outside lower center", ncols=3)
    left.set_ylim(bottom=0)
    figure.savefig(path, dpi=120)


def _dot(axes: Axes, name: str, x: float, y: float) -> None:
    label, colour, marker, size = next(kind for start, kind in KINDS.items() if start in name)
    axes.scatter(
        [x], [y], s=size, c=colour, marker=marker, label=label, zorder=3 if "noseam" in name else 2, clip_on=False
    )


def _chosen(remedies: dict[str, dict[str, float]], column: str) -> dict[tuple[float, float], str]:
    """Return the names of noseam's own choices by where they lie."""
    found: dict[tuple[float, float], str] = {}
    for name, values in remedies.items():
        if name.startswith("noseam"):
            at = values["work"], values[column]
            found[at] = ", ".join(filter(None, (found.get(at), name.removeprefix("noseam, "))))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("tables", type=Path, nargs="+", help="What seams.py printed.")
    parser.add_argument("picture", type=Path, help="PNG to write.")
    given = parser.parse_args()
    draw(read(given.tables), given.picture)


if __name__ == "__main__":
    main()
