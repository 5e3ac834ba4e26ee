"""Made-up scenes: repeatable, exactly labelled, and written as a survey would come."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import ExifTags, Image

from tiler.classes import DRONE_CLASSES, NO_LABEL, read_class_table
from tiler.errors import OutputExistsError
from tiler.photo.pose import photo_georeference
from tiler.scenes import canvas as canvas_module
from tiler.scenes import materials
from tiler.scenes.canvas import Canvas
from tiler.scenes.request import GSD_M, SceneOptions
from tiler.scenes.scene import make_scene
from tiler.scenes.shapes import Shape, blob, box, ellipse, union
from tiler.scenes.survey import make_survey
from tiler.scenes.thing import ID
from tiler.source.raster import read_info

RED = materials.plain((200, 20, 20), grain=0)


def test_a_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    first, again, other = (make_scene(300, 400, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first.pixels, again.pixels)
    assert np.array_equal(first.labels, again.labels)
    assert not np.array_equal(first.labels, other.labels)


def test_every_pixel_has_a_class_and_all_but_two_classes_occur() -> None:
    seen = np.zeros(256, np.int64)
    for seed in range(4):
        scene = make_scene(1400, 2100, seed=seed, gsd_m=0.03)
        seen += np.bincount(scene.labels.ravel(), minlength=256)
    absent = [name for name, count in zip(DRONE_CLASSES.names, seen, strict=False) if not count]
    assert absent == ["unlabeled", "conflicting"]
    assert seen[len(DRONE_CLASSES) :].sum() == 0


def test_the_picture_shows_what_the_labels_say() -> None:
    """Water is bluer than grass, and grass greener than roofs, whatever the light of the scene."""
    scene = make_scene(3000, 3000, seed=6, gsd_m=0.03)
    red, green, blue = (
        {name: float(scene.pixels[scene.labels == ID[name], channel].mean()) for name in ("grass", "pool", "dirt")}
        for channel in range(3)
    )
    assert green["grass"] > max(red["grass"], blue["grass"])
    assert blue["pool"] > green["pool"] > red["pool"]
    assert red["dirt"] > green["dirt"] > blue["dirt"]


@pytest.mark.parametrize(
    "shape",
    [
        box((3.2, 4.1), 3.0, 1.2, 0.4, corner=0.2),
        ellipse((3, 4), 4, 2.5, 1.1),
        blob((3.5, 4.5), 2.0, np.random.default_rng(0)),
        union([box((1, 1), 1, 1), ellipse((5, 6), 1, 2)]),
        box((0, 0), 30, 30),
        box((-5, -5), 1, 1),
    ],
)
def test_a_label_stands_where_the_pixel_centre_lies_within_the_shape(shape: Shape) -> None:
    gsd = 0.02
    canvas = Canvas((300, 410), gsd_m=gsd, shift=(0, 0))
    canvas.paint(shape, RED, 7)
    rows, cols = (np.arange(300) + 0.5) * gsd, (np.arange(410) + 0.5) * gsd
    inside = shape.distance(rows[:, np.newaxis].astype(np.float32), cols[np.newaxis].astype(np.float32)) < 0
    assert np.array_equal(canvas.labels == 7, inside)
    red = canvas.pixels[..., 0] > 100  # covered by half or more
    assert np.count_nonzero(red != inside) <= 0.01 * red.size


def test_painting_by_blocks_is_painting_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = []
    for side in (64, 4096):
        monkeypatch.setattr(canvas_module, "_BLOCK_PX", side)
        canvas = Canvas((500, 300), gsd_m=0.02, shift=(5, 9))
        canvas.paint(blob((5, 3), 2.5, np.random.default_rng(1)), materials.speckled((90, 120, 60)), 3, ragged_m=0.1)
        canvas.shade(box((6, 3), 3, 2, 0.3), 0.5)
        pictures.append((canvas.pixels, canvas.labels))
    assert np.array_equal(pictures[0][0], pictures[1][0])
    assert np.array_equal(pictures[0][1], pictures[1][1])


def test_a_colour_without_a_label_leaves_the_labels() -> None:
    canvas = Canvas((40, 40), gsd_m=0.1, shift=(0, 0))
    canvas.paint(box((2, 2), 9, 9), RED, 3)
    canvas.paint(box((2, 2), 2, 2), materials.plain((0, 0, 0)))
    assert (canvas.labels == 3).all()
    assert canvas.pixels[20, 20].max() < 20


@pytest.fixture(scope="module")
def survey(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a small survey of two photos and an orthomosaic."""
    folder = tmp_path_factory.mktemp("survey")
    request = SceneOptions(
        photos=2, photo_shape=(240, 360), orthomosaics=1, orthomosaic_shape=(300, 420), gsd_m=0.05, seed=3
    )
    calls: list[tuple[int, int]] = []
    make_survey(folder, request, jobs=1, advance=lambda done, total: calls.append((done, total)))
    assert calls[-1] == (1, 1)
    return folder


def test_a_survey_holds_images_truth_and_the_class_table(survey: Path) -> None:
    for part, names in (
        ("images", ["IMG_0001.jpg", "IMG_0002.jpg", "ortho_1.tif"]),
        ("truth", ["IMG_0001.png", "IMG_0002.png", "ortho_1.tif"]),
    ):
        assert sorted(path.name for path in (survey / part).iterdir()) == names
    assert read_class_table(survey / "classes.csv") == DRONE_CLASSES


