from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiler.files.aside import is_aside, make_aside
from tiler.files.walk import IMAGE_SUFFIXES, Survey, natural, walk_survey


def _touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def _walk(sources: Iterable[Path], out: Path = Path("nowhere")) -> Survey:
    return walk_survey(sources, out=out)


def _relative(survey: Survey) -> list[str]:
    return [found.relative.as_posix() for found in survey.images]


def test_folders_are_walked_to_any_depth(tmp_path: Path) -> None:
    _touch(tmp_path, "a.jpg", "b/c.jpg", "b/d/e/f.jpg", "empty/none.txt")
    survey = _walk([tmp_path])
    assert _relative(survey) == ["a.jpg", "b/c.jpg", "b/d/e/f.jpg"]
    assert [found.path for found in survey.images] == [tmp_path / found.relative for found in survey.images]


def test_every_image_ending_counts_in_any_case(tmp_path: Path) -> None:
    names = {f"a{suffix}" for suffix in IMAGE_SUFFIXES} | {f"b{suffix.upper()}" for suffix in IMAGE_SUFFIXES}
    _touch(tmp_path, *names, "c.Jpg")
    assert set(_relative(_walk([tmp_path]))) == names | {"c.Jpg"}


def test_other_files_are_counted_by_ending(tmp_path: Path) -> None:
    _touch(tmp_path, "a.jpg", "b.txt", "c/d.TXT", "e.MRK", "README", "f.tar.gz")
    survey = _walk([tmp_path])
    assert _relative(survey) == ["a.jpg"]
    assert survey.ignored == {".txt": 2, ".mrk": 1, "README": 1, ".gz": 1}


def test_what_stands_beside_its_image_is_told_from_what_stands_alone(tmp_path: Path) -> None:
    _touch(tmp_path, "a.JPG", "a.DNG", "b/a.dng", "b/c.dng", "b/c.png", "notes")
    survey = _walk([tmp_path])
    assert survey.ignored == {".dng": 3, "notes": 1}
    assert survey.alone == {".dng": 1, "notes": 1}


def test_hidden_files_and_folders_are_passed_over(tmp_path: Path) -> None:
    _touch(tmp_path, "a.jpg", "._a.jpg", ".b.jpg", ".thumbnails/c.jpg", ".jpg")
    survey = _walk([tmp_path])
    assert _relative(survey) == ["a.jpg"]
    assert not survey.ignored


def test_a_hidden_folder_that_is_named_is_walked(tmp_path: Path) -> None:
    _touch(tmp_path, ".survey/a.jpg")
    assert _relative(_walk([tmp_path / ".survey"])) == ["a.jpg"]


@pytest.mark.parametrize("out", ["masks", "b/masks", "link/masks"])
def test_the_output_folder_inside_the_input_is_passed_over(tmp_path: Path, out: str) -> None:
    _touch(tmp_path, "a.jpg", "b/c.jpg", "masks/a_label.png", "b/masks/c_label.png")
    (tmp_path / "link").symlink_to("b")
    other = "masks/a_label.png" if out != "masks" else "b/masks/c_label.png"
    assert sorted(_relative(_walk([tmp_path], tmp_path / out))) == sorted(["a.jpg", "b/c.jpg", other])


def test_the_output_folder_is_known_by_any_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _touch(tmp_path, "a.jpg", "masks/a_label.png")
    (tmp_path / "link").symlink_to(".")
    monkeypatch.chdir(tmp_path)
    for source, out in (("link", tmp_path / "masks"), (".", Path("masks")), (".", Path("link/masks"))):
        assert _relative(_walk([Path(source)], out)) == ["a.jpg"]


def test_a_folder_named_like_the_output_folder_is_walked(tmp_path: Path) -> None:
    _touch(tmp_path, "masks2/a.jpg", "b/masks/c.jpg", "masks/no.jpg")
    assert _relative(_walk([tmp_path], tmp_path / "masks")) == ["b/masks/c.jpg", "masks2/a.jpg"]


