"""The pictures exist, are PNG, have a sane size, and are written whole or not at all."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segment.evaluation.figures import draw_confusion, draw_learning_curve
from tests import ROOT

ROWS: list[Mapping[str, float | None]] = [
    {"epoch": 1, "step": 10, "train_loss": 2.0, "val_loss": 1.9, "miou": 0.1, "accuracy": 0.4},
    {"epoch": 2, "step": 20, "train_loss": 1.5, "val_loss": None, "miou": None},
    {"epoch": 3, "step": 30, "train_loss": math.nan, "val_loss": 1.1, "miou": 0.4, "accuracy": 0.8},
]


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        image.load()
        assert image.format == "PNG"
        assert np.asarray(image.convert("L")).std() > 1
        return image.size


@pytest.mark.parametrize("classes", [1, 2, 24, 41, 255])
def test_a_confusion_matrix_of_any_size_is_a_picture(tmp_path: Path, classes: int) -> None:
    matrix = np.random.default_rng(0).integers(0, 9, (classes, classes + 1))
    draw_confusion(matrix, [f"class {index}" for index in range(classes)], tmp_path / "confusion.png")
    width, height = size_of(tmp_path / "confusion.png")
    assert 400 <= height <= width <= 6000
    assert [path.name for path in tmp_path.iterdir()] == ["confusion.png"]


def test_the_column_without_label_is_drawn_only_where_it_counts(tmp_path: Path) -> None:
    for count in (0, 1):
        draw_confusion(np.array([[5, 1, 0], [0, 7, count]]), ["a", "b"], tmp_path / f"{count}.png")
    assert size_of(tmp_path / "1.png")[0] > size_of(tmp_path / "0.png")[0]


@pytest.mark.parametrize(
    ("matrix", "names"),
    [
        (np.zeros((2, 3), np.int64), ["nothing", "counted"]),
        (np.array([[0, 0, 0], [1, 2, 3]]), ["absent", "there"]),
        (np.array([[1, 0, 0], [1, 2, 3]]), [r"$\frac$ no mathematics", "a" * 300]),
    ],
)
def test_odd_matrices_and_names_are_drawn(tmp_path: Path, matrix: np.ndarray, names: list[str]) -> None:
    draw_confusion(matrix, names, tmp_path / "confusion.png")
    assert size_of(tmp_path / "confusion.png")[0] < 1500


@pytest.mark.parametrize(
    "rows",
    [
        ROWS,
        ROWS[:1],
        [],
        [{"step": 1, "train_loss": 1.0}, {"step": 2, "train_loss": 0.5}],
        [{"epoch": 1, "step": 1, "train_loss": 1.0}, {"epoch": 1, "step": 2, "train_loss": 0.5}],
        [{"miou": 0.9}, {"miou": 0.01}],
        [{"step": step, "train_loss": 1 / (1 + step), "miou": 0.0} for step in range(1000)],
    ],
)
def test_a_learning_curve_of_any_rows_is_a_picture(tmp_path: Path, rows: Sequence[Mapping[str, float | None]]) -> None:
    draw_learning_curve(rows, tmp_path / "curve.png")
    assert size_of(tmp_path / "curve.png") == (1690, 520)
    assert [path.name for path in tmp_path.iterdir()] == ["curve.png"]


@pytest.mark.parametrize(("miou", "end"), [(0.0, 1), (0.05, 6), (0.13, 15), (0.5, 60), (0.73, 100), (1.0, 100)])
def test_a_low_curve_fills_its_axis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, miou: float, end: float) -> None:
    ends: list[float] = []
    monkeypatch.setattr(
        "segment.evaluation.figures._save", lambda figure, path: ends.extend(axes.get_ylim()[1] for axes in figure.axes)
    )
    draw_learning_curve([{"epoch": 1, "miou": miou, "accuracy": 0.55}], tmp_path / "curve.png")
    assert ends[1:] == [end, 80]


def test_a_missing_value_is_skipped_and_not_drawn_as_zero(tmp_path: Path) -> None:
    rows = [{"epoch": epoch, "miou": miou} for epoch, miou in ((1, 0.5), (2, None), (3, 0.5))]
    without = [row for row in rows if row["miou"] is not None]
    for name, some in (("all", rows), ("without", without)):
        draw_learning_curve(some, tmp_path / name)
    drawn, expected = (np.asarray(Image.open(tmp_path / name)) for name in ("all", "without"))
    np.testing.assert_array_equal(drawn, expected)


def test_an_earlier_picture_is_replaced_and_kept_where_a_new_one_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "curve.png"
    path.write_text("earlier")
    with monkeypatch.context() as patch:
        patch.setattr("segment.evaluation.figures.Figure.savefig", _full_disk)
        with pytest.raises(OSError, match="disk full"):
            draw_learning_curve(ROWS, path)
    assert path.read_text() == "earlier"
    draw_learning_curve(ROWS, path)
    assert size_of(path) == (1690, 520)
    assert [found.name for found in tmp_path.iterdir()] == ["curve.png"]


def _full_disk(figure: object, path: Path, **options: object) -> None:
    path.write_bytes(b"half a pic")
    raise OSError("disk full")


def test_pictures_need_no_pyplot() -> None:
    code = "import sys, segment.evaluation.figures; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=ROOT).returncode == 0
