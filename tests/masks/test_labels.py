from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from PIL import Image

from tests.make import noise, write_blank, write_tif
from tiler.classes import ClassTable, distinct_colours
from tiler.errors import LabelError, RasterReadError
from tiler.files.outputs import plan_outputs
from tiler.grid.window import Window
from tiler.masks import labels as labels_module
from tiler.masks.labels import LabelReader, open_labels
from tiler.masks.sink import MaskMeta
from tiler.masks.writer import MaskWriter
from tiler.source.georef import Georeference
from tiler.source.raster import FINGERPRINT_KEY

SHAPE = (90, 130)
CLASSES = ClassTable(
    ("void", "road", "grass", "snow", "NA"), ((0, 0, 0), (128, 64, 128), (0, 102, 0), (255, 255, 255), (9, 143, 150))
)
IDS = noise(*SHAPE, high=len(CLASSES))
WHOLE = Window(0, 0, *SHAPE)


def _colours(ids: NDArray[Any] = IDS) -> NDArray[np.uint8]:
    return CLASSES.palette()[ids, :3]


def _gray(path: Path) -> Path:
    Image.fromarray(IDS).save(path, "PNG")
    return path


def _gray16(path: Path) -> Path:
    return write_tif(path, IDS[np.newaxis].astype(np.int16))


def _rgb(path: Path) -> Path:
    Image.fromarray(_colours()).save(path, "PNG")
    return path


def _rgba_tif(path: Path) -> Path:
    opaque = np.full((1, *SHAPE), 255, np.uint8)
    return write_tif(path, np.concatenate((_colours().transpose(2, 0, 1), opaque)), photometric="rgb", alpha="yes")


def _palette_of_ids(path: Path) -> Path:
    image = Image.fromarray(IDS)
    image.putpalette(CLASSES.palette()[:, :3].tobytes())
    image.save(path, "PNG")
    return path


def _palette_of_other_colours(path: Path) -> Path:
    image = Image.fromarray(IDS)
    image.putpalette(noise(256, 3, high=100, seed=3).tobytes())
    image.save(path, "PNG")
    return path


def _palette_in_its_own_order(path: Path) -> Path:
    Image.fromarray(_colours()).quantize(len(CLASSES)).save(path, "PNG")
    return path