def test_an_input_inside_the_output_folder_is_walked(tmp_path: Path) -> None:
    _touch(tmp_path, "photos/a.jpg")
    assert _relative(_walk([tmp_path / "photos"], tmp_path)) == ["a.jpg"]


def test_links_to_folders_are_not_followed(tmp_path: Path) -> None:
    _touch(tmp_path, "survey/a.jpg", "survey/b/c.jpg", "other/d.jpg")
    (tmp_path / "survey/b/up").symlink_to("..")
    (tmp_path / "survey/other.jpg").symlink_to("../other")
    survey = _walk([tmp_path / "survey"])
    assert _relative(survey) == ["a.jpg", "b/c.jpg"]
    assert not survey.ignored


@pytest.mark.timeout(20)
def test_folders_that_link_to_each_other_are_walked_once(tmp_path: Path) -> None:
    _touch(tmp_path, "a/x.jpg", "b/y.jpg")
    (tmp_path / "a/to-b").symlink_to("../b")
    (tmp_path / "b/to-a").symlink_to("../a")
    (tmp_path / "itself").symlink_to("itself")
    survey = _walk([tmp_path])
    assert _relative(survey) == ["a/x.jpg", "b/y.jpg"]
    assert not survey.unreadable


def test_a_link_to_a_folder_that_is_named_is_walked(tmp_path: Path) -> None:
    _touch(tmp_path, "survey/a.jpg")
    (tmp_path / "link").symlink_to("survey")
    assert _relative(_walk([tmp_path / "link"])) == ["a.jpg"]


def test_links_to_files_are_images_and_so_are_dangling_ones(tmp_path: Path) -> None:
    _touch(tmp_path, "elsewhere/a.jpg")
    (tmp_path / "survey").mkdir()
    (tmp_path / "survey/b.jpg").symlink_to("../elsewhere/a.jpg")
    (tmp_path / "survey/c.jpg").symlink_to("gone.jpg")
    assert _relative(_walk([tmp_path / "survey"])) == ["b.jpg", "c.jpg"]


def test_a_folder_named_like_an_image_is_walked(tmp_path: Path) -> None:
    _touch(tmp_path, "a.jpg/b.jpg")
    assert _relative(_walk([tmp_path])) == ["a.jpg/b.jpg"]


@pytest.mark.timeout(20)
def test_a_pipe_is_listed_without_being_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jpg")
    assert _relative(_walk([tmp_path])) == ["a.jpg"]


@pytest.mark.parametrize("name", ["photo", "photo.dat", ".hidden", "photo.jpg", "gone.xyz"])
def test_a_file_that_is_named_counts_whatever_its_ending(tmp_path: Path, name: str) -> None:
    if name != "gone.xyz":
        _touch(tmp_path, name)
    survey = _walk([tmp_path / name])
    assert [(found.path, found.relative) for found in survey.images] == [(tmp_path / name, Path(name))]
    assert not survey.ignored


def test_a_file_reached_twice_counts_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _touch(tmp_path, "a.jpg", "b/c.jpg")
    (tmp_path / "link").symlink_to("b")
    monkeypatch.chdir(tmp_path)
    sources = [Path("a.jpg"), tmp_path, Path("b"), Path("b/../a.jpg"), Path("b/c.jpg"), Path("link/c.jpg"), tmp_path]
    survey = _walk(sources)
    assert [found.path for found in survey.images] == [Path("a.jpg"), tmp_path / "b/c.jpg"]


def test_files_of_one_name_in_two_sources_are_two(tmp_path: Path) -> None:
    _touch(tmp_path, "a/x.jpg", "b/x.jpg")
    survey = _walk([tmp_path / "b", tmp_path / "a"])
    assert [found.path for found in survey.images] == [tmp_path / "b/x.jpg", tmp_path / "a/x.jpg"]
    assert _relative(survey) == ["x.jpg", "x.jpg"]


def test_images_are_sorted_by_path_within_each_source(tmp_path: Path) -> None:
    names = ["b/10.jpg", "b/9.jpg", "a.jpg", "Z.jpg", "b-c/1.jpg", "é.jpg", "c/d/e.jpg", "c/a.jpg"]
    _touch(tmp_path, *names)
    found = [image.path for image in _walk([tmp_path]).images]
    assert [str(path.relative_to(tmp_path)) for path in found] == [
        "Z.jpg", "a.jpg", "b/9.jpg", "b/10.jpg", "b-c/1.jpg", "c/a.jpg", "c/d/e.jpg", "é.jpg",
    ]  # fmt: skip


