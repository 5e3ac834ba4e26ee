"""Crops reach the network as tiles do; what an item holds follows from seed, epoch and index."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from segment.errors import TrainError
from segment.model.config import Normalisation
from segment.training.crop_files import read_labels, read_pixels
from segment.training.data import read_crop_set
from segment.training.dataset import CropDataset
from segment.training.ground import Piece
from tests.crop_folder import crop_folder
from tests.make import noise
from tests.models import class_table
from tiler.crops.folder import RECORDS
from tiler.crops.record import CORRECTED, Record, write_record
from tiler.errors import CropIndexError, RasterReadError
from tiler.grid.tiles import plan_grid
from tiler.grid.window import Window
from tiler.source.image import open_image
from tiler.source.tiles import read_tiles

NORMALISATION = Normalisation(0.5, (1.0, 2.0, 3.0), (4.0, 5.0, 6.0))


def image_file(path: Path, pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> Path:
    Image.fromarray(pixels).save(path)
    return path


def dataset(folder: Path, *, seed: int | None = None, side: int = 64) -> CropDataset:
    crops = read_crop_set(folder).train.crops
    return CropDataset(crops, classes=2, input_px=side, normalisation=NORMALISATION, seed=seed)


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_a_crop_is_read_as_a_tile_of_a_survey_is(tmp_path: Path, name: str) -> None:
    path = image_file(tmp_path / name, noise(200, 200, 3))
    with open_image(path) as image:
        tiles = list(read_tiles(image, plan_grid((200, 200), scale=64 / 200, tile=(64, 64), overlap=(0, 0))))
    assert len(tiles) == 1
    assert (read_pixels(path, 64) == tiles[0][1]).all()


def test_items_are_normalised_and_labels_keep_their_gaps(tmp_path: Path) -> None:
    folder = crop_folder(tmp_path / "crops")
    item = dataset(folder)[0]
    crop = read_crop_set(folder).train.crops[0].piece
    pixels = np.asarray(Image.open(crop.image)).transpose(2, 0, 1)
    expected = (pixels * 0.5 - np.array([1, 2, 3]).reshape(3, 1, 1)) / np.array([4, 5, 6]).reshape(3, 1, 1)
    np.testing.assert_allclose(item["pixel_values"], expected, rtol=1e-5, atol=1e-5)
    assert item["pixel_values"].dtype == torch.float32
    assert item["labels"].dtype == torch.int64
    assert (item["labels"].numpy() == np.asarray(Image.open(crop.mask))).all()
    assert set(item["labels"].flatten().tolist()) == {0, 1, 255}


def test_labels_are_never_mixed_by_resampling(tmp_path: Path) -> None:
    labels = np.where(noise(300, 300) > 127, 0, 200).astype(np.uint8)
    assert set(np.unique(read_labels(image_file(tmp_path / "m.png", labels), 64, 201))) == {0, 200}


@pytest.mark.parametrize(
    ("pixels", "match"),
    [
        (np.full((64, 64), 2, np.uint8), r"m\.png: class id 2 found, expected 0 to 1, or 255"),
        (np.zeros((64, 64, 3), np.uint8), r"m\.png: one 8-bit channel expected, 3 of uint8"),
    ],
)
def test_a_mask_that_is_none_is_refused(
    tmp_path: Path, pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], match: str
) -> None:
    with pytest.raises(TrainError, match=match):
        read_labels(image_file(tmp_path / "m.png", pixels), 64, 2)


def test_a_crop_that_is_not_square_or_damaged_is_refused(tmp_path: Path) -> None:
    path = image_file(tmp_path / "a.png", noise(64, 65, 3))
    with pytest.raises(TrainError, match=r"a\.png: a square crop expected, 64 x 65"):
        read_pixels(path, 64)
    path = image_file(tmp_path / "b.png", noise(64, 64, 3))
    path.write_bytes(path.read_bytes()[:999])
    with pytest.raises(RasterReadError, match=r"b\.png"):
        read_pixels(path, 64)


def test_an_item_follows_from_seed_epoch_and_index(tmp_path: Path) -> None:
    folder = crop_folder(tmp_path / "crops")
    first, second = dataset(folder, seed=1), dataset(folder, seed=1)
    for index in (5, 0, 3):
        second[index]  # an item does not depend on what was read before
    assert torch.equal(first[2]["pixel_values"], second[2]["pixel_values"])
    assert torch.equal(first[2]["labels"], second[2]["labels"])
    second.epoch = 1
    assert not torch.equal(first[2]["pixel_values"], second[2]["pixel_values"])
    assert not torch.equal(first[2]["pixel_values"], dataset(folder, seed=2)[2]["pixel_values"])


def test_workers_change_nothing(tmp_path: Path) -> None:
    items = dataset(crop_folder(tmp_path / "crops", train=4), seed=1)
    items.epoch = 3
    alone = [item["pixel_values"] for item in torch.utils.data.DataLoader(items)]
    shared = [item["pixel_values"] for item in torch.utils.data.DataLoader(items, num_workers=2)]
    assert all(torch.equal(a, b) for a, b in zip(alone, shared, strict=True))


def test_workers_that_stay_see_each_epoch(tmp_path: Path) -> None:
    items = dataset(crop_folder(tmp_path / "crops", train=4), seed=1)
    loader = torch.utils.data.DataLoader(items, num_workers=2, persistent_workers=True)
    for epoch in (0, 1, 5):
        items.epoch = epoch
        found = [item["pixel_values"][0] for item in loader]
        assert all(torch.equal(each, items[index]["pixel_values"]) for index, each in enumerate(found))
        del found


def test_repeated_crops_stand_as_often_in_the_epoch_and_differ(tmp_path: Path) -> None:
    crops = read_crop_set(crop_folder(tmp_path / "crops", train=3, val=2, repeat=3))
    assert len(crops.train.crops) == 9
    assert len(crops.train.pixels) == 9
    assert (crops.train.files, crops.train.sources) == (3, 3)
    assert len(crops.val.crops) == 2
    items = dataset(crops.folders[0], seed=0)
    assert not torch.equal(items[0]["pixel_values"], items[1]["pixel_values"])


def test_a_crop_set_says_its_classes_window_and_pixels(tmp_path: Path) -> None:
    crops = read_crop_set(crop_folder(tmp_path / "crops"))
    assert crops.classes == class_table(2)
    assert crops.window_px == 64
    labels = np.asarray(Image.open(crops.train.crops[0].piece.mask))
    assert crops.train.pixels[0].tolist() == [(labels == 0).sum(), (labels == 1).sum()]
    assert crops.train.labelled == 8 * (64 * 64 - 8 * 8)
    folder = crops.folders[0]
    first = Piece(folder / "train/images/0.png", folder / "train/masks/0.png", Window(0, 0, 64, 64), 64)
    assert crops.train.crops[0].piece == first


def test_crops_of_several_folders_train_together(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first, second = crop_folder(tmp_path / "a", train=3, val=2), crop_folder(tmp_path / "b", train=1, val=1)
    alone, both = read_crop_set(first), read_crop_set(first, second)
    assert (both.train.files, both.train.sources, both.val.files) == (4, 4, 3)
    pieces = [crop.piece for crop in both.train.crops]
    assert pieces[:3] == [crop.piece for crop in alone.train.crops]
    assert pieces[3].image == second / "train/images/0.png"
    assert both.digest != alone.digest
    assert "1 image of one name train in one folder and validate in another, such as 1.JPG" in caplog.text


def test_folders_of_other_classes_or_windows_are_refused(tmp_path: Path) -> None:
    first, other = crop_folder(tmp_path / "a"), crop_folder(tmp_path / "b", side=32)
    with pytest.raises(TrainError, match=r"found 64 px in .*a, 32 px in .*b; noseam crop --window PX makes"):
        read_crop_set(first, other)
    for name in ("classes.csv", "crops.csv"):
        (other / name).write_text((other / name).read_text().replace("class 1", "tree"))
    with pytest.raises(TrainError, match=r"b/classes.csv: class 1 is tree, but class 1 in .*a/classes.csv"):
        read_crop_set(first, other)


def test_a_folder_without_an_index_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CropIndexError, match=r"no crops\.csv"):
        read_crop_set(tmp_path)


def test_a_set_without_validation_is_refused(tmp_path: Path) -> None:
    crops = crop_folder(tmp_path / "crops", val=0)
    with pytest.raises(TrainError, match=r"0 val crops, none with a labelled pixel.*crop two at least\)"):
        read_crop_set(crops)
    (crops / RECORDS).mkdir(exist_ok=True)
    write_record(crops, Record("a.jpg", CORRECTED, ()))
    with pytest.raises(TrainError, match=r"0 val crops.*noseam review OUT --import \.\.\. --split 0\.8"):
        read_crop_set(crops)
