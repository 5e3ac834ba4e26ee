"""The way back into training: windows exported, corrected, taken back, and trained on."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from numpy.typing import NDArray
from PIL import Image

from tests.crop_folder import crop_folder
from tests.review.surveys import CROP_PX, survey
from tests.runs import noseam

SIDE = 32


def windows(export: Path) -> list[dict[str, str]]:
    with (export / "windows.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def pixels(path: Path) -> NDArray[np.uint8]:
    return np.asarray(Image.open(path))


def expected(masks: Path, row: Mapping[str, str]) -> NDArray[np.uint8]:
    """Return what the label mask holds in a window."""
    label = masks / Path(row["image"]).with_name(f"{Path(row['image']).stem}_label.png")
    top, left, height, width = (int(row[name]) for name in ("row_off", "col_off", "height", "width"))
    return pixels(label)[top : top + height, left : left + width]


def taken(crops: Path, row: Mapping[str, str]) -> NDArray[np.uint8]:
    """Return what a folder of crops holds in a window; the rest of its crop has no label."""
    with (crops / "crops.csv").open(newline="") as file:
        crop = next(each for each in csv.DictReader(file) if Path(each["mask"]).stem == row["name"])
    top, left = (int(row[name]) - int(crop[name]) for name in ("row_off", "col_off"))
    labels = pixels(crops / crop["mask"])
    assert labels.shape == (CROP_PX, CROP_PX)
    found = labels[top : top + SIDE, left : left + SIDE]
    assert (labels != 255).sum() == (found != 255).sum() == int(crop["labelled"])
    return found


def said(result: Result) -> str:
    """Return what a command said, without its line breaks."""
    return " ".join(result.output.split())


def test_drafts_are_the_masks_and_windows_lie_where_doubt_is(tmp_path: Path) -> None:
    masks = survey(tmp_path)
    result = noseam("review", masks, "--export", 4)
    assert result.exit_code == 0, result.output
    export = masks / "review/export-1"
    rows = windows(export)
    assert {row["image"] for row in rows} == {"a/IMG_1.jpg", "b/IMG_1.jpg"}
    assert all(int(row["row_off"]) < 60 and int(row["row_off"]) + SIDE > 40 for row in rows)
    assert all(int(row["col_off"]) < 100 and int(row["col_off"]) + SIDE > 70 for row in rows)
    assert {(row["window_px"], row["crop_px"], row["chosen_by"]) for row in rows} == {("32", "64", "confidence")}
    for row in rows:
        assert (pixels(export / f"masks/{row['name']}.png") == expected(masks, row)).all()
        assert pixels(export / f"images/{row['name']}.png").shape == (SIDE, SIDE, 3)
        assert row["image"] in result.output
    assert "doubt: " in result.output
    assert f"noseam review {masks} --import {export}" in result.output


def test_corrected_drafts_become_crops_of_the_models_window(tmp_path: Path) -> None:
    masks = survey(tmp_path, "a/IMG_1.png", "b/IMG_1.png")
    noseam("review", masks, "--export", 3)
    export = masks / "review/export-1"
    first, second, third = windows(export)
    truth = np.full((SIDE, SIDE), 3, np.uint8)
    truth[:4] = 255  # the annotator labels a part alone
    Image.fromarray(truth).save(export / f"masks/{first['name']}.png")
    mask = Image.open(export / f"masks/{second['name']}.png")
    assert mask.mode == "P"
    colours = mask.convert("RGB")  # a paint program stores colours
    colours.paste(colours.crop((24, 24, 32, 32)), (0, 0))
    colours.paste((255, 255, 255), (20, 0, 24, 4))
    colours.save(export / f"masks/{second['name']}.png")
    result = noseam("review", masks, "--import", export)
    assert result.exit_code == 0, result.output
    assert "2 windows of 2 images taken" in result.output
    assert "1 window came back as exported and left out" in result.output
    assert said(result).endswith("--base MODEL --input 64")  # what the masks say of their model
    crops = masks / "review/crops"
    with (crops / "crops.csv").open(newline="") as file:
        rows = {Path(row["mask"]).stem: row for row in csv.DictReader(file)}
    assert set(rows) == {first["name"], second["name"]}
    assert {(row["split"], row["window_px"]) for row in rows.values()} == {("train", "64")}
    crop = rows[first["name"]]
    assert (taken(crops, first) == truth).all()
    photo = pixels(tmp_path / "photos" / first["image"])[int(crop["row_off"]) :, int(crop["col_off"]) :]
    assert (pixels(crops / crop["image"]) == photo[:CROP_PX, :CROP_PX]).all()
    with (masks / "review/corrected.csv").open(newline="") as file:
        corrected = {row["name"]: row for row in csv.DictReader(file)}
    assert corrected[first["name"]]["labelled_by"] == str(export)
    assert int(corrected[first["name"]]["changed"]) == (expected(masks, first)[4:] != 3).sum()
    # What came back is not chosen again, and what nobody changed is.
    noseam("review", masks, "--export", 1)
    assert windows(masks / "review/export-2")[0]["name"] == third["name"]
    assert noseam("review", masks, "--import", export, "--take-unchanged").output.startswith("3 windows")
    assert third["name"] in (masks / "review/crops/crops.csv").read_text()


def exported_by_cvat(archive: Path, out: Path, change: Callable[[dict[str, bytes]], None] = lambda files: None) -> Path:
    """Write what CVAT would export of an archive that it imported: colours, its own background, another order."""
    with zipfile.ZipFile(archive) as read:
        files = {name: read.read(name) for name in read.namelist()}
    lines = [line for line in files["labelmap.txt"].decode().splitlines() if not line.startswith("#")]
    colours = [tuple(map(int, line.split(":")[1].split(","))) for line in lines]
    for name in [name for name in files if name.startswith("SegmentationClass/")]:
        ids = np.asarray(Image.open(io.BytesIO(files[name])))
        instances = np.asarray(Image.open(io.BytesIO(files[name.replace("Class/", "Object/")])))
        painted = np.array(colours, np.uint8)[ids]
        painted[instances == 0] = 0
        files[name] = png(painted)
        files[name.replace("Class/", "Object/")] = png(np.stack([instances * 64, instances, instances], axis=-1))
    files["labelmap.txt"] = "\n".join(
        ["# label:color_rgb:parts:actions", *sorted([*lines, "background:0,0,0::"])]
    ).encode()
    change(files)
    with zipfile.ZipFile(out, "w") as written:
        for name, data in files.items():
            if not name.startswith("JPEGImages/"):
                written.writestr(name, data)
    return out


def png(array: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(array).save(file, "PNG")
    return file.getvalue()


def test_a_zip_for_cvat_keeps_the_rules_of_its_format(tmp_path: Path) -> None:
    masks = survey(tmp_path)
    result = noseam("review", masks, "--export", 3, "--format", "cvat")
    assert result.exit_code == 0, result.output
    rows = windows(masks / "review/export-1")
    with zipfile.ZipFile(masks / "review/export-1/cvat.zip") as archive:
        lines = archive.read("labelmap.txt").decode().splitlines()
        assert [line.split(":")[0] for line in lines[1:]] == ["class 0", "class 1", "class 2", "class 3"]
        assert all(line.count(":") == 3 and not line.endswith(":0,0,0::") for line in lines[1:])
        listed = archive.read("ImageSets/Segmentation/default.txt").decode().split("\n")
        assert sorted(listed) == sorted(["", *(row["name"] for row in rows)])
        for row in rows:
            ids, instances = (
                np.asarray(Image.open(archive.open(f"Segmentation{kind}/{row['name']}.png")))
                for kind in ("Class", "Object")
            )
            labels = expected(masks, row)
            assert (np.where(instances == 0, 255, ids) == labels).all()
            assert ids.max() < 4
            assert Image.open(archive.open(f"JPEGImages/{row['name']}.jpg")).size == (SIDE, SIDE)


def test_what_cvat_exports_comes_back_the_same(tmp_path: Path) -> None:
    masks = survey(tmp_path)
    noseam("review", masks, "--export", 3, "--format", "cvat")
    cvat = masks / "review/export-1/cvat.zip"
    for archive in (cvat, exported_by_cvat(cvat, tmp_path / "out.zip")):
        result = noseam("review", masks, "--import", archive, "--take-unchanged", "--into", tmp_path / archive.stem)
        assert result.exit_code == 0, result.output
        for row in windows(masks / "review/export-1"):
            assert (taken(tmp_path / archive.stem, row) == expected(masks, row)).all()
        assert "people changed 0.0%" in result.output


def _shrink(files: dict[str, bytes], name: str) -> None:
    files[name] = png(np.zeros((8, 8, 3), np.uint8))


BAD: dict[str, tuple[Callable[[dict[str, bytes], str], None], str]] = {
    "another size": (_shrink, "8 x 8 pixels found, expected 32 x 32 as exported"),
    "no picture": (lambda files, name: files.update({name: b"<html>"}), "no PNG or TIFF that can be read"),
    "cut": (lambda files, name: files.update({name: files[name][:60]}), "cannot be decoded"),
    "huge": (lambda files, name: files.update({name: bytes(10_000_000)}), "bytes found, expected no file so large"),
    "a colour of no class": (
        lambda files, name: files.update({name: png(np.full((32, 32, 3), 77, np.uint8))}),
        "colour 77,77,77 at row 0, column 0 is that of no class; 1024 such pixels found",
    ),
    "a label that was added": (
        lambda files, name: files.update(
            {
                name: png(np.full((32, 32, 3), 99, np.uint8)),
                "labelmap.txt": files["labelmap.txt"] + b"\nshed:99,99,99::",
            }
        ),
        "the label 'shed' is no class of the masks; expected one of class 0, class 1, class 2, class 3",
    ),
    "an id of no class": (
        lambda files, name: files.update({name: png(np.full((32, 32), 77, np.uint8))}),
        "class id 77 at row 0, column 0 is that of no class",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_mask_costs_itself_alone_and_is_named(tmp_path: Path, case: str) -> None:
    masks = survey(tmp_path)
    noseam("review", masks, "--export", 3, "--format", "cvat")
    name = windows(masks / "review/export-1")[0]["name"]
    change, reason = BAD[case]
    archive = exported_by_cvat(
        masks / "review/export-1/cvat.zip", tmp_path / "out.zip",
        lambda files: change(files, f"SegmentationClass/{name}.png"),
    )  # fmt: skip
    result = noseam("review", masks, "--import", archive, "--take-unchanged")
    assert result.exit_code == 3
    assert "2 windows of" in result.output
    assert "1 window could not be taken" in result.output
    assert f"out.zip: SegmentationClass/{name}.png: " in said(result)
    assert reason in said(result)


def test_a_zip_cannot_write_anywhere(tmp_path: Path) -> None:
    masks = survey(tmp_path)
    noseam("review", masks, "--export", 1, "--format", "cvat")

    def climb(files: dict[str, bytes]) -> None:
        for name in ("../../evil", "/tmp/evil", "C:\\evil", "..\\evil"):
            files[f"SegmentationClass/{name}.png"] = png(np.zeros((32, 32), np.uint8))

    archive = exported_by_cvat(masks / "review/export-1/cvat.zip", tmp_path / "out.zip", climb)
    result = noseam("review", masks, "--import", archive, "--take-unchanged")
    assert "1 window of" in result.output
    assert "evil: no window of this name was exported" in said(result)
    assert not list(tmp_path.rglob("*evil*"))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda files: files.pop("labelmap.txt"), "labelmap.txt and SegmentationClass/*.png expected"),
        (lambda files: files.update({"labelmap.txt": b"tree:0,1,0::\n"}), "4 classes of the masks are missing"),
        (lambda files: files.update({"labelmap.txt": b"tree\n"}), "lines such as `tree:0,128,0::` expected"),
        (
            lambda files: (
                [files.pop(name) for name in list(files) if "/" in name]
                + [files.update({"SegmentationClass/x.png": b""})]
            ),
            "no window that was exported",
        ),
    ],
)
def test_an_archive_that_is_no_export_is_refused(
    tmp_path: Path, change: Callable[[dict[str, bytes]], None], reason: str
) -> None:
    masks = survey(tmp_path)
    noseam("review", masks, "--export", 1, "--format", "cvat")
    archive = exported_by_cvat(masks / "review/export-1/cvat.zip", tmp_path / "out.zip", change)
    result = noseam("review", masks, "--import", archive)
    assert result.exit_code in {1, 2}
    assert reason in said(result)


def test_what_cannot_be_done_is_said(tmp_path: Path) -> None:
    masks = survey(tmp_path)
    for arguments, reason in {
        (): "either --export N or --import FILE|DIR is needed",
        ("--export", 1, "--import", tmp_path): "not both",
        ("--export", 1, "--window", 65): "64 px at most expected",
        ("--export", 1, "--by", "disagreement"): "segment again with --disagreement",
        ("--import", tmp_path): "nothing was exported",
    }.items():
        result = noseam("review", masks, *arguments)
        assert result.exit_code == 2
        assert reason in said(result)
    noseam("review", masks, "--export", 1)
    (tmp_path / "no.zip").write_bytes(b"PK no")
    assert "no zip that can be read" in noseam("review", masks, "--import", tmp_path / "no.zip").output


def test_why_no_window_is_chosen_is_said(tmp_path: Path) -> None:
    masks = survey(tmp_path, "IMG_1.jpg", measure="disagreement")
    Image.fromarray(np.full((128, 192), 255, np.uint8)).save(masks / "IMG_1_disagreement.png")
    assert "no tiles overlap, or they agree everywhere" in said(noseam("review", masks, "--export", 1))
    masks = survey(tmp_path / "2", "IMG_1.jpg")
    noseam("review", masks, "--export", 9, "--window", 64)
    noseam("review", masks, "--import", masks / "review/export-1", "--take-unchanged")
    assert "came back already" in said(noseam("review", masks, "--export", 1, "--window", 64))


def test_a_photo_that_is_gone_costs_its_windows_alone(tmp_path: Path) -> None:
    masks = survey(tmp_path)
    (tmp_path / "photos/a/IMG_1.jpg").unlink()
    result = noseam("review", masks, "--export", 4)
    assert result.exit_code == 3
    assert {row["image"] for row in windows(masks / "review/export-1")} == {"b/IMG_1.jpg"}
    assert "photos/a/IMG_1.jpg: no such file" in said(result)


def test_crops_of_others_are_left_alone(tmp_path: Path) -> None:
    masks = survey(tmp_path)
    noseam("review", masks, "--export", 2)
    other = crop_folder(tmp_path / "other")
    for into, reason in {other: "other classes", tmp_path / "photos": "no crops.csv but other files"}.items():
        result = noseam("review", masks, "--import", masks / "review/export-1", "--take-unchanged", "--into", into)
        assert result.exit_code == 2
        assert reason in said(result)
    corrected = tmp_path / "corrected"
    noseam("review", masks, "--import", masks / "review/export-1", "--take-unchanged", "--into", corrected)
    result = noseam("crop", tmp_path / "photos", masks, "--out", corrected, "--window", 64)
    assert result.exit_code == 1
    assert "labels that people corrected" in said(result)
    result = noseam("crop", tmp_path / "photos", masks, "--out", tmp_path / "crops", "--window", 64)
    assert result.exit_code == 0, result.output
    result = noseam(
        "review", masks, "--import", masks / "review/export-1", "--take-unchanged", "--into", tmp_path / "crops"
    )
    assert "that noseam crop made" in said(result)