@pytest.mark.parametrize(
    "write",
    [_gray, _gray16, _rgb, _rgba_tif, _palette_of_ids, _palette_of_other_colours, _palette_in_its_own_order],
)
def test_every_form_gives_the_same_ids(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    window = Window(11, 7, 50, 101)
    with open_labels(write(tmp_path / "m.img"), CLASSES) as labels:
        assert labels.shape == SHAPE
        whole, part = labels.read(WHOLE), labels.read(window)
    assert whole.dtype == np.uint8
    np.testing.assert_array_equal(whole, IDS)
    np.testing.assert_array_equal(part, IDS[window.slices])


def test_a_palette_that_holds_only_some_classes_is_read_by_colour(tmp_path: Path) -> None:
    ids = np.where(IDS < 2, 4, 2).astype(np.uint8)
    Image.fromarray(_colours(ids)).quantize(2).save(tmp_path / "m.tif")
    with open_labels(tmp_path / "m.tif", CLASSES) as labels:
        np.testing.assert_array_equal(labels.read(WHOLE), ids)


def test_palette_indices_are_ids_without_a_class_table(tmp_path: Path) -> None:
    with open_labels(_palette_of_ids(tmp_path / "m.png"), None) as labels:
        np.testing.assert_array_equal(labels.read(WHOLE), IDS)


@pytest.mark.parametrize("name", ["m.png", "m.tif"])
def test_one_bit_holds_ids(tmp_path: Path, name: str) -> None:
    bits = IDS > 2
    Image.fromarray(bits).save(tmp_path / name)
    swapped = ClassTable(("snow", "void"), ((255, 255, 255), (0, 0, 0)))
    with open_labels(tmp_path / name, swapped) as labels:
        np.testing.assert_array_equal(labels.read(WHOLE), bits)


def test_ids_in_a_jpeg_are_refused(tmp_path: Path) -> None:
    Image.fromarray(IDS).save(tmp_path / "m.jpg")
    with (
        pytest.raises(LabelError, match=r"m\.jpg: class ids stored as JPEG; JPEG changes pixels"),
        open_labels(tmp_path / "m.jpg", CLASSES),
    ):
        pass


def test_255_is_no_label(tmp_path: Path) -> None:
    ids = np.where(IDS == 1, 255, IDS).astype(np.uint8)
    Image.fromarray(ids).save(tmp_path / "m.png")
    for classes in (CLASSES, None):
        with open_labels(tmp_path / "m.png", classes) as labels:
            np.testing.assert_array_equal(labels.read(WHOLE), ids)


def test_alpha_nodata_and_masks_are_no_label(tmp_path: Path) -> None:
    hole = IDS == 2
    expected = np.where(hole, 255, IDS)
    colours = np.where(hole[..., np.newaxis], 77, _colours()).astype(np.uint8)
    alpha = np.where(hole, 0, 128).astype(np.uint8)
    Image.fromarray(np.dstack((colours, alpha))).save(tmp_path / "alpha.png")
    write_tif(tmp_path / "mask.tif", colours.transpose(2, 0, 1), photometric="rgb", mask=~hole)
    write_tif(tmp_path / "nodata.tif", np.where(hole, 999, IDS.astype(np.uint16))[np.newaxis], nodata=999)
    for name in ("alpha.png", "mask.tif", "nodata.tif"):
        with open_labels(tmp_path / name, CLASSES) as labels:
            np.testing.assert_array_equal(labels.read(WHOLE), expected)


@pytest.mark.parametrize("wanted", ["png", "geotiff", "cog"])
def test_masks_that_noseam_wrote_are_read(tmp_path: Path, wanted: Any) -> None:
    ids = np.where(IDS == 1, 255, IDS).astype(np.uint8)
    outputs = plan_outputs(Path("a.jpg"), tmp_path, georeferenced=False, wanted=wanted, color=True)
    tags = {FINGERPRINT_KEY: "abc", "MODEL": "größte"}
    with MaskWriter(outputs, MaskMeta(SHAPE, CLASSES, Georeference(), tags)) as writer:
        writer.write(ids)
        writer.commit()
    for output in outputs:
        with open_labels(output.path, CLASSES) as labels:
            assert labels.tags.items() >= tags.items()
            np.testing.assert_array_equal(labels.read(WHOLE), ids)


def test_other_files_have_no_tags(tmp_path: Path) -> None:
    with open_labels(_gray(tmp_path / "m.png"), None) as labels:
        assert labels.tags == {}


def _refused(path: Path, classes: ClassTable | None, match: str, window: Window = WHOLE) -> None:
    with pytest.raises(LabelError, match=match), open_labels(path, classes) as labels:
        labels.read(window)


def test_unknown_colours_are_counted_over_the_whole_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the window that was asked for, too; the place is that of the first one in it."""
    monkeypatch.setattr(labels_module, "_COUNTED_PX", 1000)
    colours = _colours()
    colours[30, 40] = colours[31, 5] = colours[0, 0] = 1, 2, 3
    colours[0, 1:4] = 7, 0, 0
    colours[1, :5] = [(9, 9, blue) for blue in range(5)]
    Image.fromarray(colours).save(tmp_path / "m.png")
    match = (
        r"m\.png: 11 of 11,700 pixels have a colour of no class: 1,2,3 \(3\), 7,0,0 \(3\), 9,9,0 \(1\), "
        r"9,9,1 \(1\) and 3 more; "
        "the first is at row 30, column 40; expected colours of the class table$"
    )
    _refused(tmp_path / "m.png", CLASSES, match, Window(20, 3, 70, 127))
    with open_labels(tmp_path / "m.png", CLASSES) as labels:
        for _ in range(2):  # a reader that refused once refuses again
            with pytest.raises(LabelError, match=match):
                labels.read(Window(20, 3, 70, 127))


def test_an_unknown_colour_in_a_jpeg_hints_at_its_loss(tmp_path: Path) -> None:
    Image.fromarray(_colours()).save(tmp_path / "m.jpg", quality=50)
    _refused(tmp_path / "m.jpg", CLASSES, "JPEG changes pixels")


def test_an_unknown_id_is_named_with_its_place(tmp_path: Path) -> None:
    ids = IDS.astype(np.int16)
    ids[30, 40] = 5
    write_tif(tmp_path / "m.tif", ids[np.newaxis])
    _refused(tmp_path / "m.tif", CLASSES, r"1 of 11,700 pixels have a class id of no class: 5 \(1\); the first is "
             "at row 30, column 40; expected 0 to 4, or 255 for no label$")  # fmt: skip
    with open_labels(tmp_path / "m.tif", None) as labels:
        assert labels.read(Window(30, 40, 1, 1)) == 5
    for wrong in (256, -1):
        ids[30, 40] = wrong
        write_tif(tmp_path / "m.tif", ids[np.newaxis])
        _refused(tmp_path / "m.tif", None, rf": {wrong} \(1\); the first is at row 30, column 40; expected 0 to 254")


def test_what_cannot_hold_labels_is_refused(tmp_path: Path) -> None:
    _refused(_rgb(tmp_path / "m.png"), None, "the mask holds colours; name them with --classes")
    _refused(write_tif(tmp_path / "f.tif", IDS[np.newaxis].astype(np.float32)), CLASSES, "float32 samples")
    wide = _colours().transpose(2, 0, 1).astype(np.uint16)
    _refused(write_tif(tmp_path / "w.tif", wide, photometric="rgb"), CLASSES, "expected 8-bit colours")


def test_a_truncated_mask_names_the_file(tmp_path: Path) -> None:
    path = _gray(tmp_path / "m.png")
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(RasterReadError, match=r"m\.png"), open_labels(path, None) as labels:
        labels.read(WHOLE)


def test_all_of_255_classes_are_read(tmp_path: Path) -> None:
    classes = ClassTable(tuple(f"class {index}" for index in range(255)), distinct_colours(255))
    ids = np.arange(255, dtype=np.uint8)[np.newaxis]
    Image.fromarray(classes.palette()[ids, :3]).save(tmp_path / "m.png")
    with open_labels(tmp_path / "m.png", classes) as labels:
        np.testing.assert_array_equal(labels.read(Window(0, 0, 1, 255)), ids)


def test_a_reader_can_be_made_of_an_open_dataset(tmp_path: Path) -> None:
    with open_labels(_gray(tmp_path / "m.png"), None) as labels, rasterio.open(tmp_path / "m.png") as dataset:
        assert isinstance(labels, LabelReader)
        np.testing.assert_array_equal(labels.read(WHOLE), dataset.read(1))


@pytest.mark.parametrize("shape", [(150_000, 150_000), (4_000_000, 10_000)])
def test_a_mask_of_any_number_of_pixels_is_read(tmp_path: Path, shape: tuple[int, int]) -> None:
    path = write_blank(tmp_path / "a_label.tif", shape, nodata=255)
    with open_labels(path, CLASSES) as labels:
        assert labels.shape == shape
        corner = labels.read(Window(shape[0] - 20, shape[1] - 30, 20, 30))
    np.testing.assert_array_equal(corner, np.full((20, 30), 255))


@pytest.mark.parametrize(
    ("shape", "found"),
    [((1, 4_000_001), "4,000,001 columns; at most 4,000,000 are read"),
     ((100_000_001, 1), "100,000,001 rows; at most 100,000,000 are read")],
)  # fmt: skip
def test_a_mask_whose_rows_or_columns_fill_the_memory_is_refused(
    tmp_path: Path, shape: tuple[int, int], found: str
) -> None:
    path = write_blank(tmp_path / "a.tif", shape, blockysize=min(shape[0], 100_000))
    with pytest.raises(RasterReadError, match=rf"a\.tif: .* pixels claimed, {found}$"), open_labels(path, CLASSES):
        pass


def test_a_mask_that_claims_more_than_its_bytes_can_hold_is_refused_without_advice(tmp_path: Path) -> None:
    path = write_blank(tmp_path / "a.tif", (150_000, 150_000), tiled=True, blockxsize=4096, blockysize=4096)
    with pytest.raises(RasterReadError, match=r"pixels per byte; at most 400,000 are read$"), open_labels(path, None):
        pass
