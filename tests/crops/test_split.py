from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiler.crops.connected import Groups
from tiler.crops.places import series_of
from tiler.crops.split import Grouping, SplitOptions, sides_of, split_groups
from tiler.crops.val_list import read_val_list
from tiler.errors import CropRequestError

SOURCES = ("000", "004", "a/017", "b/017", "b/DJI_0001", "c.d/9.5")


@given(st.dictionaries(st.text(max_size=3), st.integers(1, 40), min_size=2), st.floats(0.05, 0.95), st.integers(0, 5))
def test_groups_stay_whole_and_no_side_is_empty(sizes: dict[str, int], split: float, seed: int) -> None:
    sides = split_groups(sizes, split=split, seed=seed)
    assert sides == split_groups(dict(reversed(sizes.items())), split=split, seed=seed)
    assert sides.keys() == sizes.keys()
    assert set(sides.values()) == {"train", "val"}


def test_the_share_of_validation_is_as_near_as_whole_groups_allow() -> None:
    sizes = {f"g{index}": size for index, size in enumerate((73, 53, 50, 29, 22, 21, 14, 7, 5, 2, 2, 2))}
    for seed in range(20):
        val = sum(sizes[name] for name, side in split_groups(sizes, split=0.875, seed=seed).items() if side == "val")
        assert abs(val - 0.125 * 280) <= 1
    assert split_groups({"large": 90, "small": 10}, split=0.5, seed=0) == {"large": "train", "small": "val"}
    assert set(split_groups(sizes, split=1, seed=0).values()) == {"train"}
    assert set(split_groups(sizes, split=0, seed=0).values()) == {"val"}


def test_another_seed_draws_other_groups() -> None:
    sizes = {str(index): 1 for index in range(50)}
    assert split_groups(sizes, split=0.5, seed=0) != split_groups(sizes, split=0.5, seed=1)


def test_sources_without_crops_weigh_nothing() -> None:
    folders = {"a/1": "a", "a/2": "a", "b/1": "b", "c/1": "c"}
    grouping = Grouping("folder", folders, dict.fromkeys(folders, "folder"))
    sides = sides_of(grouping, {"a/1": 8, "b/1": 1, "a/2": 8}, split=0.9, seed=0)
    assert {name: side.split for name, side in sides.items()} == {"a/1": "train", "a/2": "train", "b/1": "val"}
    assert {name: side.group for name, side in sides.items()} == {"a/1": "a", "a/2": "a", "b/1": "b"}


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9))))
def test_groups_are_the_classes_of_the_relation(links: list[tuple[int, int]]) -> None:
    groups = Groups(10)
    for one, other in links:
        groups.join(one, other)
    expected = [{number} for number in range(10)]
    for one, other in links:
        merged = expected[one] | expected[other]
        for number in merged:
            expected[number] = merged
    assert [groups.first(number) for number in range(10)] == [min(members) for members in expected]


@pytest.mark.parametrize(
    "text",
    [
        "004\nb/017\n",
        "\ufeff004.jpg\r\nb/017.png\r\n\r\n",
        "# validation\nimages/004.JPG\nC:\\photos\\b\\017.tif\n",
        "004_label.png\nb/017_mask\n",
        "name\n004\nb/017\n",
        "id;File\n1;004.jpg\n2;b/017\n",
        "split,image,source\ntrain,x,000\nval,y,004\nval,y,004\nvalidation,z,b/017\n",
    ],
)
def test_a_list_names_images_with_or_without_folder_and_suffix(text: str, tmp_path: Path) -> None:
    (tmp_path / "val.txt").write_text(text, newline="")
    assert read_val_list(tmp_path / "val.txt", SOURCES) == {"004", "b/017"}


def test_a_dot_in_a_name_is_no_suffix(tmp_path: Path) -> None:
    (tmp_path / "val.txt").write_text("9.5\nDJI_0001.JPG")
    assert read_val_list(tmp_path / "val.txt", SOURCES) == {"c.d/9.5", "b/DJI_0001"}


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", r"val\.txt: no name found; expected the name of an image on each line"),
        ("# 004\n", "no name found"),
        ("005\n000\n4\nx y", r"3 of 4 names are no image's with a mask: 005, 4, x y; did you mean 00\d\?"),
        ("zzzz", "1 of 1 names are no image's with a mask: zzzz; there are images such as 000"),
        ("017\n000", r"1 of 2 names are of several images: 017 \(a/017, b/017\); write the folder before the name"),
        ("\n".join(SOURCES), "all 6 images validate; expected some that train"),
        ("\n".join(f"x{index}" for index in range(30)), "x9 and 20 more"),
    ],
)
def test_a_list_that_does_not_fit_is_refused(text: str, match: str, tmp_path: Path) -> None:
    (tmp_path / "val.txt").write_text(text)
    with pytest.raises(CropRequestError, match=match):
        read_val_list(tmp_path / "val.txt", SOURCES)


def test_a_list_in_another_encoding_is_refused(tmp_path: Path) -> None:
    (tmp_path / "val.txt").write_bytes(b"\xff\xfe0\x000\x00")
    with pytest.raises(CropRequestError, match=r"val\.txt: not UTF-8 text \(byte 0\)"):
        read_val_list(tmp_path / "val.txt", SOURCES)


@pytest.mark.parametrize(
    "chosen",
    [
        {"split_by": "place", "val_list": Path("val.txt")},
        {"split_by": "image", "val": (Path("i"), Path("m"))},
        {"val_list": Path("val.txt"), "val": (Path("i"), Path("m"))},
    ],
)
def test_one_way_of_splitting_excludes_the_others(chosen: dict[str, Any]) -> None:
    with pytest.raises(CropRequestError, match=r"--\S+ and --\S+ exclude one another; give one of them"):
        SplitOptions(**chosen)


@pytest.mark.parametrize(
    ("name", "series"),
    [
        ("siteA_012", "siteA_"),
        ("day1/DJI_0001", "day1/DJI_"),
        ("000", "0"),
        ("day1/000", "day1/0"),
        ("roof", "roof"),
        ("a1b2c", "a1b"),
    ],
)
def test_names_of_one_series_share_all_before_the_last_number(name: str, series: str) -> None:
    assert series_of(name) == series
