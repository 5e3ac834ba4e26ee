"""A crops folder that a stranger made: nothing outside it is touched, whatever its records and links say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.make import noise
from tiler.classes import ClassTable
from tiler.crops.make import CropReport, make_crops
from tiler.crops.plan import CropOptions
from tiler.crops.record import read_record, record_path
from tiler.errors import OutputExistsError

CLASSES = ClassTable(("NA", "road"), ((0, 0, 0), (128, 64, 128)))
WINDOW = {"row_off": 0, "col_off": 0, "height": 1, "width": 1}
THEIRS = "precious"


class Folder:
    """A survey, the crops of its two images, and a file outside."""

    def __init__(self, parent: Path) -> None:
        self.parent, self.out, self.outside = parent, parent / "crops", parent / "outside" / "thesis.txt"
        self.outside.parent.mkdir()
        self.outside.write_text(THEIRS)
        for kind in ("images", "masks"):
            (parent / kind).mkdir()
        for name in "ab":
            Image.fromarray(noise(40, 40, 3)).save(parent / "images" / f"{name}.png")
            Image.fromarray(np.zeros((40, 40), np.uint8)).save(parent / "masks" / f"{name}_label.png")
        self.cut()

    def cut(self, window_px: int = 20) -> CropReport:
        request = CropOptions(window_px=window_px)
        return make_crops(self.parent / "images", self.parent / "masks", self.out, request, classes=CLASSES, jobs=1)

    def forge(self, source: str, **changes: Any) -> Path:
        """Write a record of a source whose only crop is changed."""
        row = {"image": "images/a_r0_c0.png", "mask": "masks/a_r0_c0.png", "window": WINDOW, "counts": [[0, 1]]}
        record = {"source": source, "fingerprint": "forged", "rows": [row | changes], "filtered": 0}
        path = record_path(self.out, source)
        path.write_text(json.dumps(record))
        return path

    def replace(self, name: str, target: Path) -> None:
        """Put a link to the target where the crops have a file or a folder; what stood there stands at the target."""
        target.parent.mkdir(parents=True, exist_ok=True)
        (self.out / name).rename(target)
        (self.out / name).symlink_to(target)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def _tree(folder: Path) -> dict[Path, bytes | None]:
    return {path: path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))}


@pytest.mark.parametrize("source", ["a", "gone"])
@pytest.mark.parametrize("key", ["image", "mask"])
@pytest.mark.parametrize("way", ["absolute", "../outside/thesis.txt", "images/../../outside/thesis.txt"])
def test_a_record_that_names_a_file_outside_deletes_nothing(folder: Folder, source: str, key: str, way: str) -> None:
    folder.forge(source, **{key: str(folder.outside) if way == "absolute" else way})
    assert [outcome.state for outcome in folder.cut(window_px=40).outcomes] == ["done", "done"]
    assert folder.outside.read_text() == THEIRS


def test_a_record_deletes_no_file_of_the_folder_that_is_no_crop(folder: Folder) -> None:
    (folder.out / "notes.txt").write_text(THEIRS)
    for name in ("notes.txt", "images/../notes.txt", "crops.csv"):
        folder.forge("gone", image=name)
        folder.cut()
    assert (folder.out / "notes.txt").read_text() == THEIRS


@pytest.mark.parametrize(
    "name",
    [
        "C:\\Users\\a.png", "C:a.png", "c:/a.png", "\\\\server\\share\\a.png", "\\a.png", "/a.png", "//a.png",
        "..\\a.png", "images\\..\\..\\a.png", "images/..\\../a.png", "images/.. /a.png", "images/..", "../images/a.png",
        "images", "images/", "images/.", "./a.png", "", ".", "..", "Images/a.png", "masks/a.png", "images/a\0.png",
        "images/\ud800.png", 5, 1.5, None, True, ["images/a.png"], {"images": "a.png"},
    ],
)  # fmt: skip
def test_a_record_whose_image_is_no_name_below_images_counts_as_none(folder: Folder, name: Any) -> None:
    assert read_record(folder.forge("gone")) is not None
    assert read_record(folder.forge("gone", image=name)) is None


@pytest.mark.parametrize("name", ["images/a b/ü.png", "images/..a/b...png", "images/a\\b.png", "images/\udcff.png"])
def test_odd_names_of_crops_count(folder: Folder, name: str) -> None:
    record = read_record(folder.forge("gone", image=name))
    assert record is not None
    assert record.rows[0].image == name


@pytest.mark.parametrize(
    "changes",
    [
        {"mask": "images/a.png"}, {"window": {**WINDOW, "height": 0}}, {"window": {**WINDOW, "height": "1"}},
        {"window": {**WINDOW, "row_off": None}}, {"window": [0, 0, 1, 1]}, {"counts": [[0]]}, {"counts": [[0, "1"]]},
        {"counts": 5},
    ],
)  # fmt: skip
def test_a_record_with_values_of_the_wrong_kind_counts_as_none(folder: Folder, changes: dict[str, Any]) -> None:
    assert read_record(folder.forge("gone", **changes)) is None


@pytest.mark.parametrize(
    "text",
    [
        "", "[", "[]", "5", "null", "{}", "[" * 100_000, '{"source": [], "fingerprint": "", "rows": [], "filtered": 0}',
        '{"source": "a", "fingerprint": 1, "rows": [], "filtered": 0}',
        '{"source": "a", "fingerprint": "", "rows": 1, "filtered": 0}',
        '{"source": "a", "fingerprint": "", "rows": [], "filtered": "0"}',
    ],
)  # fmt: skip
def test_a_damaged_record_counts_as_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    assert read_record(path) is None


@pytest.mark.parametrize("name", ["images", "masks", ".sources"])
def test_a_folder_that_leads_outside_is_refused_and_what_it_leads_to_stays(folder: Folder, name: str) -> None:
    folder.replace(name, folder.parent / "elsewhere" / "theirs")
    (folder.parent / "elsewhere" / "theirs" / "empty").mkdir()
    before = _tree(folder.parent)
    with pytest.raises(OutputExistsError, match=rf"crops/{name} leads to \S*/elsewhere/theirs, outside \S*/crops;"):
        folder.cut(window_px=40)
    assert _tree(folder.parent) == before


def test_a_folder_below_that_leads_outside_is_refused(folder: Folder) -> None:
    (folder.out / "images" / "day 1").symlink_to(folder.outside.parent)
    folder.forge("day 1/gone", image="images/day 1/thesis.txt")
    with pytest.raises(OutputExistsError, match=r"images/day 1 leads to \S*/outside, outside"):
        folder.cut()
    assert folder.outside.read_text() == THEIRS


def test_a_link_to_a_file_is_replaced_and_what_it_leads_to_stays(folder: Folder) -> None:
    for name in ("crops.csv", "classes.csv", "images/a_r0_c0.png"):
        (folder.out / name).unlink()
        (folder.out / name).symlink_to(folder.outside)
    folder.cut(window_px=40)
    for name in ("crops.csv", "classes.csv", "images/a_r0_c0.png"):
        assert (folder.out / name).is_file()
        assert not (folder.out / name).is_symlink()
    assert folder.outside.read_text() == THEIRS


def test_links_within_the_folder_and_to_the_folder_are_followed(folder: Folder) -> None:
    (folder.out / "images").rename(folder.out / "pictures")
    (folder.out / "images").symlink_to("pictures")
    folder.out.rename(folder.parent / "disk")
    folder.out.symlink_to("disk")
    assert [outcome.state for outcome in folder.cut().outcomes] == ["skipped", "skipped"]
    assert [outcome.state for outcome in folder.cut(window_px=40).outcomes] == ["done", "done"]
    assert len(list((folder.parent / "disk" / "pictures").iterdir())) == 2