@given(st.lists(st.from_regex(r"[a-b]?[0-9]{1,3}[a-b]?", fullmatch=True), min_size=2))
def test_numbers_in_names_are_sorted_by_their_value(names: list[str]) -> None:
    def parts(name: str) -> list[tuple[int, str]]:
        return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"([0-9]+)", name)]

    assert [parts(name) for name in sorted(names, key=natural)] == sorted(map(parts, names))


def test_images_in_the_output_folder_are_told_from_masks(tmp_path: Path) -> None:
    _touch(tmp_path, "a.jpg", "out/b/photo.jpg", "out/a_label.png", "out/a_color.png", "out/summary.csv")
    survey = walk_survey([tmp_path], out=tmp_path / "out")
    assert _relative(survey) == ["a.jpg"]
    assert survey.in_out == (tmp_path / "out/b/photo.jpg",)


def test_a_part_of_a_survey_keeps_its_place(tmp_path: Path) -> None:
    _touch(tmp_path, "s/f/1/a.jpg", "s/f/b.jpg")
    sources = [tmp_path / "s/f/1", tmp_path / "s/f/b.jpg"]
    survey = walk_survey(sources, out=None, below={sources[0]: Path("f/1"), sources[1]: Path("f")})
    assert _relative(survey) == ["f/1/a.jpg", "f/b.jpg"]


def _forbid(monkeypatch: pytest.MonkeyPatch, forbidden: Path) -> None:
    """Make one folder unreadable, which permissions cannot do where tests run as root."""
    scandir = os.scandir

    def forbidding(path: Path) -> object:
        if Path(path) == forbidden:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", forbidding)


def test_a_folder_that_cannot_be_listed_is_reported_and_the_rest_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _touch(tmp_path, "a.jpg", "b/no.jpg", "c/d.jpg")
    _forbid(monkeypatch, tmp_path / "b")
    survey = _walk([tmp_path])
    assert _relative(survey) == ["a.jpg", "c/d.jpg"]
    assert survey.unreadable == ((tmp_path / "b", "the folder cannot be listed: Permission denied"),)


def test_a_source_that_cannot_be_listed_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _touch(tmp_path, "a.jpg")
    _forbid(monkeypatch, tmp_path)
    survey = _walk([tmp_path])
    assert survey.images == ()
    assert [folder for folder, _ in survey.unreadable] == [tmp_path]


@pytest.mark.parametrize(
    "name",
    [
        b"\xff\xfe.jpg",
        b"new\nline.jpg",
        b"-rf.jpg",
        "e\u0301.jpg".encode(),
        "\u00e9.jpg".encode(),
        b"a\x1b[31m.jpg",
        b"'\"<b>.jpg",
        b" .jpg",
    ],
)
def test_any_name_is_found(tmp_path: Path, name: bytes) -> None:
    (tmp_path / os.fsdecode(name)).touch()
    survey = _walk([tmp_path])
    assert [os.fsencode(found.relative) for found in survey.images] == [name]


def test_no_source_gives_an_empty_survey() -> None:
    assert _walk([]) == Survey((), ())


def test_nothing_is_changed_in_the_source(tmp_path: Path) -> None:
    _touch(tmp_path, "a.jpg", "b/c.jpg")
    before = {path: path.lstat().st_mtime_ns for path in tmp_path.rglob("*")}
    _walk([tmp_path], tmp_path / "out")
    assert {path: path.lstat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_folders_that_noseam_set_aside_are_passed_over(tmp_path: Path) -> None:
    for folder in ("report", "review"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.jpg").touch()
    assert is_aside(make_aside(tmp_path / "report"))
    assert [found.relative.as_posix() for found in walk_survey([tmp_path], out=None).images] == ["review/a.jpg"]
    assert not is_aside(tmp_path / "review")
