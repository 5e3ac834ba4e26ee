from __future__ import annotations

from pathlib import Path

import pytest

from tiler.errors import PairError
from tiler.files.pairs import Pair, pair_files


def _touch(folder: Path, *names: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def _names(first: Path, second: Path) -> list[tuple[str, str, str]]:
    return [
        (pair.name.as_posix(), pair.first.relative_to(first).as_posix(), pair.second.relative_to(second).as_posix())
        for pair in pair_files(first, second).pairs
    ]


def test_partners_have_one_relative_path(tmp_path: Path) -> None:
    first = _touch(tmp_path / "i", "b/1.JPG", "a/1.jpg", "a/2.tif", "3_color.jpg", "4.jpg")
    second = _touch(tmp_path / "m", "a/1_label.png", "b/1_mask.PNG", "a/2.tif", "3.png", "5.png", "c/6_label.tif")
    assert _names(first, second) == [
        ("3", "3_color.jpg", "3.png"),
        ("a/1", "a/1.jpg", "a/1_label.png"),
        ("a/2", "a/2.tif", "a/2.tif"),
        ("b/1", "b/1.JPG", "b/1_mask.PNG"),
    ]
    pairs = pair_files(first, second)
    assert pairs.only_first == (first / "4.jpg",)
    assert pairs.only_second == (second / "5.png", second / "c/6_label.tif")


def test_one_ending_is_cut_off_but_never_all_of_a_name(tmp_path: Path) -> None:
    first = _touch(tmp_path / "i", "x_mask.jpg", "_label.jpg", "my_label_dog.jpg")
    second = _touch(tmp_path / "m", "x_mask_label.png", "x_LABEL.png", "_label.png")
    assert _names(first, second) == [("_label", "_label.jpg", "_label.png"), ("x", "x_mask.jpg", "x_LABEL.png")]


def test_a_label_file_wins_over_the_colours_and_the_confidence_beside_it(tmp_path: Path) -> None:
    first = _touch(tmp_path / "i", "1.jpg")
    second = _touch(tmp_path / "m", "1_color.png", "1_confidence.png", "1_label.png")
    assert _names(first, second) == [("1", "1.jpg", "1_label.png")]
    assert pair_files(first, second).only_second == ()
    assert [pair.first.name for pair in pair_files(second, first).pairs] == ["1_label.png"]


def test_the_rest_is_matched_by_bare_name_where_that_is_unique(tmp_path: Path) -> None:
    first = _touch(tmp_path / "i", "day1/1.jpg", "day1/2.jpg", "day2/2.jpg", "3.jpg", "q/3.jpg")
    second = _touch(tmp_path / "m", "1_label.png", "2.png", "3.png", "p/3.png")
    assert _names(first, second) == [
        ("3", "3.jpg", "3.png"),
        ("day1/1", "day1/1.jpg", "1_label.png"),
    ]
    found = pair_files(first, second)
    assert found.only_first == (first / "day1/2.jpg", first / "day2/2.jpg", first / "q/3.jpg")
    assert found.only_second == (second / "2.png", second / "p/3.png")


def test_photos_of_two_flights_are_not_paired_across_them(tmp_path: Path) -> None:
    """Cameras number each flight from 1 again: what is left over may well be another place."""
    first = _touch(tmp_path / "i", "a/1.jpg", "b/1.jpg")
    second = _touch(tmp_path / "m", "a/1.png", "c/1.png")
    assert _names(first, second) == [("a/1", "a/1.jpg", "a/1.png")]


@pytest.mark.parametrize("names", [("1.png", "1.tif"), ("1.png", "1_label.png"), ("1_mask.png", "1_color.png")])
def test_two_files_of_one_name_are_an_error(tmp_path: Path, names: tuple[str, ...]) -> None:
    first, second = _touch(tmp_path / "i", "1.jpg"), _touch(tmp_path / "m", *names)
    with pytest.raises(PairError, match=r"m/1\S* and .*m/1\S* have one name"):
        pair_files(first, second)


def test_two_files_are_the_pair(tmp_path: Path) -> None:
    folder = _touch(tmp_path / "i", "photo_mask.jpg", "truth.png")
    first, second = folder / "photo_mask.jpg", folder / "truth.png"
    assert pair_files(first, second).pairs == (Pair(Path("photo"), first, second),)


def test_a_file_and_a_folder_are_no_pair(tmp_path: Path) -> None:
    folder = _touch(tmp_path / "i", "1.jpg")
    with pytest.raises(PairError, match="found one of each"):
        pair_files(folder / "1.jpg", folder)
    with pytest.raises(PairError, match="absent: no such file or folder"):
        pair_files(folder, tmp_path / "absent")


def test_masks_within_the_images_folder_are_no_images(tmp_path: Path) -> None:
    first = _touch(tmp_path / "i", "1.jpg", "masks/1.png")
    assert _names(first, first / "masks") == [("1", "1.jpg", "1.png")]
    assert pair_files(first, first / "masks").only_first == ()


@pytest.mark.parametrize(
    "name",
    ["000 mask.png", "000_mask.png", "000-label.png", "mask_000.png", "000.labels.png", "GT-000.tif", "000__seg.png"],
)
def test_masks_may_be_called_in_several_ways(tmp_path: Path, name: str) -> None:
    first, second = _touch(tmp_path / "i", "000.jpg", "001.jpg"), _touch(tmp_path / "m", name, "001.png")
    assert _names(first, second) == [("000", "000.jpg", name), ("001", "001.jpg", "001.png")]
    assert pair_files(first, second).only_second == ()


def test_masks_of_other_names_are_found_by_folder_or_by_name_alone(tmp_path: Path) -> None:
    first = _touch(tmp_path / "i", "a/1.jpg", "b/1.jpg", "b/2.jpg", "label_9.jpg")
    second = _touch(tmp_path / "m", "a/mask 1.png", "b/1-mask.png", "x/2 mask.png", "label_9.png", "mask_7.png")
    assert _names(first, second) == [
        ("a/1", "a/1.jpg", "a/mask 1.png"),
        ("b/1", "b/1.jpg", "b/1-mask.png"),
        ("b/2", "b/2.jpg", "x/2 mask.png"),
        ("label_9", "label_9.jpg", "label_9.png"),
    ]
    assert pair_files(first, second).only_second == (second / "mask_7.png",)


@pytest.mark.parametrize("names", [("1 mask.png", "1-label.png"), ("1.png", "1 mask.png"), ("x/mask 1.png", "1.png")])
def test_two_masks_that_may_be_of_one_photo_are_an_error(tmp_path: Path, names: tuple[str, ...]) -> None:
    first, second = _touch(tmp_path / "i", "1.jpg"), _touch(tmp_path / "m", *names)
    if "/" in names[0]:  # a folder of its own: the mask of another photo
        assert _names(first, second) == [("1", "1.jpg", "1.png")]
        return
    with pytest.raises(PairError, match=r"m/1\S* .*may both be the mask of .*i/1\.jpg; expected one"):
        pair_files(first, second)
