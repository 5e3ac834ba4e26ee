"""The command splits: by folder, by place, by a list, by a folder of its own; and the folder of crops remembers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasterio
from numpy.typing import NDArray
from PIL import Image

from tests.make import UTM, noise, write_tif
from tests.photos import write_photo
from tests.runs import noseam
from tiler import extra

SHAPE = (120, 180)


class Survey:
    """Images and masks below one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, name: str, pixels: NDArray[np.uint8] | None = None, kind: str = "") -> Path:
        """Write a picture and its mask, which is that of no class but 0 and 1; return the path of the picture."""
        pixels = noise(*SHAPE, 3, seed=len(name)) if pixels is None else pixels
        paths = [self.folder / f"{kind}{side}" / f"{name}.png" for side in ("images", "masks")]
        for path, array in zip(paths, (pixels, noise(*pixels.shape[:2], high=2)), strict=True):
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(path)
        return paths[0]

    def crop(self, *more: object, code: int = 0) -> str:
        """Run the command, and return what it says."""
        ended = noseam("crop", self.folder / "images", self.folder / "masks", "--out", self.folder / "crops",
                       "--window", "60", "--jobs", "1", *more)  # fmt: skip
        assert ended.exit_code == code, ended.output
        return ended.output

    @property
    def index(self) -> pd.DataFrame:
        """One row for each source."""
        found = pd.read_csv(self.folder / "crops/crops.csv", dtype=str, keep_default_na=False)
        return found.drop_duplicates("source").set_index("source")

    @property
    def val(self) -> list[str]:
        """The sources that validate."""
        return [str(name) for name in self.index.index[self.index["split"] == "val"]]


@pytest.fixture
def survey(tmp_path: Path) -> Survey:
    return Survey(tmp_path)