def test_no_run_takes_the_truth_for_photos(survey: Path) -> None:
    assert all(read_info(path).made_by_noseam for path in (survey / "truth").iterdir())
    assert not any(read_info(path).made_by_noseam for path in (survey / "images").iterdir())


def test_two_surveys_are_not_mixed_in_one_folder(survey: Path) -> None:
    before = sorted(survey.rglob("*"))
    with pytest.raises(OutputExistsError, match="holds another made-up survey"):
        make_survey(survey, SceneOptions(photos=1, photo_shape=(64, 64), orthomosaics=0), jobs=1)
    assert sorted(survey.rglob("*")) == before


def test_photos_and_truth_do_not_depend_on_how_many_there_are(survey: Path, tmp_path: Path) -> None:
    request = SceneOptions(photos=1, photo_shape=(240, 360), orthomosaics=0, gsd_m=0.05, seed=3)
    make_survey(tmp_path, request, jobs=1)
    for file in ("images/IMG_0001.jpg", "truth/IMG_0001.png"):
        assert (tmp_path / file).read_bytes() == (survey / file).read_bytes()


def test_a_photo_carries_the_pose_that_gives_its_resolution(survey: Path) -> None:
    with Image.open(survey / "images" / "IMG_0002.jpg") as photo:
        exif = photo.getexif()
        xmp = photo.info["xmp"].decode()
        width = photo.width
    camera, place = exif.get_ifd(ExifTags.IFD.Exif), exif.get_ifd(ExifTags.IFD.GPSInfo)
    altitude = float(xmp.split('RelativeAltitude="')[1].split('"')[0])
    sensor_mm = 13.2
    assert altitude * sensor_mm / (float(camera[ExifTags.Base.FocalLength]) * width) == pytest.approx(0.05, rel=1e-3)
    assert 'GimbalPitchDegree="-90.00"' in xmp
    latitude = float(xmp.split('GpsLatitude="')[1].split('"')[0])
    degrees, minutes, seconds = map(float, place[ExifTags.GPS.GPSLatitude])
    assert degrees + minutes / 60 + seconds / 3600 == pytest.approx(latitude, abs=1e-6)


def test_an_orthomosaic_lies_somewhere_and_has_empty_corners(survey: Path) -> None:
    path = survey / "images" / "ortho_1.tif"
    info = read_info(path)
    assert info.georeference.crs is not None
    assert info.georeference.crs.to_epsg() == 32633
    assert info.gsd_m == pytest.approx(0.05, rel=1e-3)
    with rasterio.open(path) as image, rasterio.open(survey / "truth" / "ortho_1.tif") as truth:
        alpha, labels = image.read(4), truth.read(1)
        assert truth.transform == image.transform
        assert truth.nodata == NO_LABEL
    assert np.array_equal(alpha == 0, labels == NO_LABEL)
    assert 0.02 < (alpha == 0).mean() < 0.3


def test_a_scene_has_its_own_resolution() -> None:
    assert make_scene(64, 64, seed=0).gsd_m == GSD_M
    assert math.isclose(make_scene(64, 64, seed=0, gsd_m=0.1).gsd_m, 0.1)


def test_photos_of_a_varied_survey_have_ground_sample_distances_of_their_own(tmp_path: Path) -> None:
    request = SceneOptions(photos=3, photo_shape=(64, 96), gsd_m=0.01, gsd_to_m=0.08, seed=5)
    make_survey(tmp_path, request, jobs=1)
    gsds = []
    for path in sorted((tmp_path / "images").iterdir()):
        with Image.open(path) as photo:
            altitude = float(photo.info["xmp"].decode().split('RelativeAltitude="')[1].split('"')[0])
        gsds.append(altitude * 13.2 / (8.8 * 96))
    assert len({round(gsd, 4) for gsd in gsds}) == 3
    assert all(0.0099 < gsd < 0.0801 for gsd in gsds)


def test_photos_of_a_varied_survey_do_not_see_the_ground_of_each_other(tmp_path: Path) -> None:
    make_survey(tmp_path, SceneOptions(photos=12, photo_shape=(64, 96), gsd_m=0.01, gsd_to_m=0.3, seed=5), jobs=1)
    easts = []
    for path in sorted((tmp_path / "images").iterdir()):
        with Image.open(path) as photo:
            at = photo_georeference(path, photo.height, photo.width).transform
        easts.append((at.c, at.c + 96 * at.a))
    assert all(stop < start for (_, stop), (start, _) in pairwise(easts))


def test_a_varied_scene_is_the_same_again_and_has_a_class_everywhere() -> None:
    for seed in range(3):
        first, again = (make_scene(200, 300, seed=seed, gsd_m=0.03, world="varied") for _ in range(2))
        assert np.array_equal(first.pixels, again.pixels)
        assert np.array_equal(first.labels, again.labels)
        assert first.labels.min() >= 1
        assert first.labels.max() < DRONE_CLASSES.names.index("conflicting")


def test_a_mosaic_of_a_varied_world_shows_no_facades() -> None:
    """It is seen from straight above, so a wall of a house hides behind its roof."""
    aslant, above = (
        sum(int((make_scene(300, 450, seed=seed, gsd_m=0.06, world="varied", mosaic=mosaic).labels == ID["door"]).sum())
            for seed in range(14, 20))
        for mosaic in (False, True)
    )  # fmt: skip
    assert aslant > 0
    assert above == 0