def _ground(seed: int) -> NDArray[np.uint8]:
    """Return a large picture of blots of many sizes, in which features can be found."""
    layers = [
        np.asarray(Image.fromarray(noise(900 // step, 900 // step, 3, seed=seed + step)).resize((900, 900)), np.float32)
        for step in (4, 9, 20, 60)
    ]
    ground: NDArray[np.uint8] = np.clip(np.mean(layers, axis=0) * 2 - 128, 0, 255).astype(np.uint8)
    return ground


def test_a_list_says_what_validates_and_later_crops_keep_it(survey: Survey, tmp_path: Path) -> None:
    for name in ("000", "004", "007", "b/017"):
        survey.add(name)
    (tmp_path / "val.txt").write_text("004\n017.jpg\n")
    said = survey.crop("--val-list", tmp_path / "val.txt")
    assert survey.val == ["004", "b/017"]
    assert set(survey.index["split_by"]) == {"list"}
    assert "split as listed: 2 images to train, 2 to validate" in said
    (tmp_path / "val.txt").unlink()
    survey.add("new")
    survey.crop("--seed", "5", "--balance")
    assert survey.val == ["004", "b/017"]
    assert survey.index["split"]["new"] == "train"
    assert "split by image, each drawn by itself: 4 images to train, 1 to validate" in survey.crop(
        "--split-by", "image"
    )
    assert "split by image" in survey.crop()
    (tmp_path / "val.txt").write_text("nobody\n")
    said = survey.crop("--val-list", tmp_path / "val.txt", code=2)
    assert "1 of 1 names are no image's with a mask: nobody" in " ".join(said.split())


def test_folders_stay_whole(survey: Survey) -> None:
    for day in range(4):
        for photo in range(2):
            survey.add(f"day{day}/{photo}")
    said = survey.crop("--split-by", "folder", "--split", "0.75")
    assert len(survey.val) == 2
    assert survey.val[0][:4] == survey.val[1][:4]
    assert list(survey.index["group"]) == [name[:4] for name in survey.index.index]
    assert "split by folder: 6 images to train, 2 to validate, of 3 folders and 1 folder" in said
    assert "validate where 50.0% were asked for" not in survey.crop("--split", "0.5")
    assert len(survey.val) == 4


def test_one_folder_alone_cannot_be_split_by_folder(survey: Survey) -> None:
    survey.add("1")
    survey.add("2")
    said = " ".join(survey.crop("--split-by", "folder", code=2).split())
    assert "all 2 images lie in one folder, so none would be left to validate" in said
    assert not (survey.folder / "crops").exists()


def test_a_folder_of_its_own_validates(survey: Survey, tmp_path: Path) -> None:
    for name in ("1", "2", "3"):
        survey.add(name)
    for name in ("1", "9"):
        survey.add(name, kind="val_")
    said = survey.crop("--val", tmp_path / "val_images", tmp_path / "val_masks")
    assert survey.val == ["val/1", "val/9"]
    assert (tmp_path / "crops/images/val/1_r0_c0.png").is_file()
    assert "split by folder, one for validation: 3 images to train, 2 to validate" in said
    assert "5 up to date" in survey.crop()
    assert survey.val == ["val/1", "val/9"]
    assert "deleted: crops of 2 images" in survey.crop("--split-by", "image")
    said = survey.crop("--val", tmp_path / "images", tmp_path / "masks", code=2)
    assert "all images validate; expected some beside them" in " ".join(said.split())


def test_a_validation_folder_within_the_survey_does_not_train(survey: Survey, tmp_path: Path) -> None:
    for name in ("train/1", "train/2", "valid/3"):
        survey.add(name)
    survey.crop("--val", tmp_path / "images/valid", tmp_path / "masks/valid")
    assert list(survey.index["split"].items()) == [("train/1", "train"), ("train/2", "train"), ("val/3", "val")]


def test_a_damaged_choice_is_refused_and_a_new_one_replaces_it(survey: Survey) -> None:
    survey.add("1")
    survey.add("2")
    survey.crop()
    (survey.folder / "crops/.noseam.split.json").write_text('{"by": "wish"}')
    assert ".noseam.split.json: the file is damaged" in " ".join(survey.crop(code=2).split())
    survey.crop("--split-by", "image")
    survey.crop()


def test_maps_that_share_ground_stay_together_and_a_random_split_is_warned_of(survey: Survey) -> None:
    for index, east in enumerate((0, 40, 80, 1000, 1040, 2000)):
        path = survey.add(f"{index}")
        with rasterio.Env():
            place = rasterio.Affine(0.5, 0, 500_000 + east, 0, -0.5, 5_000_000)
            write_tif(path.with_suffix(".tif"), noise(3, *SHAPE), photometric="rgb", crs=UTM, transform=place)
        path.unlink()
    said = survey.crop("--split", "0.5")
    assert "training images see ground of validation images too, of " in said
    assert "--split-by place keeps such images on one side" in said
    said = survey.crop("--split-by", "place", "--split", "0.5")
    assert list(survey.index["group"]) == ["0", "0", "0", "3", "3", "5"]
    assert set(survey.index["split_by"]) == {"georeference"}
    assert len(survey.val) == 3
    assert "(told 6 by georeference)" in said
    assert "too good" not in said


def test_photos_are_told_by_gps(survey: Survey) -> None:
    for index, north in enumerate((47.07, 47.0702, 47.09)):
        path = survey.add(f"{index}")
        write_photo(path.with_suffix(".jpg"), shape=SHAPE, place=(north, 15.4))
        path.unlink()
    bare = survey.add("3")
    write_photo(bare.with_suffix(".jpg"), shape=SHAPE, place=(47.0908, 15.4), xmp=b"")
    bare.unlink()
    said = survey.crop("--split-by", "place", "--split", "0.5")
    assert list(survey.index["group"]) == ["0", "0", "2", "2"]
    assert "(told 4 by GPS)" in said


def test_pictures_tell_places_apart_where_nothing_else_does(survey: Survey) -> None:
    for place, letter in enumerate("ab"):
        ground = _ground(100 * place)
        for index, (row, col) in enumerate(((0, 0), (100, 150), (300, 350))):
            piece = ground[row : row + 500, col : col + 550]
            turned = Image.fromarray(piece).rotate(20 * index, resample=Image.Resampling.BICUBIC)
            survey.add(f"{index}{letter}", np.asarray(turned))
    survey.add("9 plain", np.full((200, 200, 3), 90, np.uint8))
    said = survey.crop("--split-by", "place", "--split", "0.5", "--window", "300")
    groups = survey.index["group"].to_dict()
    assert groups == {"0a": "0a", "1a": "0a", "2a": "0a", "0b": "0b", "1b": "0b", "2b": "0b", "9 plain": "9 plain"}
    assert "told 6 by matching pictures, 1 by nothing" in said
    assert "images that say no place, and show too little to be matched: 1; each" in said
    again = survey.crop("--window", "300")
    assert survey.index["group"].to_dict() == groups
    assert "told 6 by matching pictures" in again


def test_one_place_alone_cannot_be_split_by_place(survey: Survey) -> None:
    ground = _ground(0)
    survey.add("1", ground[:500, :500])
    survey.add("2", ground[100:600, 100:600])
    said = " ".join(survey.crop("--split-by", "place", code=2).split())
    assert "all 2 images are of one place" in said
    assert "--val-list" in said


def test_pictures_without_anything_in_common_are_said_to_be_so(survey: Survey) -> None:
    for index in range(3):
        survey.add(str(index), _ground(1000 * index)[:300, :300])
    assert "no two images were found to see the same ground" in survey.crop("--split-by", "place", "--window", "300")


def test_names_tell_places_where_opencv_is_missing(survey: Survey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(extra.EXTRAS, "place", ("matching pictures", ("no_such_package",)))
    for name in ("roof_1", "roof_2", "road_1", "road_2"):
        survey.add(name)
    said = survey.crop("--split-by", "place", "--split", "0.5")
    assert "places are told by series of names, such as road_" in said
    assert "noseam[place]" in said
    assert list(survey.index["group"]) == ["road_1", "road_1", "roof_1", "roof_1"]
    for name in ("road_1", "road_2"):
        (survey.folder / f"images/{name}.png").unlink()
    said = " ".join(survey.crop("--split-by", "place", code=1).split())
    assert "some images do not say where they lie, and matching pictures needs no_such_package" in said


def test_a_window_larger_than_the_photos_is_told_with_one_that_fits(survey: Survey) -> None:
    for name in ("1", "2"):
        survey.add(name, noise(40, 60, 3))
    said = survey.crop()
    assert said.count("60 x 40 pixels, fewer than the window of 60: crops of such images are padded; --window 20") == 1
    assert "2 crops of 2 images, 1 to train, 1 to validate; 2 are padded, as their images are smaller" in said
    assert "padded" not in survey.crop("--window", "20")
